"""Streams of InvokeModel as Claude's own: Anthropic's events, taken out of the messages AWS puts them into. Pure.

A message's payload is `{"bytes": <base64 of an event's JSON>}`. What AWS itself has to say (a throttled, a broken
stream) comes as an exception; it becomes the `error` event that Anthropic would have sent.
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html)
"""

import base64
import binascii
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from inference.codecs.aws_event_stream import EventStreamReader, Message
from inference.codecs.surrogates import Halves
from inference.ir.errors import AspendosError, UpstreamGarbled
from inference.ir.events import Event
from inference.providers.anthropic.chat_stream import ChatStream
from inference.providers.anthropic.tap import AnthropicTap
from inference.providers.bedrock.converse_stream import ConverseStream
from inference.providers.bedrock.errors import read_failure
from inference.providers.bedrock.naming import Maker
from inference.wire import Parser

_CHUNK = "chunk"
_ERRORS = {
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Anthropic's words for statuses; of the others those from 500 up are `api_error`, the rest invalid requests."""


class _Payload(Struct):
    bytes: str


class _Typed(Struct):
    type: str


_payload = msgspec.json.Decoder(_Payload)
_typed = msgspec.json.Decoder(_Typed)


class Unwrapper:
    """Takes Anthropic's events out of one stream, and frames them as its own streams are."""

    __slots__ = ("_halves", "_reader")

    def __init__(self) -> None:
        self._halves: Halves[None] = Halves()
        self._reader = EventStreamReader()

    def feed(self, chunk: bytes) -> bytes:
        """The events that are whole with this chunk. Raises UpstreamGarbled."""
        return b"".join([_event(message, self._halves) for message in self._reader.feed(chunk)])

    def finish(self) -> None:
        """Raises UpstreamGarbled where the upstream ended within a message."""
        self._reader.finish()


class InvokeTap(AnthropicTap):
    """The tap of a stream that is passed on."""

    __slots__ = ("_unwrapper",)

    def __init__(self) -> None:
        super().__init__()
        self._unwrapper = Unwrapper()

    def feed(self, chunk: bytes) -> bytes:
        """Raises UpstreamGarbled."""
        if self.done:
            return b""
        events = self._unwrapper.feed(chunk)
        return super().feed(events) if events else b""


class InvokeStream(ChatStream):
    """The parser of a stream that is translated."""

    __slots__ = ("_unwrapper",)

    def __init__(self) -> None:
        super().__init__()
        self._unwrapper = Unwrapper()

    def feed(self, chunk: bytes) -> Sequence[Event]:
        """Raises UpstreamGarbled."""
        return super().feed(self._unwrapper.feed(chunk))

    def finish(self) -> Sequence[Event]:
        """Raises UpstreamGarbled where the stream was not complete."""
        self._unwrapper.finish()
        return super().finish()


class ClaudeStream:
    """The parser of a stream of Claude's, by InvokeModel or by Converse: its first message tells which."""

    __slots__ = ("_begun", "_parser", "_reader", "complete")

    def __init__(self) -> None:
        self._begun = b""
        self._reader = EventStreamReader()
        self._parser: Parser | None = None
        self.complete = False

    def feed(self, chunk: bytes) -> Sequence[Event]:
        """Raises UpstreamGarbled."""
        parser = self._parser
        if parser is None:
            self._begun += chunk
            first = next(iter(self._reader.feed(chunk)), None)
            if first is None:
                return ()
            invoked = first.headers.get(":event-type") == _CHUNK
            parser = self._parser = InvokeStream() if invoked else ConverseStream(Maker.CLAUDE)
            chunk, self._begun = self._begun, b""
        events = parser.feed(chunk)
        self.complete = parser.complete
        return events

    def finish(self) -> Sequence[Event]:
        """Raises UpstreamGarbled where the stream was not complete."""
        events = (self._parser or ConverseStream(Maker.CLAUDE)).finish()
        self.complete = True
        return events


def _event(message: Message, halves: Halves[None]) -> bytes:
    """A message as an event of Anthropic's, or as two; nothing for one that carries none."""
    headers = message.headers
    if headers.get(":message-type") != "event":
        return _failed(read_failure(message))
    if headers.get(":event-type") != _CHUNK:
        return b""
    try:
        data = base64.b64decode(_payload.decode(message.payload).bytes, validate=True)
        if b"\\u" in data or halves.held:
            return b"".join([_framed(each) for _, each in halves.read(None, data)])
        return _framed(data)
    except (msgspec.DecodeError, binascii.Error, RecursionError):
        raise UpstreamGarbled("The upstream sent an event that is none of Anthropic's.") from None


def _framed(data: bytes) -> bytes:
    """Raises UpstreamGarbled, msgspec.DecodeError."""
    kind = _typed.decode(data).type
    if b"\n" in data or b"\r" in data:
        data = msgspec.json.format(data, indent=-1)
    if not kind.isprintable():
        raise UpstreamGarbled("The upstream sent an event that is none of Anthropic's.")
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _failed(error: AspendosError) -> bytes:
    status = error.http_status
    kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    told = {"type": "error", "error": {"type": kind, "message": error.message}}
    return b"event: error\ndata: " + msgspec.json.encode(told) + b"\n\n"
