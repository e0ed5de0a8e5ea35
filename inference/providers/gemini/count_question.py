"""A conversation as the question how many tokens it is read as: countTokens. Pure.

AI Studio takes a whole request under `generateContentRequest`, and counts nothing but the contents without it; Vertex
takes the parts of a request that are read, side by side. (https://ai.google.dev/api/tokens)
"""

import msgspec
from msgspec import Struct

from inference.codecs.body import decode_fields, encode_fields, raw
from inference.ir.errors import UpstreamGarbled
from inference.providers.gemini.lanes import GeminiLane
from inference.wire import Outgoing

_READ = ("contents", "systemInstruction", "tools", "generationConfig")


class _Count(Struct, rename="camel"):
    total_tokens: int = 0


_count = msgspec.json.Decoder(_Count)


class CountQuestion:
    """Asks for the counts of models where `lane` says they are; `whole`: a request goes as one, as AI Studio wants."""

    def __init__(self, lane: GeminiLane, *, whole: bool) -> None:
        self._lane = lane
        self._whole = whole

    def question(self, body: bytes, *, model: str, dropped: tuple[str, ...]) -> Outgoing:
        """The question about a request that has been written."""
        fields, place = decode_fields(body), self._lane.place(model)
        if self._whole:
            asked = {"generateContentRequest": raw({"model": place.lstrip("/"), **fields})}
        else:
            asked = {name: fields[name] for name in _READ if name in fields}
        return Outgoing(path=f"{place}:countTokens", body=encode_fields(asked), dropped=dropped)


def read_count(body: bytes) -> int:
    """The answer; Google leaves out a count of nothing. Raises UpstreamGarbled."""
    try:
        return _count.decode(body).total_tokens
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is no count of tokens.") from None
