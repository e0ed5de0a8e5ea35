"""Server-sent events of the OpenAI format, tapped in passing: pure, bytes in and bytes out.

Whole events go through as they arrive; only an event cut by the network waits for its rest, so that an
error event can always be added cleanly. Nothing is decoded on the way: the tap remembers where the last
usage stood and reads it once, at the end. (https://html.spec.whatwg.org/multipage/server-sent-events.html)
"""

import re
from functools import lru_cache

import msgspec
from msgspec import Raw, Struct

from inference.codecs.shortcut import Shortcut
from inference.ir.errors import UpstreamGarbled

_CONTINUOUS_USAGE = re.compile(rb',\s*"usage"\s*:\s*\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}')
"""vLLM's per-event usage. A quote inside a JSON string is always escaped, so this can match only a key."""

_USAGE_AT_END = re.compile(rb',"usage":\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}\}\n\n')
_TEXT_VALUE = re.compile(rb'"(?:content|text)":"([^"\\]*(?:\\.[^"\\]*)*)"')
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_DONE = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\][ \t]*(?:\r\n|\r|\n)*$")
_ERROR = re.compile(rb'"error"\s*:\s*[{"]|"object"\s*:\s*"error"')
"""A key called so: within text its quotes would be escaped. Whether it means a failure, the event is read for."""
_TEXT = re.compile(rb'"(?:content|text)"\s*:\s*"')
BREAK = re.compile(rb"\r\n\r\n|\n\n|\r\r")
"""What ends an event."""

_END = b"data: [DONE]\n\n"
_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")
_LONGEST_EVENT = 8 * 1024 * 1024
_valid = msgspec.json.Decoder(Raw)
_fields = msgspec.json.Decoder(dict[str, Raw])


