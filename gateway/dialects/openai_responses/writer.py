"""Neutral events as the events of a response: opened, told in pieces, closed, and in the end the whole again. Pure.

Items come one after the other, each closed before the next is opened: there are clients that put pieces together by
the item that was opened last. (https://platform.openai.com/docs/api-reference/responses-streaming)
"""

from collections.abc import Callable, Sequence

from msgspec import Raw

from gateway.dialects.dialect import Setting
from gateway.dialects.in_turn import InTurn
from gateway.dialects.openai_responses.open_items import (
    Lines,
    Open,
    OpenCall,
    OpenMessage,
    OpenReasoning,
    OpenText,
)
from gateway.dialects.openai_responses.output import Names, call_prefix, logged, picture_item, sealed_item
from gateway.dialects.openai_responses.response import INCOMPLETE, Echo, base_of
from gateway.dialects.openai_responses.voice import error_event
from inference.codecs.responses.parts import OWN, write_citation
from inference.codecs.responses.seals import Seal, write_seal
from inference.codecs.service_tier import openai_tier
from inference.ir.chat import ChatRequest
from inference.ir.completion import Finish
from inference.ir.content import Family, Image, Opaque, Part
from inference.ir.errors import AspendosError
from inference.ir.events import (
    AudioDelta,
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
from inference.ir.usage import NO_USAGE, Usage

_LOGLESS = b',"logprobs":[]'
_EXPLANATION = -1
"""The block of what a provider says beside the answer of why it was refused."""


class ResponsesWriter:
    """Writes one answer. What ends it, the whole response, is kept for `finish`."""

    end: bytes = b""

    def __init__(self, asked: ChatRequest, setting: Setting) -> None:
        self._dropped: list[str] = []
        self.dropped: Sequence[str] = self._dropped
        self._echo = Echo(asked, setting)
        self._names = Names(base_of(setting))
        self._lines = Lines()
        self._items: list[object] = []
        self._open: dict[int, Open] = {}
        self._texts: dict[int, OpenText] = {}
        self._calls: dict[int, OpenCall] = {}
        self._silent: set[int] = set()
        self._turn = InTurn()
        self._family: Family | None = None
        self._tier: str | None = None
        self._finish: Finish | None = None
        self._usage = NO_USAGE
        self._failed = False
        self._begun = False
        self._refused = False
        self._sealed_text: Seal | None = None
        self._status = "completed"
        self._handlers: dict[type, Callable[..., bytes]] = {
            Began: self._began,
            RefusalDelta: self._refusal,
            ReasoningDelta: self._reasoning,
            Sealed: self._seal,
            CallBegan: self._call,
            CallDelta: self._arguments,
            AudioDelta: self._audio,
            Whole: self._whole,
            Cited: self._cited,
            LogProbs: self._unplaced,
            Ended: self._ended,
            Counted: self._counted,
            Extra: self._extra,
            Failed: self._fail,
        }

    def write(self, events: Sequence[Event]) -> bytes:
        """What the client may have now."""
        return self._tell(self._turn.order(events))

    def _tell(self, events: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        logs: LogProbs | None = None
        for at, event in enumerate(events):
            if getattr(event, "choice", 0):  # a response has one answer
                self._drop(f"choices[{event.choice}]")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType] - it was just seen to have one
                continue
            if type(event) is TextDelta:
                text = self._texts.get(event.block)
                if text is None:
                    if not event.text:
                        self._silent.add(
                            event.block
                        )  # a message is begun once there is something to say in it
                        continue
                    out.append(self._begin_text(event.block, refusal=False))
                    text = self._texts[event.block]
                text.pieces.append(event.text)
                following = events[at + 1] if at + 1 < len(events) else None
                if isinstance(following, LogProbs):
                    logs = following
                    out.append(self._logged(text, event.text, logs))
                else:
                    out.append(self._lines.piece(text.head, event.text, _LOGLESS))
            elif event is logs:
                logs = None
            else:
                out.append(self._handlers[type(event)](event))
        return b"".join(out)

    def finish(self) -> bytes:
        """The end of every item, and the whole response."""
        if self._failed:
            return b""
        out = self._start() + self._tell(self._turn.rest()) + self._close_all()
        incomplete = self._finish in INCOMPLETE
        status = "incomplete" if incomplete else "completed"
        return out + self._final(status, self._usage, self._finish)

    def broken(self, error: AspendosError) -> bytes:
        """The error as an event, which OpenAI's SDKs raise."""
        return error_event(error, self._lines.next)

    def cut(self, usage: Usage) -> bytes:
        """The response as far as it came, incomplete."""
        self._status = "incomplete"
        out = self._start() + self._tell(self._turn.rest()) + self._close_all()
        return out + self._final("incomplete", usage, Finish.LENGTH)

    # the whole

    def _start(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        say, told = self._lines.say, self._echo.object("in_progress", tier=self._tier)
        return say("response.created", response=told) + say("response.in_progress", response=told)

    def _final(self, status: str, usage: Usage, finish: Finish | None) -> bytes:
        told = self._echo.object(status, output=self._items, usage=usage, finish=finish, tier=self._tier)
        return self._lines.say(f"response.{status}", response=told)

    def _began(self, event: Began) -> bytes:
        self._family = event.family
        self._tier = event.service_tier if event.family is OWN else openai_tier(event.service_tier)
        if self._tier is None and event.service_tier is not None:
            self._drop("service_tier")
        return self._start()

    def _ended(self, event: Ended) -> bytes:
        self._finish = event.finish
        if event.stop_sequence is not None:
            self._drop("stop_sequence")
        if event.explanation is None or self._refused:
            return b""
        return self._refusal(RefusalDelta(event.explanation, _EXPLANATION))

    def _counted(self, event: Counted) -> bytes:
        self._usage = event.usage
        return b""

    def _fail(self, event: Failed) -> bytes:
        self._failed = True
        for item in self._open.values():
            self._items[item.index] = item.item("incomplete")
        told = self._echo.object(
            "failed", output=self._items, usage=self._usage, tier=self._tier, error=event.error
        )
        return self._start() + self._lines.say("response.failed", response=told)

    def _extra(self, event: Extra) -> bytes:
        if event.family is not OWN:
            for key in event.rest:
                self._drop(key)
        elif event.choice is not None and "phase" in event.rest:
            for item in self._open.values():
                if isinstance(item, OpenMessage):
                    item.more = {"phase": event.rest["phase"]}
        return b""

    def _unplaced(self, event: LogProbs) -> bytes:
        """Log probabilities that came apart from their text go to the part being said."""
        for text in self._texts.values():
            text.logprobs += logged(event.raw)
        return b""

    # text

    def _begin_text(self, block: int, *, refusal: bool) -> bytes:
        out = self._start()
        if self._sealed_text is not None:
            out += self._close_all()
        message = next((item for item in self._open.values() if isinstance(item, OpenMessage)), None)
        if message is None:
            out += self._close_all()
            index = len(self._items)
            message = OpenMessage(self._names.of("msg", index), index)
            out += self._add(message)
        else:
            out += message.close_part(self._lines)
            self._open.clear()
            self._texts.clear()
        self._open[block] = message
        out += message.open_part(self._lines, refusal=refusal)
        self._texts[block] = message.parts[-1]
        return out

    def _logged(self, text: OpenText, piece: str, logs: LogProbs) -> bytes:
        entries = logged(logs.raw)
        text.logprobs += entries
        tail = b',"logprobs":[' + b",".join(bytes(each) for each in entries) + b"]"
        return self._lines.piece(text.head, piece, tail)

    def _refusal(self, event: RefusalDelta) -> bytes:
        self._refused = True
        text = self._texts.get(event.block)
        out = b"" if text is not None else self._begin_text(event.block, refusal=True)
        text = self._texts[event.block]
        text.pieces.append(event.text)
        return out + self._lines.piece(text.head, event.text)

    def _audio(self, event: AudioDelta) -> bytes:
        if event.data:
            self._drop(f"output[{max(len(self._items) - 1, 0)}].audio")
        return self._tell([TextDelta(event.transcript, event.block)]) if event.transcript else b""

    def _cited(self, event: Cited) -> bytes:
        text, message = self._texts.get(event.block), self._open.get(event.block)
        written = write_citation(event.citation)
        if text is None or not isinstance(message, OpenMessage) or written is None:
            self._drop(f"output[{max(len(self._items) - 1, 0)}].citations")
            return b""
        text.annotations.append(written)
        return self._lines.say(
            "response.output_text.annotation.added",
            item_id=message.id,
            output_index=message.index,
            content_index=text.place,
            annotation_index=len(text.annotations) - 1,
            annotation=written,
        )

    # everything else

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        item, out = self._thought(event.block)
        if event.summary is None:
            return out + item.think(self._lines, event.text)
        return out + item.summarise(self._lines, event.text, event.summary)

    def _thought(self, block: int) -> tuple[OpenReasoning, bytes]:
        item = self._open.get(block)
        if isinstance(item, OpenReasoning):
            return item, b""
        out = self._start() + self._close_all()
        index = len(self._items)
        item = self._open[block] = OpenReasoning(self._names.of("rs", index), index)
        return item, out + self._add(item)

    def _seal(self, event: Sealed) -> bytes:
        """Of a thought it closes the item; of text or a call it follows as an item of its own."""
        item = self._open.get(event.block)
        text = None
        if event.issuer is not None and event.signature is not None:
            text = Seal(issuer=event.issuer, signature=event.signature, text=True)
        if isinstance(item, OpenCall):
            item.sealed = _call_seal(event, item) or item.sealed
            return b""
        if isinstance(item, OpenMessage):
            self._sealed_text = text or self._sealed_text
            return b""
        if event.block in self._calls:
            late = _call_seal(event, self._calls[event.block])
            return b"" if late is None else self._close_all() + self._sealed(late)
        if event.block in self._silent:
            return b"" if text is None else self._start() + self._close_all() + self._sealed(write_seal(text))
        thought, out = self._thought(event.block)
        if event.issuer is not None and (event.signature is not None or event.redacted is not None):
            seal = Seal(issuer=event.issuer, signature=event.signature, redacted=event.redacted)
            thought.sealed = write_seal(seal)
        return out

    def _call(self, event: CallBegan) -> bytes:
        out = self._start() + self._close_all()
        index = len(self._items)
        name = self._names.of(call_prefix(event.custom), index)
        item = OpenCall(name, index, event, own=self._family is OWN)
        self._open[event.block] = self._calls[event.block] = item
        return out + self._add(item)

    def _arguments(self, event: CallDelta) -> bytes:
        item = self._open.get(event.block)
        if not isinstance(item, OpenCall):
            closed = self._calls.get(event.block)
            if closed is not None and event.arguments.strip():
                self._drop(f"output[{closed.index}].arguments")
            return b""
        if not event.arguments:
            return b""
        item.pieces.append(event.arguments)
        return self._lines.piece(item.head, event.arguments)

    def _whole(self, event: Whole) -> bytes:
        out = self._start() + self._close_all()
        part: Part = event.part
        index = len(self._items)
        made: object
        if isinstance(part, Opaque) and part.family is OWN:
            made = part.raw
        elif isinstance(part, Image) and part.source.data is not None:
            made = picture_item(self._names.of("ig", index), part)
        else:
            what = part.kind if isinstance(part, Opaque) else type(part).__name__.lower()
            self._drop(f"output[{index}].{what}")
            return out
        return out + self._complete(made)

    # opening and closing

    def _add(self, item: Open) -> bytes:
        self._items.append(None)
        return self._lines.say(
            "response.output_item.added", output_index=item.index, item=item.item("in_progress")
        )

    def _complete(self, made: object | Raw) -> bytes:
        """An item that is there whole."""
        index = len(self._items)
        self._items.append(made)
        say = self._lines.say
        return say("response.output_item.added", output_index=index, item=made) + say(
            "response.output_item.done", output_index=index, item=made
        )

    def _close_all(self) -> bytes:
        out: list[bytes] = []
        seals: list[str] = []
        for item in dict.fromkeys(self._open.values()):
            if isinstance(item, OpenMessage):
                out.append(item.close_part(self._lines))
            else:
                out.append(item.close(self._lines))
                if isinstance(item, OpenCall) and item.sealed is not None:
                    seals.append(item.sealed)
            made = self._items[item.index] = item.item(self._status)
            out.append(self._lines.say("response.output_item.done", output_index=item.index, item=made))
        self._open.clear()
        self._texts.clear()
        if self._sealed_text is not None:
            seals.append(write_seal(self._sealed_text))
            self._sealed_text = None
        out += [self._sealed(seal) for seal in seals]
        return b"".join(out)

    def _sealed(self, seal: str) -> bytes:
        return self._complete(sealed_item(self._names.of("rs", len(self._items)), seal))

    def _drop(self, name: str) -> None:
        if name not in self._dropped:
            self._dropped.append(name)


def _call_seal(event: Sealed, call: OpenCall) -> str | None:
    """A call's signature, as it follows the call."""
    if event.issuer is None or event.signature is None:
        return None
    return write_seal(Seal(issuer=event.issuer, signature=event.signature, call=call.began.id))
