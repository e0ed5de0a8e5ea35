"""The passthrough lane of the Responses format: patched one level deep, relayed, its end held back. Pure.

The provider keeps nothing: `store` goes out as false, and a model that reasons is asked for its reasoning sealed, so
that a later turn can carry it. Who keeps conversations is the gateway.
"""

import re

import msgspec
from msgspec import Raw

from inference.codecs.body import decode_fields, encode_fields, raw
from inference.codecs.responses.seals import SEAL_MARK
from inference.codecs.responses.words import SEALED
from inference.codecs.sse import BREAK, event_json, whole_events
from inference.codecs.surrogates import without_halves
from inference.codecs.token_estimate import estimate_text
from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import NO_USAGE, Usage, UsageSource
from inference.providers.openai.responses_completion import counted, finish_of, raise_failure, read_head
from inference.providers.openai.responses_request import reasons
from inference.wire import Completed, Original, StreamOptions

_DELTA = re.compile(rb'"delta"\s*:\s*"((?:[^"\\]|\\.)*)"')
_TYPE = re.compile(rb'"type"\s*:\s*"(response\.(?:completed|incomplete|failed)|error)"')
_ENDS = (b"response.completed", b"response.incomplete", b"response.failed", b'"error"')
_CALL = re.compile(rb'"type"\s*:\s*"(?:function_call|custom_tool_call)"')
_LONGEST_EVENT = 64 * 1024 * 1024
_FALSE = Raw(b"false")


class _Final(msgspec.Struct):
    type: str = ""
    response: Raw = Raw(b"null")


_final = msgspec.json.Decoder(_Final)
_items = msgspec.json.Decoder(list[Raw])
_words = msgspec.json.Decoder(list[str])


class ResponsesTap:
    """Follows one stream. The event that ends it is kept for `finish()`."""

    def __init__(self) -> None:
        self.done = False
        self.size = 0
        self.events = 0
        self.sample = b""
        self.finish_reason: str | None = None
        self.upstream_error = b""
        self._tail = b""
        self._held = b""
        self._text = 0
        self._usage = NO_USAGE

    def feed(self, chunk: bytes) -> bytes:
        """What the client may have now: whole events."""
        if self.done:
            return b""
        if self._tail:
            chunk = self._tail + chunk
            self._tail = b""
        if not chunk.endswith(b"\n\n"):
            chunk = self._whole_events(chunk)
            if not chunk:
                return b""
        if any(end in chunk for end in _ENDS):
            return self._look(chunk)
        return self._pass(chunk)

    def finish(self) -> bytes:
        """The end that was held back, or an event that was never closed."""
        rest, self._held = self._held, b""
        tail, self._tail = self._tail, b""
        if tail and not self.done:
            rest = self._look(tail + b"\n\n") + self._held
            self._held = b""
        return rest

    def drop_tail(self) -> None:
        """Forget a half-received event."""
        self._tail = b""

    def usage(self) -> Usage:
        """What the event that ended the stream reported."""
        return self._usage

    def estimate(self) -> int | None:
        """Tokens delivered so far, by their text."""
        return estimate_text(self._text) if self.events else None

    def _pass(self, block: bytes) -> bytes:
        if not self.sample:
            self.sample = block  # the head of the response, with its id and model
        self.events += block.count(b"\n\n") or len(BREAK.findall(block))
        self.size += len(block)
        for piece in _DELTA.findall(block):
            self._text += len(piece)
        return block

    def _whole_events(self, chunk: bytes) -> bytes:
        cut = whole_events(chunk)
        if len(chunk) - cut > _LONGEST_EVENT:
            raise UpstreamGarbled("The upstream sent an event too long to be one.")
        self._tail = chunk[cut:]
        return chunk[:cut]

    def _look(self, block: bytes) -> bytes:
        """The same where the end may be in it: found by the event's own type, never by text that looks like it."""
        start = 0
        for match in BREAK.finditer(block):
            event = block[start : match.end()]
            if any(end in event for end in _ENDS) and _TYPE.search(event) and self._ended(event):
                return self._pass(block[:start]) if start else b""
            start = match.end()
        return self._pass(block)

    def _ended(self, event: bytes) -> bool:
        try:
            final = _final.decode(without_halves(event_json(event)))
        except (msgspec.DecodeError, RecursionError):
            return False
        if final.type not in ("response.completed", "response.incomplete", "response.failed", "error"):
            return False
        self._held, self.done = event, True
        if final.type in ("response.failed", "error"):
            self.upstream_error = event
        if final.type != "error":
            head = read_head(final.response)
            self._usage = counted(head)
            found = finish_of(head, called=_CALL.search(final.response) is not None)
            self.finish_reason = None if self.upstream_error or found is None else str(found)
        return True


class ResponsesLane:
    """Responses passed on to a server that speaks them; `path` is below its base URL."""

    def __init__(self, path: str) -> None:
        self._path = path

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL."""
        return self._path

    def request(self, asked: Original, model: str) -> bytes:
        """The client's body with the model's name there, nothing kept there, and reasoning asked for sealed."""
        fields = decode_fields(asked.body)
        fields.pop("aspendos", None)
        fields.pop("previous_response_id", None)  # whoever reads this has put its turns into `input`
        fields["model"] = raw(model)
        fields["store"] = _FALSE
        if SEAL_MARK in asked.body and "input" in fields:
            fields["input"] = without_seals(fields["input"])
        if asked.max_output is not None:
            fields["max_output_tokens"] = raw(asked.max_output)
        if reasons(model) or b'"effort"' in bytes(fields.get("reasoning", b"")):
            fields["include"] = _including(fields.get("include"))
        return encode_fields(fields)

    def completion(self, body: bytes) -> Completed:
        """Raises UpstreamGarbled when it is no response, the failure that one with status `failed` reports."""
        head = read_head(body)
        raise_failure(head)
        if head.output is None:
            raise UpstreamGarbled("The upstream's answer has no output.")
        usage = counted(head)
        found = finish_of(head, called=any(_CALL.search(item) for item in head.output))
        known = usage.source is not UsageSource.NONE
        size = 0 if known else sum(len(item) for item in head.output)
        return Completed(usage=usage, finish_reason=str(found) if found else None, text=size)

    def stream(self, options: StreamOptions | None) -> ResponsesTap:
        """The tap for one stream."""
        return ResponsesTap()


def without_seals(given: Raw) -> Raw:
    """A request's input without what others than OpenAI sealed: it could not read that, and would refuse it."""
    try:
        items = _items.decode(given)
    except msgspec.DecodeError:
        return given
    return raw([item for item in items if not _sealed_by_others(bytes(item))])


def _sealed_by_others(item: bytes) -> bool:
    return SEAL_MARK in item and b'"encrypted_content"' in item


def _including(given: Raw | None) -> Raw:
    try:
        words = _words.decode(given) if given is not None and bytes(given) != b"null" else []
    except msgspec.DecodeError:
        return given if given is not None else raw([SEALED])  # the upstream says what is wrong with it
    return raw(words if SEALED in words else [*words, SEALED])