class StreamTap:
    """Follows one stream: what has gone by, the last usage, why it finished.

    `hide_usage`: the client did not ask for the final usage event, so it is taken out again.
    `hide_continuous`: nor for usage in every event, which we asked of the upstream.
    """

    __slots__ = (
        "_counts",
        "_held",
        "_prefix",
        "_suffix",
        "_tail",
        "done",
        "finish_reason",
        "hide_continuous",
        "hide_usage",
        "sample",
        "shortcut",
        "upstream_error",
        "usage_event",
    )

    def __init__(self, *, hide_usage: bool, hide_continuous: bool) -> None:
        self.hide_usage = hide_usage
        self.hide_continuous = hide_continuous
        self.shortcut = Shortcut()
        """For those events that need not come by here; `prefix` is set while this stands between two events."""
        self.sample = b""
        self.usage_event = b""
        self.finish_reason: str | None = None
        self.upstream_error = b""
        self.done = False
        self._tail = b""
        self._held = b""
        self._prefix = self._suffix = b""
        self._counts = False

    @property
    def events(self) -> int:
        """How many have gone by."""
        return self.shortcut.events

    @property
    def size(self) -> int:
        """Their bytes."""
        return self.shortcut.size

    def feed(self, chunk: bytes) -> bytes:
        """Take what one read brought; give back what the client may have now, possibly nothing.

        `data: [DONE]` is never given back here but by `finish()`, so that a call can be settled before
        its client can know that it is over.
        """
        # Most of a stream is one event a read, each like the one before but for its text. Two comparisons know
        # such an event, with no line's end before its own; whatever differs goes the long way.
        prefix = self._prefix
        if prefix and chunk.startswith(prefix) and not self._tail:
            size = len(chunk)
            if chunk.find(b"\n", len(prefix)) == size - 2:
                if not self._counts:
                    if chunk.endswith(self._suffix):
                        self._went_by(size)
                        return chunk
                else:
                    at = chunk.rfind(b',"usage":{')
                    if chunk.endswith(self._suffix, 0, at) and _USAGE_AT_END.fullmatch(chunk, at) is not None:
                        self._went_by(size)
                        self.usage_event = chunk
                        return chunk[:at] + b"}\n\n" if self.hide_continuous else chunk
        shortcut = self.shortcut
        shortcut.prefix = b""
        out = self._feed(chunk)
        if not self._tail and not self._counts:
            shortcut.prefix, shortcut.suffix = self._prefix, self._suffix
        return out

    def _went_by(self, size: int) -> None:
        shortcut = self.shortcut
        shortcut.events += 1
        shortcut.size += size

    def _feed(self, chunk: bytes) -> bytes:
        """The same for everything else."""
        if self.done:
            return b""  # nothing has a meaning after [DONE]
        if self._tail:
            chunk = self._tail + chunk
            self._tail = b""
        # Mostly one event on one line. (`find`, because `in` first tries bytes as a number, which costs more than the
        # search.)
        if chunk.find(b"\n") == len(chunk) - 2 and chunk.endswith(b"}\n\n") and chunk.find(b"\r") < 0:
            return self._look(chunk, one=True)
        if chunk == _END:
            self._held = chunk
            self.done = True
            self._prefix = b""
            return b""
        if not chunk.endswith(b"\n\n"):
            chunk = self._whole_events(chunk)
            if not chunk:
                return b""
        if b"[DONE]" in chunk[-24:]:
            end = _DONE.search(chunk)
            if end is not None:
                start = end.start() + (chunk[end.start()] in b"\r\n")
                self._held = chunk[start:]
                self.done = True
                self._prefix = b""
                chunk = chunk[:start]
                if not chunk:
                    return b""
        return self._look(chunk)

    def finish(self) -> bytes:
        """The rest, once the upstream has ended: the held `[DONE]`, or an event that was never closed."""
        rest, self._held = self._held, b""
        tail, self._tail = self._tail, b""
        if tail:
            self.done = _DONE.search(tail) is not None
            rest += tail if self.done else self._look(tail)
        if self.hide_continuous and not self.hide_usage and not _chooses_nothing(self.usage_event):
            return _usage_alone(self.usage_event) + rest  # the client asked for usage and would have got none
        return rest

    def drop_tail(self) -> None:
        """Forget a half-received event: the stream broke in it, and an error event follows."""
        self._tail = b""

    def _whole_events(self, chunk: bytes) -> bytes:
        cut = whole_events(chunk)
        if len(chunk) - cut > _LONGEST_EVENT:
            return chunk
        self._tail = chunk[cut:]
        return chunk[:cut]

    def _look(self, block: bytes, *, one: bool = False) -> bytes:
        """Note what whole events say. `one`: it is one event, so what holds any place in it is all of the block."""
        size = len(block)
        told = 1 if one else _count(block)
        shortcut = self.shortcut
        if not shortcut.events:  # the first event carries the role and no text
            shortcut.size -= size if one else event_bounds(block, 0)[1]
        shortcut.events += told
        shortcut.size += size
        if self.finish_reason is None:
            self.finish_reason = _finish_reason(block)
        if not self.sample and shortcut.events > 1:
            self._learn(block, one=one)
        if block.find(b'"error"') >= 0 and not self.upstream_error:
            self._look_for_error(block)
        at = _last_usage(block)
        if at < 0:
            return block
        if not one:
            start, end = event_bounds(block, at)
            self.usage_event = block[start:end]
            return self._without_usage(block) if self.hide_usage or self.hide_continuous else block
        self.usage_event = block
        if _chooses_nothing(block):
            return b"" if self.hide_usage else block
        return self._continuous(block)

    def _learn(self, block: bytes, *, one: bool) -> None:
        """Keep the first event with text: as a sample, and as what those to come are known by."""
        at = _last_text(block)
        if at < 0:
            return
        start, end = (0, len(block)) if one else event_bounds(block, at)
        self.sample = sample = block[start:end]
        if self.finish_reason is None:
            self._prefix, self._suffix, self._counts = _template(sample, at - start)

    def _look_for_error(self, block: bytes) -> None:
        found = _ERROR.search(block)
        start, end = event_bounds(block, found.end()) if found is not None else (0, 0)
        if _tells_error(block[start:end]):
            self.upstream_error = block[start:end]
            self.shortcut.events -= 1  # it delivered nothing
            self.shortcut.size -= end - start

    def _without_usage(self, block: bytes) -> bytes:
        """The block less what only we asked for, from its end to its beginning."""
        after: list[bytes] = []
        while b'"choices"' in block:
            at = _last_usage(block)
            if at < 0:
                break
            start, end = event_bounds(block, at)
            if not _chooses_nothing(block[start:end]):
                break  # usage beside choices: continuous, taken out below, or the upstream's own
            after.append(self._continuous(block[end:]))
            if not self.hide_usage:
                after.append(block[start:end])
            block = block[:start]
        return self._continuous(block) + b"".join(reversed(after))

    def _continuous(self, block: bytes) -> bytes:
        return _CONTINUOUS_USAGE.sub(b"", block) if self.hide_continuous and block else block


def _count(block: bytes) -> int:
    """How many events a block holds. Raises UpstreamGarbled for one that is no JSON."""
    told = block.count(b"\n\n")
    if block.count(b"}\n\n") != told or not told:
        told = told or len(BREAK.findall(block))
        _check_json(block)
    return told


def _check_json(block: bytes) -> None:
    """Raises UpstreamGarbled where an event's data is neither JSON nor the end: no client could read on."""
    start = 0
    for mark in BREAK.finditer(block):
        data = event_json(block[start : mark.start()]).strip()
        start = mark.end()
        if data and data != b"[DONE]":
            try:
                _valid.decode(data)
            except (msgspec.DecodeError, RecursionError):
                raise UpstreamGarbled("The upstream sent an event that is not valid JSON.") from None


