"""Naming: what of a request cannot be said: its fields in the words of the client that said it, messages by their
place. Pure."""

from collections.abc import Mapping

from inference.ir.content import Family

_TOP: Mapping[Family, Mapping[str, str]] = {
    Family.OPENAI_CHAT: {"parallel_tools": "parallel_tool_calls", "cache_key": "prompt_cache_key"},
    Family.OPENAI_RESPONSES: {
        "parallel_tools": "parallel_tool_calls",
        "cache_key": "prompt_cache_key",
        "verbosity": "text.verbosity",
    },
    Family.ANTHROPIC: {
        "parallel_tools": "tool_choice.disable_parallel_tool_use",
        "user": "metadata.user_id",
    },
}
_FORMATS = {
    Family.OPENAI_CHAT: "response_format.json_schema",
    Family.OPENAI_RESPONSES: "text.format",
    Family.ANTHROPIC: "output_config.format",
}


class Naming:
    """Collects the names of what is left out of one request, each once."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._names: dict[str, None] = {}

    @property
    def dropped(self) -> tuple[str, ...]:
        """In the order they were met."""
        return tuple(self._names)

    def field(self, name: str) -> None:
        """A field of the request, by our name for it."""
        self._names[_TOP.get(self._family, {}).get(name, name)] = None

    def format(self, name: str) -> None:
        """A field of the format asked for."""
        self._names[f"{_FORMATS.get(self._family, 'response_format')}.{name}"] = None

    def tool(self, place: int, name: str = "") -> None:
        """A tool, or a field of one."""
        self._names[f"tools[{place}].{name}" if name else f"tools[{place}]"] = None

    def strict(self, place: int) -> None:
        """That the calls of a tool are to be held to its schema."""
        self.tool(place, "function.strict" if self._family is Family.OPENAI_CHAT else "strict")

    def message(self, place: int, name: str) -> None:
        """A field of a message."""
        self._names[f"messages[{place}].{name}"] = None

    def part(self, message: int, place: int, name: str) -> None:
        """A part of a message, or a field of one."""
        where = f"messages[{message}].content[{place}]"
        self._names[f"{where}.{name}" if name else where] = None
