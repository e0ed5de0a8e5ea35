"""The event stream of the Responses format as neutral events. Pure.

A message's parts are blocks of their own, every other item is one. What arrives in pieces is passed on in pieces; a
server that leaves pieces out is caught up with when it sends the whole.
(https://platform.openai.com/docs/api-reference/responses-streaming)
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw, Struct

from inference.codecs.mending import mended
from inference.codecs.responses.items import ItemReader
from inference.codecs.responses.parts import OWN, read_citation
from inference.codecs.sse_reader import SseReader
from inference.ir.content import Opaque, Part, Reasoning, Refusal, Text, ToolCall
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
    LogProbs,
    ReasoningDelta,
    RefusalDelta,
    Sealed,
    TextDelta,
    Whole,
)
from inference.providers.openai.responses_completion import (
    ResponseHead,
    counted,
    finish_of,
    native_of,
    read_head,
    rest_of,
)
from inference.providers.openai.responses_usage import Failure, failure_of, read_failure
from inference.providers.openai.usage import is_null

_NULL = Raw(b"null")
_EMPTY = (b"null", b"[]")


class _Event(Struct, gc=False):
    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: Raw = _NULL
    logprobs: Raw = _NULL
    annotation: Raw = _NULL
    item: Raw = _NULL
    response: Raw = _NULL
    error: Raw = _NULL
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


_event = msgspec.json.Decoder(_Event).decode
_string = msgspec.json.Decoder(str).decode
_NEEDED = frozenset({"delta", "response"})


def _read_event(data: bytes) -> _Event:
    """Raises msgspec.DecodeError for what is none."""
    try:
        return _event(data)
    except msgspec.ValidationError:
        return mended(data, _Event, _NEEDED)


def _text(delta: Raw) -> str:
    """What a piece says; nothing where it is null."""
    return "" if is_null(delta) else _string(delta)


class _Item:
    """One output item on its way: which blocks it has, and how much of each has been passed on."""

    __slots__ = ("blocks", "call", "cited", "said", "summaries")

    def __init__(self) -> None:
        self.blocks: dict[int, int] = {}
        self.said: dict[int, int] = {}
        self.summaries: set[int] = set()
        self.cited: dict[int, int] = {}
        self.call = False


class ResponsesParser:
    """Reads one stream."""

    def __init__(self) -> None:
        self.complete = False
        self._sse = SseReader()
        self._items: dict[int, _Item] = {}
        self._blocks = 0
        self._called = False
        self._handlers: dict[str, Callable[[_Event, list[Event]], None]] = {
            "response.output_text.delta": self._text,
            "response.refusal.delta": self._refusal,
            "response.reasoning_text.delta": self._thought,
            "response.reasoning_summary_text.delta": self._summary,
            "response.function_call_arguments.delta": self._arguments,
            "response.custom_tool_call_input.delta": self._arguments,
            "response.output_text.annotation.added": self._annotation,
            "response.output_item.added": self._added,
            "response.output_item.done": self._done,
            "response.created": self._began,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._failed,
            "error": self._error,
        }

    def feed(self, chunk: bytes) -> Sequence[Event]:
        """Raises UpstreamGarbled."""
        return self._read(self._sse.feed(chunk))

    def finish(self) -> Sequence[Event]:
        """Raises UpstreamGarbled where the stream was not complete."""
        found = self._read(self._sse.finish())
        if not self.complete:
            raise UpstreamGarbled("The upstream ended its stream before the response was complete.")
        return found

    def _read(self, said: list[tuple[bytes, bytes]]) -> list[Event]:
        out: list[Event] = []
        for _, data in said:
            if self.complete:
                break
            if data == b"[DONE]":
                continue
            try:
                event = _read_event(data)
                handler = self._handlers.get(event.type)
                if handler is not None:
                    handler(event, out)
                elif not event.type and not is_null(event.error):
                    self._error(event, out)
            except (msgspec.DecodeError, RecursionError):
                raise UpstreamGarbled("The upstream sent an event that is no event of this format.") from None
        return out

    # pieces

    def _text(self, event: _Event, out: list[Event]) -> None:
        block = self._block(event.output_index, event.content_index)
        text = _text(event.delta)
        self._items[event.output_index].said[event.content_index] += len(text)
        out.append(TextDelta(text, block))
        if bytes(event.logprobs) not in _EMPTY and bytes(event.logprobs).startswith(b"["):
            out.append(LogProbs(Raw(b'{"content":' + bytes(event.logprobs) + b"}")))

    def _refusal(self, event: _Event, out: list[Event]) -> None:
        block = self._block(event.output_index, event.content_index)
        text = _text(event.delta)
        self._items[event.output_index].said[event.content_index] += len(text)
        out.append(RefusalDelta(text, block))

    def _thought(self, event: _Event, out: list[Event]) -> None:
        block = self._block(event.output_index, 0)
        text = _text(event.delta)
        self._items[event.output_index].said[0] += len(text)
        out.append(ReasoningDelta(text, block))

    def _summary(self, event: _Event, out: list[Event]) -> None:
        block = self._block(event.output_index, 0)
        self._items[event.output_index].summaries.add(event.summary_index)
        out.append(ReasoningDelta(_text(event.delta), block, 0, event.summary_index))

    def _arguments(self, event: _Event, out: list[Event]) -> None:
        item = self._items.get(event.output_index)
        if item is None or not item.call:
            return  # whose they are is not known before the whole item comes, which has them all
        text = _text(event.delta)
        item.said[0] += len(text)
        out.append(CallDelta(text, item.blocks[0]))

    def _annotation(self, event: _Event, out: list[Event]) -> None:
        if is_null(event.annotation):
            return
        block = self._block(event.output_index, event.content_index)
        item = self._items[event.output_index]
        item.cited[event.content_index] = item.cited.get(event.content_index, 0) + 1
        out.append(Cited(read_citation(event.annotation), block))

    # items

    def _added(self, event: _Event, out: list[Event]) -> None:
        part = _only(event.item)
        if isinstance(part, ToolCall):
            self._call(event.output_index, part, out)

    def _call(self, index: int, part: ToolCall, out: list[Event]) -> None:
        block = self._block(index, 0)
        self._called = self._items[index].call = True
        # That it is in progress is what every item is that has just begun.
        rest = {name: value for name, value in part.rest.items() if name != "status"}
        out.append(
            CallBegan(
                id=part.id,
                name=part.name,
                block=block,
                custom=part.custom,
                item_id=part.item_id,
                rest=rest,
            )
        )

    def _done(self, event: _Event, out: list[Event]) -> None:
        try:
            turns = ItemReader("output", answer=True).read([event.item])
        except InvalidField as error:
            raise UpstreamGarbled(f"The upstream's answer cannot be read: {error.message}") from None
        for turn in turns:
            for place, part in enumerate(turn.parts):
                self._catch_up(event.output_index, place, part, out)
            if turn.rest:
                out.append(Extra(OWN, turn.rest, 0))

    def _catch_up(self, index: int, place: int, part: Part, out: list[Event]) -> None:
        """Say what an item says and its pieces did not."""
        block = self._block(index, place)
        item = self._items[index]
        said = item.said[place]
        match part:
            case Text():
                if not said:
                    out.append(TextDelta(part.text, block))
                    out += _logged(part)
                for citation in part.citations[item.cited.get(place, 0) :]:
                    out.append(Cited(citation, block))
            case Refusal():
                if not said:
                    out.append(RefusalDelta(part.text, block))
            case Reasoning():
                if part.text and not said:
                    out.append(ReasoningDelta(part.text, block))
                for number, summary in enumerate(part.summaries):
                    if number not in item.summaries:
                        out.append(ReasoningDelta(summary, block, 0, number))
                out.append(Sealed(block, 0, part.signature, part.redacted, part.issuer, part.id))
            case ToolCall():
                if not item.call:
                    self._call(index, part, out)
                if part.arguments and not said:
                    out.append(CallDelta(part.arguments, block))
            case _:
                out.append(Whole(part, block))

    def _block(self, index: int, place: int) -> int:
        """The number of a part, given when it is first heard of."""
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = _Item()
        block = item.blocks.get(place)
        if block is None:
            block = item.blocks[place] = self._blocks
            item.said[place] = 0
            self._blocks += 1
        return block

    # the whole

    def _began(self, event: _Event, out: list[Event]) -> None:
        head = read_head(event.response)
        out.append(
            Began(
                family=OWN,
                id=head.id,
                model=head.model,
                created=int(head.created_at) if head.created_at is not None else None,
                service_tier=head.service_tier,
            )
        )

    def _ended(self, event: _Event, out: list[Event]) -> None:
        head = read_head(event.response)
        if not self._items:
            self._unseen(head, out)
        finish = finish_of(head, called=self._called)
        if finish is not None:
            out.append(Ended(finish=finish, native=native_of(head)))
        rest = rest_of(head)
        if rest:
            out.append(Extra(OWN, rest))
        out.append(Counted(counted(head)))
        self.complete = True

    def _unseen(self, head: ResponseHead, out: list[Event]) -> None:
        """A server that tells of its items only at the end."""
        for index, item in enumerate(head.output or ()):
            self._done(_Event(output_index=index, item=item), out)

    def _failed(self, event: _Event, out: list[Event]) -> None:
        head = read_head(event.response)
        if head.usage is not None:
            out.append(Counted(counted(head)))
        out.append(Failed(read_failure(head.error)))
        self.complete = True

    def _error(self, event: _Event, out: list[Event]) -> None:
        if is_null(event.error):
            failure = failure_of(Failure(code=event.code, message=event.message, param=event.param))
        else:
            failure = read_failure(event.error)
        out.append(Failed(failure))
        self.complete = True


def _only(item: Raw) -> Part | None:
    """The one part of an item that is no message; None for all others, and for what says too little yet."""
    try:
        turns = ItemReader("output", answer=True).read([item])
    except InvalidField:
        return None
    parts = turns[0].parts if turns else ()
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], Text | Opaque) else None


def _logged(part: Text) -> list[Event]:
    raw = part.rest.get("logprobs")
    return (
        []
        if raw is None or not bytes(raw).startswith(b"[")
        else [LogProbs(Raw(b'{"content":' + bytes(raw) + b"}"))]
    )
