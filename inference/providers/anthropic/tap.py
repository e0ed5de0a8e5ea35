"""A stream of Anthropic's tapped in passing: bytes in, the same bytes out. Pure.

Whole events go through as they arrive; only one cut by the network waits for its rest, so that an error can always be
added cleanly, and `message_stop` waits until the call is settled. Deltas, which are nearly everything, are counted
and never decoded. (https://docs.anthropic.com/en/docs/build-with-claude/streaming)
"""

import msgspec
from msgspec import Struct

from inference.codecs.anthropic.usage import Reported, later, usage_of
from inference.codecs.sse import BREAK, event_json, whole_events
from inference.codecs.token_estimate import estimate_text
from inference.ir.usage import NO_USAGE, Usage, UsageSource

STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_DELTA = b"event: content_block_delta\n"
_LONGEST_EVENT = 8 * 1024 * 1024
_VALUE = b'":"'
_SIGNATURE = b'"signature'


class _Message(Struct):
    usage: Reported | None = None


class _Ending(Struct):
    stop_reason: str | None = None


class _Event(Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    usage: Reported | None = None
    delta: _Ending | None = None


_event = msgspec.json.Decoder(_Event)


class AnthropicTap:
    """Follows one stream: what has gone by, what it took, why it ended, which block is open."""

    __slots__ = (
        "_held",
        "_reported",
        "_tail",
        "_text",
        "done",
        "events",
        "finish_reason",
        "open_block",
        "sample",
        "size",
        "upstream_error",
    )

    def __init__(self) -> None:
        self.done = False
        self.size = 0
        self.events = 0
        self.sample = b""
        self.finish_reason: str | None = None
        self.upstream_error = b""
        self.open_block: int | None = None
        self._tail = b""
        self._held = b""
        self._text = 0
        self._reported: Reported | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Take what one read brought; give back what the client may have now, possibly nothing."""
        # Most of a stream is one delta a read.
        if chunk.startswith(_DELTA) and not self._tail and chunk.find(b"\n\n") == len(chunk) - 2:
            if self.done:
                return b""
            self.size += len(chunk)
            self._count(chunk)
            return chunk
        return self._feed(chunk)

    def finish(self) -> bytes:
        """The end that was held back. A stream that said why it ended, and then forgot its end, gets one."""
        tail, self._tail = self._tail, b""
        rest = self._look(tail + b"\n\n") if tail.strip() and not self.done else b""
        held, self._held = self._held, b""
        if not self.done and self.finish_reason is not None and not self.upstream_error:
            self.done = True
            held = STOP
        return rest + held

    def drop_tail(self) -> None:
        """Forget a half-received event: the stream broke in it, or is cut."""
        self._tail = b""

    def usage(self) -> Usage:
        """As the stream reported it at its end; before that the prompt's, with the answer estimated."""
        reported = self._reported
        if reported is None:
            return NO_USAGE
        if self.finish_reason is not None:
            return usage_of(reported)
        usage = usage_of(reported, UsageSource.COUNTED)
        if usage is NO_USAGE:
            return usage
        made = max(usage.output_tokens, self.estimate() or 0)
        return msgspec.structs.replace(usage, output_tokens=made)

    def estimate(self) -> int | None:
        """Tokens delivered so far, by their text; None where nothing came."""
        return estimate_text(self._text) if self.events else None

    def _feed(self, chunk: bytes) -> bytes:
        if self.done:
            return b""  # nothing has a meaning after the end
        if self._tail:
            chunk = self._tail + chunk
            self._tail = b""
        cut = whole_events(chunk)
        if len(chunk) - cut <= _LONGEST_EVENT:
            self._tail = chunk[cut:]
            chunk = chunk[:cut]
        return self._look(chunk) if chunk else b""

    def _look(self, block: bytes) -> bytes:
        """Whole events, up to the end of the answer."""
        start = 0
        self.size += len(block)
        for found in BREAK.finditer(block):
            event = block[start : found.end()]
            if event.startswith(_DELTA):
                self._count(event)
            elif self._note(event):
                self._held = event
                return block[:start]
            start = found.end()
        return block

    def _count(self, event: bytes) -> None:
        """One delta, and how much text it brings."""
        self.events += 1
        kind = event.rfind(b'_delta"')  # within a string the quote would be escaped
        start = event.find(_VALUE, kind + 7)
        if kind > 0 and start > 0 and not event.endswith(_SIGNATURE, 0, kind):
            self._text += event.rfind(b'"') - start - 3
        if not self.sample:
            self.sample = event

    def _note(self, event: bytes) -> bool:
        """Any other event; True for the end of the answer."""
        data = event_json(event)
        try:
            said = _event.decode(data)
        except (msgspec.DecodeError, RecursionError):
            return False
        match said.type:
            case "content_block_delta":
                self._count(event)
            case "content_block_start":
                self.open_block = said.index
            case "content_block_stop":
                self.open_block = None
            case "message_start" if said.message is not None:
                self._reported = said.message.usage
            case "message_delta":
                if said.usage is not None:
                    self._reported = later(self._reported, said.usage)
                if said.delta is not None and said.delta.stop_reason is not None:
                    self.finish_reason = said.delta.stop_reason[:64]
            case "message_stop":
                self.done = True
                return True
            case "error":
                self.upstream_error = event
            case _:
                pass
        return False
