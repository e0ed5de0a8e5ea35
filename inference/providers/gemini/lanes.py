"""The passthrough lane of Gemini's format: the client's own bytes, patched one level deep. Pure.

A stream of Gemini's has no end mark. So the tap keeps back the event that says why the answer finished, and what
follows it, until the upstream has ended: before that no client can know that it has everything.
(https://ai.google.dev/api/generate-content)
"""

import re
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from inference.codecs.body import decode_fields, encode_fields, raw
from inference.codecs.gemini.finish import read_finish, word
from inference.codecs.gemini.seals import SEAL_MARK, without_seals
from inference.codecs.gemini.usage import UsageMetadata, read_usage, usage_in
from inference.codecs.sse import event_bounds, event_json, whole_events
from inference.codecs.token_estimate import estimate_text
from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import NO_USAGE, Usage, UsageSource
from inference.providers.gemini.answers import NULL, is_null
from inference.providers.gemini.chat_completion import blocked
from inference.providers.gemini.errors import read_fault
from inference.wire import Completed, Original, StreamOptions

_TEXT = re.compile(rb'"text"\s*:\s*"((?:[^"\\]|\\.)*)"')
_REASON = re.compile(rb'"finishReason"\s*:\s*(?:"([A-Z_]{1,64})"|(\d+))')
_ERROR = re.compile(rb'(?:^|[\r\n])data: ?\{\s*"error"\s*:\s*[{"]')
_LONGEST_EVENT = 64 * 1024 * 1024
_NAMED = ("models/", "tunedModels/", "publishers/", "endpoints/")


class _Said(Struct, rename="camel"):
    text: str | None = None


class _Content(Struct):
    parts: list[_Said] | None = None


