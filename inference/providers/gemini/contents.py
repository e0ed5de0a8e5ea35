"""Contents: a conversation as Gemini's turns. Pure.

Gemini knows two speakers, wants all answers to one turn's calls in the turn that follows it, and has its system
prompt beside the conversation. (https://ai.google.dev/api/caching#Content)
"""

from collections.abc import Sequence

from msgspec import Raw

from inference.codecs.arguments import unread_arguments
from inference.codecs.gemini.writing import NotAnObject, write_part
from inference.ir.chat import Message, Role
from inference.ir.content import Family, Reasoning, ToolCall, ToolResult, lone_text
from inference.ir.errors import InvalidField
from inference.providers.gemini.naming import Naming

Written = dict[str, object] | Raw

UNSIGNED = "skip_thought_signature_validator"
"""What Google has others write where a call was not made by Gemini, and so has no signature it could check.
(https://ai.google.dev/gemini-api/docs/thought-signatures)"""
_SYSTEM = (Role.SYSTEM, Role.DEVELOPER)


class Contents:
    """Writes the turns down. `own`: they come from Gemini's family. `unsigned`: calls need a signature."""

    def __init__(
        self, messages: Sequence[Message], naming: Naming, *, family: Family, unsigned: bool
    ) -> None:
        """Raises InvalidField."""
        self._naming = naming
        self._own = family is Family.GEMINI
        self._unsigned = unsigned
        self._names: dict[str, str] = {}
        self.system: list[Written] = []
        self.turns: list[dict[str, object]] = []
        self._last: tuple[str, list[Written]] | None = None
        for place, message in enumerate(messages):
            if message.role in _SYSTEM and not self.turns:
                self.system += self._parts(place, message)
            else:
                self._add(place, message)
        if not self.turns and self.system:
            # A system prompt alone is a question to Gemini's kin, but not to Gemini.
            self._turn("user", self.system)
            self.system = []

    def _add(self, place: int, message: Message) -> None:
        role = "model" if message.role is Role.ASSISTANT else "user"
        if message.role in _SYSTEM:
            self._naming.message(place, "role")
        parts = self._parts(place, message)
        if not parts and not self._own:
            return
        if self._last is not None and self._last[0] == role and not self._own:
            self._last[1].extend(parts)
            return
        self._turn(role, parts)
        if self._own:
            self.turns[-1].update(message.rest)

    def _turn(self, role: str, parts: list[Written]) -> None:
        self.turns.append({"role": role, "parts": parts})
        self._last = (role, parts)

    def _parts(self, place: int, message: Message) -> list[Written]:
        naming = self._naming
        if message.name is not None:
            naming.message(place, "name")
        if not self._own:
            for key in message.rest:
                naming.message(place, key)
        text = lone_text(message.parts)
        if text:
            return [{"text": text}]
        made: list[Written] = []
        signed = False
        for number, part in enumerate(message.parts):
            if isinstance(part, Reasoning) and part.issuer not in (Family.GEMINI, None):
                naming.part(place, number, "")  # another model's thoughts, which this one did not think
                continue
            if isinstance(part, ToolCall):
                self._names[part.id] = part.name
            elif isinstance(part, ToolResult) and part.name is None and part.call_id not in self._names:
                raise _orphan(part)
            try:
                written = write_part(
                    part,
                    lambda name, number=number: naming.part(place, number, name),
                    own=self._own,
                    names=self._names,
                )
            except NotAnObject:
                assert isinstance(part, ToolCall)
                raise unread_arguments(part, f"messages[{place}].content[{number}]") from None
            if written is None:
                continue
            if isinstance(part, ToolCall) and isinstance(written, dict):
                # The first of parallel calls carries the signature of them all.
                if self._unsigned and not signed and "thoughtSignature" not in written:
                    written["thoughtSignature"] = UNSIGNED
                signed = True
            made.append(written)
        return made


def _orphan(part: ToolResult) -> InvalidField:
    return InvalidField(
        f"A message holds the answer to the tool call `{part.call_id}`, and no such call came before it. "
        "Send the assistant's message with the call, too.",
        param="messages",
        code="tool_call_not_found",
    )
