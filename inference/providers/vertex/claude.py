"""Claude at Vertex: Anthropic's own format by rawPredict, passed on or written. Pure.

The body is Anthropic's but for the model, which stands in the address, and the version, which is a field. Counts are
asked of a model `count-tokens`, whose body names the model itself. Google follows no address for Claude, so a request
that shows something by its address is written anew with the bytes in its place.
(https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude)
"""

from urllib.parse import quote

import msgspec

from inference.codecs.body import decode_fields, encode_fields, raw
from inference.ir.cards import Model
from inference.ir.chat import ChatRequest
from inference.ir.content import Audio, Family, File, Image, Video
from inference.providers.anthropic import lanes
from inference.providers.anthropic.chat_format import AnthropicChat
from inference.providers.anthropic.headers import with_version
from inference.wire import Original, Outgoing

VERSION = "vertex-2023-10-16"
_MODELS = "/publishers/anthropic/models/"
_COUNT = f"{_MODELS}count-tokens:rawPredict"


def is_claude(model: str, family: str | None = None) -> bool:
    """By the model's name at Vertex, also with its publisher's, or as the catalogue says."""
    return family == Family.ANTHROPIC or _name(model).startswith("claude-")


class RawPredictLane(lanes.MessagesLane):
    """Messages."""

    def __init__(self) -> None:
        super().__init__("")

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL."""
        return _place(model, stream=stream)

    def dressed(self, body: bytes) -> bytes:
        """As rawPredict takes it."""
        return predicted(body)

    def told(self, body: bytes, headers: bytes) -> tuple[bytes, bytes]:
        """What the client says in headers stays there; a newer version is a field, too."""
        return with_version(body, headers), headers


class CountLane(lanes.CountLane):
    """Counts, which cost nothing."""

    def __init__(self) -> None:
        super().__init__(_COUNT)

    def request(self, asked: Original, model: str) -> bytes:
        """The client's question about the model there."""
        return super().request(msgspec.structs.replace(asked, max_output=None), _name(model))

    def dressed(self, body: bytes) -> bytes:
        """With the version; the model stays in it."""
        return versioned(body)

    def told(self, body: bytes, headers: bytes) -> tuple[bytes, bytes]:
        """As for messages."""
        return with_version(body, headers), headers


class VertexClaude(AnthropicChat):
    """Conversations in Anthropic's format at Vertex's addresses."""

    def takes_bytes(self, part: Image | Audio | Video | File) -> bool:
        """Whatever lies somewhere on the web."""
        source = part.source
        return (
            source is not None and source.url is not None and source.url.startswith(("http://", "https://"))
        )

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for a conversation without a turn to answer."""
        written = super().request(asked, model=model, card=card)
        path = _place(model, stream=asked.stream)
        return msgspec.structs.replace(written, path=path, body=predicted(written.body))

    def told(self, body: bytes, headers: bytes) -> tuple[bytes, bytes]:
        """What a client of Anthropic's says in headers stays there; a newer version is a field, too."""
        return with_version(body, headers), headers

    def count(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """The same as a question for its tokens. Raises InvalidField as `request` does."""
        written = super().count(asked, model=_name(model), card=card)
        return msgspec.structs.replace(written, path=_COUNT, body=versioned(written.body))


def predicted(body: bytes) -> bytes:
    """A request of Anthropic's as rawPredict takes it."""
    fields = decode_fields(body)
    fields.pop("model", None)
    fields.setdefault("anthropic_version", raw(VERSION))
    return encode_fields(fields)


def versioned(body: bytes) -> bytes:
    """A request that keeps its model, with the version."""
    fields = decode_fields(body)
    fields.setdefault("anthropic_version", raw(VERSION))
    return encode_fields(fields)


def _name(model: str) -> str:
    """Without `publishers/anthropic/models/` or `anthropic/` before it."""
    return model.rpartition("/")[2]


def _place(model: str, *, stream: bool) -> str:
    verb = "streamRawPredict" if stream else "rawPredict"
    return f"{_MODELS}{quote(_name(model), safe='@')}:{verb}"