class _Candidate(Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | int | None = None


class _Answer(Struct, rename="camel"):
    usage_metadata: UsageMetadata | None = None
    candidates: list[_Candidate] | None = None
    prompt_feedback: Raw = NULL
    error: Raw = NULL


_answer = msgspec.json.Decoder(_Answer)


class GeminiTap:
    """Follows one stream. Events go by whole; nothing is decoded until someone asks for the usage."""

    __slots__ = (
        "_counted",
        "_held",
        "_said",
        "_tail",
        "done",
        "events",
        "finish_reason",
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
        self._tail = b""
        self._held = b""
        self._counted = b""
        self._said = 0

    def feed(self, chunk: bytes) -> bytes:
        """What the client may have now: whole events, none that could be the last."""
        if self.done:
            return b""
        block = self._tail + chunk if self._tail else chunk
        cut = whole_events(block)
        if len(block) - cut > _LONGEST_EVENT:
            raise UpstreamGarbled("The upstream sent an event too long to be one.")
        self._tail = block[cut:]
        return self._look(block[:cut]) if cut else b""

    def finish(self) -> bytes:
        """The upstream has ended: the event that was kept back, and one that was never closed."""
        rest, self._tail = self._tail, b""
        out = self._look(rest) if rest.strip() else b""
        out, self._held = out + self._held, b""
        self.done = self.finish_reason is not None
        return out

    def drop_tail(self) -> None:
        """Forget what is not whole, and the end that was kept back."""
        self._tail = self._held = b""

    def usage(self) -> Usage:
        """The last usage the stream reported. Counts of a stream cut short are taken only if they count answers."""
        if not self._counted:
            return NO_USAGE
        said = usage_in(event_json(self._counted))
        if self.finish_reason is not None:
            return read_usage(said)
        if said is None or said.candidates_token_count is None:
            return NO_USAGE
        return read_usage(said, UsageSource.CONTINUOUS)

    def estimate(self) -> int | None:
        """Tokens delivered so far, by their text."""
        return max(estimate_text(self._said), self.events) if self.events else None

    def _look(self, block: bytes) -> bytes:
        self.size += len(block)
        if b'"error"' in block and not self.upstream_error:
            found = _ERROR.search(block)
            if found is not None:
                self.upstream_error = block[found.start() :].strip()
        at = block.rfind(b'"usageMetadata"')
        if at >= 0:
            start, end = event_bounds(block, at)
            self._counted = block[start:end]
        for text in _TEXT.finditer(block):
            self._said += text.end(1) - text.start(1)
        self.events += block.count(b"data:")
        if not self.sample:
            self.sample = block
        if self._held:
            block, self._held = self._held + block, b""
        if b'"finishReason"' in block:
            self._finished(block)
            start, _ = event_bounds(block, block.find(b'"finishReason"'))
            last = max(start, _last_event(block))
            self._held, block = block[last:], block[:last]
        elif b'"promptFeedback"' in block and self.finish_reason is None:
            self._refused(block)
        return block

    def _finished(self, block: bytes) -> None:
        found = _REASON.findall(block)
        if found:
            named, number = found[-1]  # the last one: a call's arguments may have such a field, too
            reason = named.decode() if named else word(int(number))
            self.finish_reason = str(read_finish(reason or "OTHER", calls=b'"functionCall"' in block))

    def _refused(self, block: bytes) -> None:
        """A prompt that is not answered: one event, which says so, and no reason to finish."""
        start, end = event_bounds(block, block.find(b'"promptFeedback"'))
        try:
            reason = blocked(_answer.decode(event_json(block[start:end])).prompt_feedback)
        except (msgspec.DecodeError, RecursionError):
            return
        if reason is not None:
            self.finish_reason = "content_filter"


class GeminiLane:
    """`head` goes before the model in the path: empty at AI Studio, `/publishers/google` at Vertex."""

    def __init__(self, head: str = "") -> None:
        self._head = head

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL."""
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"{self.place(model)}:{verb}"

    def place(self, model: str) -> str:
        """A model's path, fit to be written into a request line; names that are paths already stay so."""
        named = model if model.startswith(_NAMED) else f"models/{model}"
        return f"{self._head}/{quote(named, safe='/@')}"

    def request(self, asked: Original, model: str) -> bytes:
        """The client's bytes. The model stands in the path, so only hints, limits and others' seals change anything."""
        body, max_output = asked.body, asked.max_output
        sealed = SEAL_MARK in body
        if not asked.hints and max_output is None and not sealed and b'"model"' not in body:
            return body
        fields = decode_fields(body)
        if sealed and "contents" in fields:
            fields["contents"] = without_seals(fields["contents"])
        fields.pop("aspendos", None)
        fields.pop("model", None)
        if max_output is not None:
            name = "generation_config" if "generation_config" in fields else "generationConfig"
            given = fields.get(name)
            config = {} if given is None or is_null(given) else decode_fields(bytes(given))
            config.pop("max_output_tokens", None)
            config["maxOutputTokens"] = raw(max_output)
            fields[name] = raw(config)
        return encode_fields(fields)

    def completion(self, body: bytes) -> Completed:
        """Usage and finish reason.

        Raises UpstreamGarbled, also where it holds neither an answer nor why there is none, an AspendosError for a
        failure reported with status 200.
        """
        try:
            said = _answer.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no answer of Gemini's.") from None
        if not is_null(said.error):
            raise read_fault(body)
        reason = next(
            (word(each.finish_reason) for each in said.candidates or () if each.finish_reason), None
        )
        finish = None
        if reason is not None:
            finish = str(read_finish(reason, calls=b'"functionCall"' in body))
        elif blocked(said.prompt_feedback) is not None:
            finish = "content_filter"
        elif not said.candidates:
            raise UpstreamGarbled("The upstream's answer holds no candidates, and no reason why not.")
        usage = read_usage(said.usage_metadata)
        text = 0
        if usage.source is UsageSource.NONE:
            for each in said.candidates or ():
                for part in (each.content.parts if each.content is not None else None) or ():
                    text += len((part.text or "").encode())
        return Completed(usage=usage, finish_reason=finish, text=text)

    def stream(self, options: StreamOptions | None) -> GeminiTap:
        """A tap for one stream."""
        return GeminiTap()


def _last_event(block: bytes) -> int:
    """Where the last event of a block of whole events begins."""
    return whole_events(block.rstrip(b"\r\n"))