def whole_events(block: bytes) -> int:
    """How far a block holds whole events: the end of its last blank line, 0 where it has none."""
    cut = 0
    for mark in _BLANK_LINES:
        at = block.rfind(mark)
        if at >= 0:
            cut = max(cut, at + len(mark))
    return cut


def event_bounds(block: bytes, position: int) -> tuple[int, int]:
    """Begin and end of the event around a position, its blank line included."""
    start, end = 0, len(block)
    for mark in _BLANK_LINES if b"\r" in block else _BLANK_LINES[:1]:
        before = block.rfind(mark, 0, position)
        if before >= 0:
            start = max(start, before + len(mark))
        after = block.find(mark, position)
        if after >= 0:
            end = min(end, after + len(mark))
    return start, end


def data_event(payload: bytes) -> bytes:
    """One event carrying `payload`, a single line."""
    return b"data: " + payload + b"\n\n"


def comment(text: str) -> bytes:
    """A comment, which every conforming client ignores; `text` must be a single line."""
    return f": {text}\n\n".encode()


def event_json(event: bytes) -> bytes:
    """The data of one event, its lines joined as the standard says."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and event.find(b"\r") < 0:
        return event[6:-2]
    lines = event.splitlines()
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))


class _Choice(Struct):
    error: Raw = Raw()


class _Telling(Struct):
    """Where an event may tell of an error: by itself, at a choice (OpenRouter), beside usage (Groq), or as a whole."""

    error: Raw = Raw()
    object: str | None = None
    choices: list[_Choice] | None = None
    x_groq: _Choice | None = None


_telling = msgspec.json.Decoder(_Telling)
_NOTHING = (b"{}", b'""')
"""What some write where others write null."""


def _tells_error(event: bytes) -> bool:
    try:
        told = _telling.decode(event_json(event))
    except (msgspec.DecodeError, RecursionError):
        return False
    errors = [told.error, *(choice.error for choice in told.choices or ())]
    if told.x_groq is not None:
        errors.append(told.x_groq.error)
    said = (bytes(error) for error in errors if error)
    return told.object == "error" or any(each[:1] in (b"{", b'"') and each not in _NOTHING for each in said)


def _finish_reason(block: bytes) -> str | None:
    """The first finish reason that is not null. Searched for literally, which is ten times a pattern's speed."""
    for key in (b'"finish_reason":"', b'"finish_reason": "'):
        at = block.find(key)
        if at >= 0:
            start = at + len(key)
            return block[start : block.find(b'"', start)][:64].decode("ascii", "replace")
    return None


def _last_usage(block: bytes) -> int:
    """Where the last usage that is an object begins, -1 if there is none."""
    dense, spaced = block.rfind(b'"usage":{'), block.rfind(b'"usage": {')
    return dense if dense > spaced else spaced


def _chooses_nothing(event: bytes) -> bool:
    """Whether an event has a list of choices, and nothing in it: the one that brings the final usage."""
    return event.find(b'"choices":[]') >= 0 or _NO_CHOICES.search(event) is not None


def _usage_alone(event: bytes) -> bytes:
    """The event that tells of usage at the end of a stream, made of one that tells of it beside choices."""
    try:
        fields = _fields.decode(event_json(event))
    except (msgspec.DecodeError, RecursionError):
        return b""
    return data_event(msgspec.json.encode({**fields, "choices": []}))


def _last_text(block: bytes) -> int:
    """Where the last text begins, its name before it; -1 if there is none."""
    at = block.rfind(b'"content":"')
    if at < 0:
        at = block.rfind(b'"text":"')
    if at < 0 and (spaced := _TEXT.search(block)) is not None:
        at = spaced.start()
    return at


@lru_cache(maxsize=256)
def _shared(suffix: bytes) -> bytes:
    """The same bytes for all streams, which mostly end their events alike: what all use stays in the caches."""
    return suffix


def _template(sample: bytes, at: int) -> tuple[bytes, bytes, bool]:
    """What comes before and after an event's text, which is at `at`, and whether usage in every event comes after that.

    Empty where later events cannot be known by it: usage in another place.
    """
    text = _TEXT_VALUE.match(sample, at)
    if text is None or not sample.endswith(b"\n\n"):
        return b"", b"", False
    start, end = text.span(1)
    rest = sample[end:]
    at = rest.rfind(b',"usage":{')
    if at < 0:
        return sample[:start], _shared(rest), False
    if _USAGE_AT_END.fullmatch(rest, at) is None:
        return b"", b"", False
    return sample[:start], rest[:at], True
