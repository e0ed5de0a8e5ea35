"""A streamed answer of Anthropic's as events. Pure.

(https://docs.anthropic.com/en/docs/build-with-claude/streaming)
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from inference.codecs.anthropic.fields import DottedFields
from inference.codecs.anthropic.reading import heard_citation
from inference.codecs.anthropic.seals import unseal
from inference.codecs.anthropic.usage import Reported, later, usage_of
from inference.codecs.body import raw
from inference.codecs.mending import mended
from inference.codecs.sse_reader import SseReader
from inference.ir.completion import Finish
from inference.ir.content import Family, Opaque, Rest
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.events import (
    Began,
    CallBegan,
    CallDelta,
    Cited,
    Counted,
    Ended,
    Event,
    Extra,
    Failed,
    ReasoningDelta,
    Sealed,
    TextDelta,
    Whole,
)
from inference.ir.usage import UsageSource
from inference.providers.anthropic.chat_completion import FINISHES, explained
from inference.providers.anthropic.errors import read_stream_error
from inference.providers.anthropic.tools import ANSWER_TOOL

_NULL = Raw(b"null")


class _Delta(Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    citation: Raw = _NULL


class _Event(Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None


class _Message(Struct):
    id: str | None = None
    model: str | None = None
    usage: Reported | None = None


class _Start(Struct):
    message: _Message


class _BlockStart(Struct):
    content_block: dict[str, Raw]
    index: int = 0


class _Whatever(Struct):
    delta: dict[str, Raw] = {}
    index: int = 0


class _End(Struct):
    delta: dict[str, Raw] = {}
    usage: Reported | None = None


class _Type(Struct):
    type: str = ""


_event = msgspec.json.Decoder(_Event)
_start = msgspec.json.Decoder(_Start)
_block_start = msgspec.json.Decoder(_BlockStart)
_whatever = msgspec.json.Decoder(_Whatever)
_end = msgspec.json.Decoder(_End)
_fields = msgspec.json.Decoder(dict[str, Raw])
_TYPES = frozenset(
    ("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta")
)


_NEEDED = frozenset({"text", "thinking", "partial_json", "signature"})
_Read = TypeVar("_Read", bound=Struct)


def _decoded(decoder: msgspec.json.Decoder[_Read], data: bytes, kind: type[_Read]) -> _Read:
    """An event of a known type. Raises msgspec.DecodeError."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        return mended(data, kind)


class _Call:
    """A tool's call under way. `answer`: it is no tool's but a structured answer."""

    __slots__ = ("answer", "begun")

    def __init__(self, *, answer: bool) -> None:
        self.answer = answer
        self.begun = False


class _Kept:
    """A block only Anthropic has a word for, put together until it is whole."""

    __slots__ = ("fields", "input", "kind")

    def __init__(self, kind: str, fields: dict[str, Raw]) -> None:
        self.kind = kind
        self.fields = fields
        self.input: list[str] = []

    def whole(self) -> Opaque:
        written = "".join(self.input)
        if written:
            self.fields["input"] = Raw(written.encode())
        return Opaque(family=Family.ANTHROPIC, kind=self.kind, raw=Raw(msgspec.json.encode(self.fields)))


