"""A stream of Cohere's v2/chat, read event by event. Pure. (https://docs.cohere.com/v2/docs/streaming)"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from inference.codecs.mending import mended
from inference.codecs.sse_reader import SseReader
from inference.ir.completion import Finish, unfinished
from inference.ir.content import Family, Opaque
from inference.ir.errors import UpstreamFailed, UpstreamGarbled
from inference.ir.events import (
    Began,
    CallBegan,
    CallDelta,
    Cited,
    Counted,
    Ended,
    Event,
    Failed,
    ReasoningDelta,
    TextDelta,
    Whole,
)
from inference.ir.usage import UsageSource
from inference.providers.cohere.chat_completion import FINISHES, Call, read_citation
from inference.providers.cohere.usage import Reported, usage_of


class _Text(Struct, frozen=True):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class _ContentMessage(Struct, frozen=True):
    content: _Text = _Text()


class _ContentOf(Struct, frozen=True):
    message: _ContentMessage = _ContentMessage()


class _PlanMessage(Struct, frozen=True):
    tool_plan: str | None = None


class _PlanOf(Struct, frozen=True):
    message: _PlanMessage = _PlanMessage()


class _CallMessage(Struct, frozen=True):
    tool_calls: Call = Call()


class _CallOf(Struct, frozen=True):
    message: _CallMessage = _CallMessage()


class _CitedMessage(Struct, frozen=True):
    citations: Raw = Raw(b"null")


class _CitedOf(Struct, frozen=True):
    message: _CitedMessage = _CitedMessage()


class _EndOf(Struct, frozen=True):
    finish_reason: str | None = None
    usage: Reported | None = None
    error: str | None = None


class _Start(Struct, frozen=True, tag="message-start", tag_field="type"):
    id: str | None = None


class _ContentStart(Struct, frozen=True, tag="content-start", tag_field="type"):
    index: int = 0
    delta: Raw = Raw(b"null")


class _Content(Struct, frozen=True, tag="content-delta", tag_field="type"):
    index: int = 0
    delta: _ContentOf = _ContentOf()


class _Plan(Struct, frozen=True, tag="tool-plan-delta", tag_field="type"):
    delta: _PlanOf = _PlanOf()


class _CallStart(Struct, frozen=True, tag="tool-call-start", tag_field="type"):
    index: int = 0
    delta: _CallOf = _CallOf()


class _CallPiece(Struct, frozen=True, tag="tool-call-delta", tag_field="type"):
    index: int = 0
    delta: _CallOf = _CallOf()


class _CallEnd(Struct, frozen=True, tag="tool-call-end", tag_field="type"):
    index: int = 0


class _CitationStart(Struct, frozen=True, tag="citation-start", tag_field="type"):
    delta: _CitedOf = _CitedOf()


class _End(Struct, frozen=True, tag="message-end", tag_field="type"):
    id: str | None = None
    delta: _EndOf = _EndOf()


class _Any(Struct, frozen=True):
    """What an event of no known type may still say."""

    type: str | None = None
    message: str | None = None


_Known = (
    _Start | _ContentStart | _Content | _Plan | _CallStart | _CallPiece | _CallEnd | _CitationStart | _End
)
_KNOWN: dict[str, type[_Known]] = {
    "message-start": _Start,
    "content-start": _ContentStart,
    "content-delta": _Content,
    "tool-plan-delta": _Plan,
    "tool-call-start": _CallStart,
    "tool-call-delta": _CallPiece,
    "tool-call-end": _CallEnd,
    "citation-start": _CitationStart,
    "message-end": _End,
}
_NEEDED = frozenset(
    {"delta", "message", "content", "text", "thinking", "tool_plan", "tool_calls", "arguments", "name"}
)
_event = msgspec.json.Decoder(_Known)
_any = msgspec.json.Decoder(_Any)
_content = msgspec.json.Decoder(_ContentOf)


class _OpaqueMessage(Struct, frozen=True):
    content: Raw = Raw(b"null")


class _OpaqueOf(Struct, frozen=True):
    message: _OpaqueMessage = _OpaqueMessage()


_opaque = msgspec.json.Decoder(_OpaqueOf)


class CohereStream:
    """The parser. Pieces are numbered by their kind and index in the order they begin."""

    __slots__ = ("_blocks", "_reader", "_text", "_unargued", "complete")

    def __init__(self) -> None:
        self._reader = SseReader()
        self._blocks: dict[tuple[str, int], int] = {}
        self._text = -1
        self._unargued: list[int] = []
        """Blocks of the calls that are open and have no arguments yet."""
        self.complete = False

    def feed(self, chunk: bytes) -> Sequence[Event]:
        """Raises UpstreamGarbled."""
        return self._read(self._reader.feed(chunk))

    def finish(self) -> Sequence[Event]:
        """Raises UpstreamGarbled where no end of the message has come."""
        events = self._read(self._reader.finish())
        if not self.complete:
            raise UpstreamGarbled("The upstream ended its stream before it was complete.")
        return events

    def _read(self, found: list[tuple[bytes, bytes]]) -> list[Event]:
        events: list[Event] = []
        for _, data in found:
            if self.complete:
                break
            if data == b"[DONE]":
                continue
            try:
                event = _event.decode(data)
            except msgspec.ValidationError:
                event = self._unknown(data, events)
            except (msgspec.DecodeError, RecursionError):
                raise UpstreamGarbled("The upstream sent an event that is not JSON.") from None
            if event is not None:
                self._take(event, events)
        return events

    def _take(self, event: _Known, events: list[Event]) -> None:
        if isinstance(event, _Content):
            self._say(event.index, event.delta.message.content, events)
        elif isinstance(event, _CallPiece):
            function, block = event.delta.message.tool_calls.function, self._blocks.get(("call", event.index))
            if function.arguments and block is not None:
                self._argue(function.arguments, block, events)
        elif isinstance(event, _Plan):
            plan = event.delta.message.tool_plan
            if plan:
                events.append(ReasoningDelta(plan, self._block("plan", 0)))
        elif isinstance(event, _ContentStart):
            self._begin(event, events)
        elif isinstance(event, _CallStart):
            call = event.delta.message.tool_calls
            block = self._block("call", event.index)
            events.append(CallBegan(id=call.id, name=call.function.name, block=block))
            self._unargued.append(block)
            if call.function.arguments:
                self._argue(call.function.arguments, block, events)
        elif isinstance(event, _CallEnd):
            block = self._blocks.get(("call", event.index))
            if block in self._unargued:
                self._argue("{}", block, events)
        elif isinstance(event, _CitationStart):
            self._cite(event.delta.message.citations, events)
        elif isinstance(event, _Start):
            events.append(Began(family=Family.COHERE, id=event.id))
        else:
            self._end(event.delta, events)

    def _begin(self, event: _ContentStart, events: list[Event]) -> None:
        """A block may begin with its first words, or be of a kind that nobody knows yet."""
        try:
            content = _content.decode(event.delta).message.content
        except msgspec.DecodeError:
            return  # its pieces will tell
        if content.type in (None, "text", "thinking"):
            self._say(event.index, content, events)
        else:
            given = _opaque.decode(event.delta).message.content.copy()
            part = Opaque(family=Family.COHERE, kind=content.type, raw=given)
            events.append(Whole(part, self._block("content", event.index)))

    def _say(self, index: int, content: _Text, events: list[Event]) -> None:
        if content.text:
            self._text = self._block("content", index)
            events.append(TextDelta(content.text, self._text))
        elif content.thinking:
            events.append(ReasoningDelta(content.thinking, self._block("content", index)))

    def _argue(self, text: str, block: int, events: list[Event]) -> None:
        """A call without arguments has an empty object of them, said when it ends."""
        if block in self._unargued:
            self._unargued.remove(block)
        events.append(CallDelta(text, block))

    def _cite(self, given: Raw, events: list[Event]) -> None:
        """A citation of the text last begun, unless it says of which."""
        found = read_citation(given)
        if found is None:
            return
        index, citation = found
        block = self._text if index is None else self._block("content", index)
        if block >= 0:
            events.append(Cited(citation, block))

    def _end(self, end: _EndOf, events: list[Event]) -> None:
        self.complete = True
        for block in tuple(self._unargued):
            self._argue("{}", block, events)
        usage = usage_of(end.usage)
        if usage.source is not UsageSource.NONE:
            events.append(Counted(usage))
        finish = FINISHES.get(end.finish_reason or "", Finish.OTHER)
        if end.error or finish is Finish.ERROR:
            why = end.error
            told = f"The upstream could not finish its answer: {why[:2000]}" if why else None
            events.append(Failed(UpstreamFailed(told) if told else unfinished(end.finish_reason)))
            return
        events.append(Ended(finish=finish, native=end.finish_reason))

    def _unknown(self, data: bytes, events: list[Event]) -> _Known | None:
        """An event of a new type is skipped, an error is said, one of a known type is read as far as it is known."""
        try:
            said = _any.decode(data)
        except msgspec.DecodeError:
            said = _Any()
        if said.type is None and said.message:
            self.complete = True
            events.append(Failed(UpstreamFailed(f"The upstream reported an error: {said.message[:2000]}")))
        elif said.type is None:
            raise UpstreamGarbled("The upstream sent an event that is none of Cohere's.")
        elif said.type in _KNOWN:
            try:
                return mended(data, _KNOWN[said.type], _NEEDED)
            except msgspec.DecodeError:
                raise UpstreamGarbled("The upstream sent an event that is none of Cohere's.") from None
        return None

    def _block(self, kind: str, index: int) -> int:
        return self._blocks.setdefault((kind, index), len(self._blocks))
