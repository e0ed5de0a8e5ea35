"""Mistral's answers: OpenAI's, with content that may be a list in which thoughts stand beside text. Pure.

(https://docs.mistral.ai/capabilities/reasoning, `thinking` chunks)
"""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from inference.codecs.mending import mended
from inference.ir.completion import Choice, Completion
from inference.ir.content import NO_REST, Family, Part, Reasoning
from inference.ir.events import Event, ReasoningDelta, Sealed
from inference.providers.openai.chat_completion import CompletionReader
from inference.providers.openai.chat_stream import ChatParser, ChoiceState


class _Piece(Struct):
    text: str | None = None


class _Entry(Struct):
    type: str | None = None
    thinking: str | list[_Piece] | None = None
    signature: str | None = None


_entry = msgspec.json.Decoder(_Entry)


def _read(item: Raw) -> _Entry:
    """Nothing of what is no object: that is read as anybody's content is."""
    try:
        return _entry.decode(item)
    except msgspec.ValidationError:
        return mended(item, _Entry) if bytes(item).startswith(b"{") else _Entry()


def _thought(entry: _Entry) -> str:
    thinking = entry.thinking
    if isinstance(thinking, list):
        return "".join(piece.text or "" for piece in thinking)
    return thinking or ""


def _without_default(choice: Choice) -> Choice:
    rest = {
        name: value
        for name, value in choice.rest.items()
        if name != "message.prefix" or bytes(value) != b"false"
    }
    return choice if len(rest) == len(choice.rest) else msgspec.structs.replace(choice, rest=rest or NO_REST)


class MistralReader(CompletionReader):
    """Reads whole answers."""

    def __init__(self) -> None:
        super().__init__(Family.MISTRAL)

    def read(self, body: bytes) -> Completion:
        """As everybody's. That the client did not begin a message (`prefix`) is nothing to tell."""
        made = super().read(body)
        choices = tuple(_without_default(choice) for choice in made.choices)
        return msgspec.structs.replace(made, choices=choices)

    def part(self, item: Raw) -> Iterator[Part]:
        """One entry of a content that is a list."""
        entry = _read(item)
        if entry.type != "thinking":
            yield from super().part(item)
            return
        signed = entry.signature is not None
        yield Reasoning(
            text=_thought(entry),
            signature=entry.signature,
            issuer=Family.MISTRAL if signed else None,
        )


class MistralParser(ChatParser):
    """Reads streams."""

    def __init__(self) -> None:
        super().__init__(Family.MISTRAL)

    def part(self, state: ChoiceState, item: Raw, out: list[Event]) -> None:
        """One entry of content that came as a list."""
        entry = _read(item)
        if entry.type != "thinking":
            super().part(state, item, out)
            return
        text = _thought(entry)
        if text or entry.signature:
            block = state.at("reasoning")
            if text:
                out.append(ReasoningDelta(text, block, state.index))
            if entry.signature:
                out.append(Sealed(block, state.index, signature=entry.signature, issuer=Family.MISTRAL))