class ChatStream:
    """Reads one stream, however it is cut. Events of a type nobody knows are passed over."""

    __slots__ = ("_answers", "_calls", "_kept", "_reader", "_reported", "_stopped", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._reader = SseReader()
        self._reported: Reported | None = None
        self._calls: dict[int, _Call] = {}
        self._kept: dict[int, _Kept] = {}
        self._answers = 0
        self._stopped = False

    def feed(self, chunk: bytes) -> Sequence[Event]:
        """Raises UpstreamGarbled for what can be no stream of this format."""
        out: list[Event] = []
        for _, data in self._reader.feed(chunk):
            self._take(data, out)
        return out

    def finish(self) -> Sequence[Event]:
        """Raises UpstreamGarbled where the stream was not complete."""
        out: list[Event] = []
        for _, data in self._reader.finish():
            self._take(data, out)
        if not self.complete and not self._stopped:
            raise UpstreamGarbled("The upstream ended its stream before it was complete.")
        self.complete = True
        return out

    def _take(self, data: bytes, out: list[Event]) -> None:
        if self.complete:
            return
        try:
            event = _event.decode(data)
        except (msgspec.DecodeError, RecursionError):
            event = self._misread(data)
        if event.type == "content_block_delta" and event.delta is not None:
            self._delta(event.index, event.delta, data, out)
            return
        try:
            self._other(event, data, out)
        except (msgspec.DecodeError, InvalidField, RecursionError):
            raise UpstreamGarbled("The upstream sent an event that is not of its own format.") from None

    def _misread(self, data: bytes) -> _Event:
        """The event as far as it can be read; nothing of one of a type nobody knows."""
        try:
            kind = mended(data, _Type).type
        except msgspec.DecodeError:
            raise UpstreamGarbled("The upstream sent an event that is not valid JSON.") from None
        if kind not in _TYPES:
            return _Event()
        try:
            return mended(data, _Event, _NEEDED)
        except msgspec.DecodeError:
            raise UpstreamGarbled(
                f"The upstream sent a `{kind}` event that is not of its own format."
            ) from None

    def _delta(self, index: int, delta: _Delta, data: bytes, out: list[Event]) -> None:
        if self._kept and index in self._kept:
            self._add(index, delta, data)
            return
        match delta.type:
            case "text_delta":
                out.append(TextDelta(delta.text, index))
            case "thinking_delta":
                out.append(ReasoningDelta(delta.thinking, index))
            case "input_json_delta":
                call = self._calls.get(index)
                if call is not None and delta.partial_json:
                    call.begun = True
                    said = delta.partial_json
                    out.append(TextDelta(said, index) if call.answer else CallDelta(said, index))
            case "signature_delta":
                thought = unseal("", delta.signature)
                out.append(Sealed(index, 0, thought.signature, thought.redacted, thought.issuer, thought.id))
            case "citations_delta" if bytes(delta.citation).startswith(b"{"):
                out.append(Cited(heard_citation(delta.citation), index))
            case _:
                pass

    def _add(self, index: int, delta: _Delta, data: bytes) -> None:
        """A piece of a block that is kept whole: of its input, or fields that replace those it began with."""
        kept = self._kept[index]
        if delta.type == "input_json_delta":
            kept.input.append(delta.partial_json)
            return
        try:
            more = _whatever.decode(data).delta
        except msgspec.DecodeError:
            return
        more.pop("type", None)
        kept.fields.update(more)

    def _other(self, event: _Event, data: bytes, out: list[Event]) -> None:
        match event.type:
            case "content_block_start":
                self._begin(_decoded(_block_start, data, _BlockStart), out)
            case "content_block_stop":
                self._stop(event.index, out)
            case "message_start":
                self._head(_decoded(_start, data, _Start).message, out)
            case "message_delta":
                self._tail(_decoded(_end, data, _End), data, out)
            case "message_stop":
                self.complete = True
            case "error":
                self.complete = True
                out.append(Failed(read_stream_error(data)))
            case _:
                pass

    def _head(self, message: _Message, out: list[Event]) -> None:
        reported = self._reported = message.usage
        out.append(
            Began(
                family=Family.ANTHROPIC,
                id=message.id,
                model=message.model,
                service_tier=None if reported is None else reported.service_tier,
            )
        )
        if reported is not None:
            # The prompt is counted already, the answer not yet: what came of it has to be estimated.
            out.append(Counted(usage_of(reported, UsageSource.COUNTED)))

    def _begin(self, start: _BlockStart, out: list[Event]) -> None:
        block, index = DottedFields(start.content_block, "content_block"), start.index
        kind = block.text("type") or ""
        match kind:
            case "text":
                out.append(TextDelta(block.text("text") or "", index))
                out += [Cited(heard_citation(each.whole()), index) for each in block.inners("citations")]
            case "thinking":
                out.append(ReasoningDelta(block.text("thinking") or "", index))
                signature = block.text("signature")
                if signature:
                    out.append(Sealed(index, 0, signature, issuer=Family.ANTHROPIC))
            case "redacted_thinking":
                out.append(Sealed(index, 0, redacted=block.needed("data"), issuer=Family.ANTHROPIC))
            case "tool_use":
                self._call(block, index, out)
            case _:
                if kind:
                    block.keep("type", raw(kind))
                self._kept[index] = _Kept(kind or "unread", _fields.decode(block.whole()))

    def _call(self, block: DottedFields, index: int, out: list[Event]) -> None:
        name, call_id, given = block.needed("name"), block.needed("id"), block.raw("input")
        answer = name == ANSWER_TOOL
        call = self._calls[index] = _Call(answer=answer)
        if answer:
            self._answers += 1
        else:
            out.append(CallBegan(id=call_id, name=name, block=index, rest=block.rest()))
        if given is not None and bytes(given) not in (b"{}", b'""'):
            call.begun = True
            said = bytes(given).decode()
            out.append(TextDelta(said, index) if answer else CallDelta(said, index))

    def _stop(self, index: int, out: list[Event]) -> None:
        kept = self._kept.pop(index, None)
        if kept is not None:
            out.append(Whole(kept.whole(), index))
            return
        call = self._calls.get(index)
        if call is not None and not call.begun and not call.answer:
            out.append(CallDelta("{}", index))  # what the block began with, and nothing replaced

    def _tail(self, end: _End, data: bytes, out: list[Event]) -> None:
        if end.usage is not None:
            self._reported = later(self._reported, end.usage)
            out.append(Counted(usage_of(self._reported)))
        delta = DottedFields(end.delta, "delta")
        native, stop = delta.text("stop_reason"), delta.text("stop_sequence")
        more = _beside(delta.rest(), data)
        if more:
            out.append(Extra(Family.ANTHROPIC, more))
        if native is None:
            return
        self._stopped = True
        finish = FINISHES.get(native, Finish.OTHER)
        if finish is Finish.TOOL_CALLS and self._answers and self._answers == len(self._calls):
            finish = Finish.STOP
        why = explained(more) if finish is Finish.REFUSAL else None
        out.append(Ended(finish=finish, native=native, stop_sequence=stop, explanation=why))


def _beside(rest: Rest, data: bytes) -> Rest:
    """What else the last event says, of the delta and beside it (`container`, `context_management`)."""
    every = DottedFields(_fields.decode(data))
    for name in ("type", "delta", "usage"):
        every.raw(name)
    more = every.rest()
    return {**rest, **more} if more else rest
