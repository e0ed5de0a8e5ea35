"""A stream of Converse's as events. Pure.

Bedrock numbers its blocks, with gaps and not always from 0; ours are numbered in the order they begin. A block of
text has no start of its own. What only Bedrock has a word for (a tool of its own and what that answered) comes as one
part once it is whole. The usage comes last, after the answer's end.
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html)
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from inference.codecs.aws_event_stream import EventStreamReader, Message, Value
from inference.codecs.surrogates import Halves
from inference.ir.completion import Finish, unfinished
from inference.ir.content import Family, Opaque
from inference.ir.errors import UpstreamGarbled
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
from inference.providers.anthropic.tools import ANSWER_TOOL
from inference.providers.bedrock.converse_completion import FINISHES, Tier, stopped_at
from inference.providers.bedrock.errors import read_failure
from inference.providers.bedrock.naming import Maker
from inference.providers.bedrock.reading import SERVER_TOOL, image, issuer_of, read_citation, redacted
from inference.providers.bedrock.usage import Reported, usage_of

_NULL = Raw(b"null")


class _Piece(Struct):
    input: str = ""


class _Thought(Struct, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Bytes(Struct):
    bytes: str | None = None


class _Picture(Struct):
    source: _Bytes | None = None
    format: str = "png"


class _Delta(Struct, rename="camel"):
    text: str | None = None
    tool_use: _Piece | None = None
    reasoning_content: _Thought | None = None
    citation: Raw = _NULL
    tool_result: list[Raw] | None = None
    image: _Picture | None = None


class _DeltaEvent(Struct, rename="camel"):
    delta: _Delta
    content_block_index: int = 0


class _Call(Struct, rename="camel"):
    tool_use_id: str
    name: str
    type: str | None = None


class _Start(Struct, rename="camel"):
    tool_use: _Call | None = None
    tool_result: dict[str, Raw] | None = None
    image: _Picture | None = None


class _StartEvent(Struct, rename="camel"):
    start: _Start
    content_block_index: int = 0


class _StopEvent(Struct, rename="camel"):
    content_block_index: int = 0


class _EndEvent(Struct, rename="camel"):
    stop_reason: str
    additional_model_response_fields: Raw = _NULL


class _Metadata(Struct, rename="camel"):
    usage: Reported | None = None
    trace: Raw = _NULL
    performance_config: Raw = _NULL
    service_tier: Tier | None = None


class _Gathered(Struct):
    """A block that is passed on once it is whole: a call of Bedrock's own, what it answered, a picture."""

    call: _Call | None = None
    result: dict[str, Raw] | None = None
    format: str | None = None
    text: list[str] = []
    pieces: list[Raw] = []


_delta = msgspec.json.Decoder(_DeltaEvent)
_start = msgspec.json.Decoder(_StartEvent)
_stop = msgspec.json.Decoder(_StopEvent)
_end = msgspec.json.Decoder(_EndEvent)
_metadata = msgspec.json.Decoder(_Metadata)
_any_json = msgspec.json.Decoder(Raw)


