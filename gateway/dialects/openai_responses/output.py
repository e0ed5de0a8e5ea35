"""Output items: the parts of an answer as the items of a response, each with an id of the gateway's. Pure."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw

from inference.codecs.responses.parts import OWN
from inference.codecs.responses.writing import call_item, reasoning_item, said_text, seal_of
from inference.ir.completion import Choice
from inference.ir.content import (
    NO_REST,
    Audio,
    Family,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)

Item = dict[str, object] | Raw


class Names:
    """Ids of one response's items: what they are, whose they are, which they are."""

    def __init__(self, base: str) -> None:
        self._base = base

    def of(self, prefix: str, index: int) -> str:
        return f"{prefix}_{self._base}{index:02x}"


def call_prefix(custom: bool) -> str:
    return "ctc" if custom else "fc"


def sealed_item(name: str, seal: str) -> dict[str, object]:
    """The item that carries another provider's signature of the part before it."""
    return {"id": name, "type": "reasoning", "summary": [], "encrypted_content": seal}


def picture_item(name: str, part: Image) -> dict[str, object]:
    """A picture the model made."""
    return {"id": name, "type": "image_generation_call", "status": "completed", "result": part.source.data}


def logged(raw: Raw | None) -> list[Raw]:
    """The tokens' log probabilities, out of the object that chat puts them in."""
    if raw is None:
        return []
    return msgspec.json.decode(raw, type=dict[str, list[Raw] | None]).get("content") or []


class OutputWriter:
    """Writes the parts of one choice. `dropped` names what the format has no word for."""

    def __init__(self, names: Names, family: Family) -> None:
        self.items: list[Item] = []
        self.dropped: list[str] = []
        self._names = names
        self._own = family is OWN
        self._content: list[dict[str, object]] = []

    def write(self, choice: Choice) -> Sequence[Item]:
        """The items of a whole answer."""
        entries = logged(choice.logprobs)
        phase = choice.rest.get("phase") if self._own else None
        for part in choice.parts:
            if isinstance(part, Text | Refusal):
                if part.text or isinstance(part, Refusal) or part.citations:  # a message is never of nothing
                    found = self._text(part, entries)
                    entries = [] if isinstance(part, Text) else entries
                    self._content.append(found)
                seal = seal_of(part) if isinstance(part, Text) else None
                if seal is not None:
                    self._close(phase)
                    self._add("rs", lambda name, seal=seal: sealed_item(name, seal))
            else:
                self._close(phase)
                self._other(part)
        if choice.explanation is not None and not any(isinstance(part, Refusal) for part in choice.parts):
            self._content.append({"type": "refusal", "refusal": choice.explanation})
        self._close(phase)
        return self.items

    def _text(self, part: Text | Refusal, entries: list[Raw]) -> dict[str, object]:
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        at = f"output[{len(self.items)}].content[{len(self._content)}]"
        plain = msgspec.structs.replace(part, rest=NO_REST)
        return said_text(plain, self._own, self.dropped, at) | {"logprobs": entries}

    def _close(self, phase: Raw | None) -> None:
        if self._content:
            content, self._content = self._content, []
            more = {} if phase is None else {"phase": phase}
            self._add(
                "msg",
                lambda name: {
                    "id": name,
                    "type": "message",
                    "status": "completed",
                    "role": "assistant",
                    "content": content,
                    **more,
                },
            )

    def _other(self, part: Part) -> None:
        match part:
            case ToolCall():
                prefix = call_prefix(part.custom)
                self._add(prefix, lambda name: {**call_item(part, name, self._own), "status": "completed"})
                seal = seal_of(part)
                if seal is not None:
                    self._add("rs", lambda name: sealed_item(name, seal))
            case Reasoning():
                self._add("rs", lambda name: reasoning_item(part, name, self._own))
            case Image() if part.source.data is not None:
                self._add("ig", lambda name: picture_item(name, part))
            case Opaque(family=family) if family is OWN:
                self.items.append(part.raw)
            case Audio() if part.transcript:
                self.dropped.append(f"output[{len(self.items)}].audio")
                self._content.append(self._text(Text(text=part.transcript), []))
            case _:
                what = part.kind if isinstance(part, Opaque) else type(part).__name__.lower()
                self.dropped.append(f"output[{len(self.items)}].{what}")

    def _add(self, prefix: str, make: Callable[[str], dict[str, object]]) -> None:
        self.items.append(make(self._names.of(prefix, len(self.items))))