class ConverseStream:
    """The parser of one stream."""

    __slots__ = (
        "_answers",
        "_blocks",
        "_broken",
        "_calls",
        "_ended",
        "_gathered",
        "_halves",
        "_made_by",
        "_reader",
        "_unargued",
        "complete",
    )

    def __init__(self, made_by: Maker) -> None:
        self._reader = EventStreamReader()
        self._made_by = made_by
        self._blocks: dict[int, int] = {}
        self._gathered: dict[int, _Gathered] = {}
        self._halves: Halves[dict[str, Value]] = Halves()
        self._answers: set[int] = set()
        self._calls: set[int] = set()
        self._unargued: set[int] = set()
        self._ended = False
        self._broken: str | None = None
        self.complete = False

    def feed(self, chunk: bytes) -> Sequence[Event]:
        """Raises UpstreamGarbled."""
        events: list[Event] = []
        for message in self._reader.feed(chunk):
            if self.complete:
                break
            try:
                if b"\\u" in message.payload or self._halves.held:
                    for headers, payload in self._halves.read(message.headers, message.payload):
                        self._take(Message(headers, payload), events)
                else:
                    self._take(message, events)
            except (msgspec.DecodeError, RecursionError):
                raise UpstreamGarbled("The upstream sent an event that is none of Bedrock's.") from None
        return events

    def finish(self) -> Sequence[Event]:
        """Raises UpstreamGarbled where no end of the answer has come; its usage may be missing."""
        self._reader.finish()
        if not self._ended:
            raise UpstreamGarbled("The upstream ended its stream before it was complete.")
        if self.complete:
            return ()
        self.complete = True
        return () if self._broken is None else (Failed(unfinished(self._broken)),)

    def _take(self, message: Message, events: list[Event]) -> None:
        headers, payload = message.headers, message.payload
        if headers.get(":message-type") != "event":
            self._fail(message, events)
            return
        match headers.get(":event-type"):
            case "contentBlockDelta":
                event = _delta.decode(payload)
                self._grow(event.content_block_index, event.delta, events)
            case "contentBlockStart":
                begun = _start.decode(payload)
                self._begin(begun.content_block_index, begun.start, events)
            case "contentBlockStop":
                self._close(_stop.decode(payload).content_block_index, events)
            case "messageStart":
                events.append(Began(family=Family.BEDROCK, signer=issuer_of(self._made_by)))
            case "messageStop":
                self._end(_end.decode(payload), events)
            case "metadata":
                self._count(_metadata.decode(payload), events)
            case _:
                pass  # an event of a new type

    def _grow(self, index: int, delta: _Delta, events: list[Event]) -> None:
        if delta.text is not None:
            if delta.text:
                events.append(TextDelta(delta.text, self._block(index)))
        elif delta.tool_use is not None:
            self._argue(index, delta.tool_use.input, events)
        elif delta.reasoning_content is not None:
            self._think(index, delta.reasoning_content, events)
        elif delta.citation != _NULL:
            events.append(Cited(read_citation(delta.citation), self._block(index)))
        elif delta.tool_result is not None:
            self._gather(index).pieces += [each.copy() for each in delta.tool_result]
        elif delta.image is not None and delta.image.source is not None:
            self._gather(index).text.append(delta.image.source.bytes or "")

    def _argue(self, index: int, text: str, events: list[Event]) -> None:
        if index in self._gathered:
            self._gathered[index].text.append(text)
        elif text and index in self._answers:
            events.append(TextDelta(text, self._block(index)))
        elif text and index in self._calls:
            self._unargued.discard(index)
            events.append(CallDelta(text, self._block(index)))

    def _think(self, index: int, thought: _Thought, events: list[Event]) -> None:
        block = self._block(index)
        if thought.text:
            events.append(ReasoningDelta(thought.text, block))
        if thought.signature:
            events.append(Sealed(block, signature=thought.signature, issuer=issuer_of(self._made_by)))
        if thought.redacted_content is not None:
            hidden = redacted(thought.redacted_content, self._made_by)
            events.append(Sealed(block, redacted=hidden, issuer=issuer_of(self._made_by)))

    def _begin(self, index: int, start: _Start, events: list[Event]) -> None:
        block, call = self._block(index), start.tool_use
        if call is not None and call.type == SERVER_TOOL:
            self._gathered[index] = _Gathered(call=call)
        elif call is not None and call.name == ANSWER_TOOL:
            self._answers.add(index)
        elif call is not None:
            self._calls.add(index)
            self._unargued.add(index)
            events.append(CallBegan(id=call.tool_use_id, name=call.name, block=block))
        elif start.tool_result is not None:
            self._gathered[index] = _Gathered(
                result={name: value.copy() for name, value in start.tool_result.items()}
            )
        elif start.image is not None:
            self._gathered[index] = _Gathered(format=start.image.format)

    def _close(self, index: int, events: list[Event]) -> None:
        """The block is whole. A call without arguments has an empty object of them."""
        if index in self._unargued:
            self._unargued.remove(index)
            events.append(CallDelta("{}", self._block(index)))
        made = self._gathered.pop(index, None)
        if made is None:
            return
        block = self._block(index)
        if made.format is not None:
            events.append(Whole(image("".join(made.text), made.format), block))
            return
        given: dict[str, object]
        if made.call is not None:
            kind = "toolUse"
            given = {
                "toolUseId": made.call.tool_use_id,
                "name": made.call.name,
                "input": _any_json.decode("".join(made.text) or "{}"),
                "type": made.call.type,
            }
        else:
            kind = "toolResult"
            given = {**(made.result or {}), "content": made.pieces}
        raw = Raw(msgspec.json.encode({kind: given}))
        events.append(Whole(Opaque(family=Family.BEDROCK, kind=kind, raw=raw), block))

    def _end(self, end: _EndEvent, events: list[Event]) -> None:
        for index in sorted({*self._gathered, *self._unargued}):
            self._close(index, events)
        self._ended = True
        fields = end.additional_model_response_fields
        stop = stopped_at(fields)
        if stop is None and fields != _NULL:
            events.append(Extra(Family.BEDROCK, {"additionalModelResponseFields": fields.copy()}))
        finish = FINISHES.get(end.stop_reason, Finish.OTHER)
        if finish is Finish.ERROR:
            self._broken = end.stop_reason  # told once its usage has come
            return
        if self._answers and finish is Finish.TOOL_CALLS and not self._calls:
            finish = Finish.STOP
        events.append(Ended(finish=finish, native=end.stop_reason, stop_sequence=stop))

    def _count(self, metadata: _Metadata, events: list[Event]) -> None:
        self.complete = self._ended
        beside = {"trace": metadata.trace, "performanceConfig": metadata.performance_config}
        rest = {name: value.copy() for name, value in beside.items() if value != _NULL}
        if rest:
            events.append(Extra(Family.BEDROCK, rest))
        usage = usage_of(metadata.usage)
        if usage.source is not UsageSource.NONE:
            events.append(Counted(usage))
        if self._broken is not None:
            events.append(Failed(unfinished(self._broken)))

    def _fail(self, message: Message, events: list[Event]) -> None:
        """Nothing follows."""
        self.complete = True
        events.append(Failed(read_failure(message)))

    def _gather(self, index: int) -> _Gathered:
        self._block(index)
        return self._gathered.setdefault(index, _Gathered())

    def _block(self, index: int) -> int:
        return self._blocks.setdefault(index, len(self._blocks))
