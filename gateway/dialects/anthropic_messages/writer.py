"""Writer: an answer's events as a stream of Anthropic's. Pure.

Blocks come strictly one after the other there, each with a beginning and an end. A tool's call that begins before the
one under way is complete waits until it is: its pieces are kept and sent after.
(https://docs.anthropic.com/en/docs/build-with-claude/streaming)
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from gateway.dialects.anthropic_messages.answer import message_id, stop_details, stop_reason
from gateway.dialects.anthropic_messages.errors import error_event
from gateway.dialects.anthropic_messages.frames import Block, ending, frame
from gateway.dialects.dialect import Setting
from inference.codecs.anthropic.seals import seal, text_seal
from inference.codecs.anthropic.usage import written_usage
from inference.codecs.anthropic.writing import BlockWriter, citation
from inference.codecs.service_tier import anthropic_tier
from inference.ir.content import Family, Part
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

_text = msgspec.json.Encoder().encode
_IN_DELTA = ("container", "stop_details")
"""What Anthropic says in the last event's delta; all else of an answer stands beside it."""


class MessageWriter:
    """Writes one answer as a stream. `dropped` names what could not be said so far."""

    end = b""

    def __init__(self, setting: Setting) -> None:
        self._dropped: list[str] = []
        self.dropped: Sequence[str] = self._dropped
        self._setting = setting
        self._began: Began | None = None
        self._started = False
        self._own = False
        self._usage = NO_USAGE
        self._open: Block | None = None
        self._places: dict[int, int] = {}
        self._closed: set[int] = set()
        self._waiting: dict[int, list[Event]] = {}
        self._ended: Ended | None = None
        self._last: dict[str, Raw] = {}
        self._seals: dict[int, Sealed] = {}
        self._silent: set[int] = set()

    def write(self, events: Sequence[Event]) -> bytes:
        """What the client may have now."""
        out: list[bytes] = []
        for event in events:
            if type(event) is Sealed and event.signature is not None:
                self._seals[event.block] = event
        for event in events:
            block = self._open
            said = None if block is None else block.goes_on(event)
            if said is None or block is None:
                self._take(event, out)
            elif said:
                out.append(block.prefix + _text(said) + b"}}\n\n")
        if self._began is not None and not self._started:
            self._start(out)
        return b"".join(out)

    def finish(self) -> bytes:
        """The end of the answer."""
        out: list[bytes] = []
        self._start(out)
        self._flush(out)
        ended = self._ended
        reason = (
            stop_reason(ended.finish, ended.native, ended.stop_sequence, own=self._own)
            if ended is not None
            else "end_turn"
        )
        delta: dict[str, object] = {
            "stop_reason": reason,
            "stop_sequence": ended.stop_sequence if ended is not None else None,
        }
        if ended is not None and not self._own:
            delta |= stop_details(ended.explanation)
        out.append(ending(delta, written_usage(self._usage), self._last, _IN_DELTA))
        return b"".join(out)

    def broken(self, error: AspendosError) -> bytes:
        """The error as an event, which Anthropic's SDKs raise."""
        return error_event(error)

    def cut(self, usage: Usage) -> bytes:
        """The end as if the maximum had been reached: what is under way is closed, what waits is not begun."""
        out: list[bytes] = []
        self._start(out)
        self._close(out)
        out.append(ending({"stop_reason": "max_tokens", "stop_sequence": None}, written_usage(usage)))
        return b"".join(out)

    def _take(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Began():
                self._began = event
                self._own = event.family is Family.ANTHROPIC
            case Counted(usage):
                self._usage = usage
            case Ended(choice=0):
                self._ended = event
            case Extra():
                self._extra(event)
            case Failed(error):
                out.append(self.broken(error))
            case LogProbs():
                self._drop("logprobs")
            case Ended():
                self._drop(f"choices[{event.choice}]")
            case _ if event.choice:
                self._drop(f"choices[{event.choice}]")
            case _:
                self._start(out)
                self._piece(event, event.block, out)

    def _extra(self, event: Extra) -> None:
        if self._own and event.choice is None:
            self._last |= event.rest
        else:
            for name in event.rest:
                self._drop(name)

    def _start(self, out: list[bytes]) -> None:
        """The message's head, once something follows it or all that is known of it has come."""
        if self._started:
            return
        self._started = True
        began = self._began or Began(family=Family.OPENAI_CHAT)
        tier = began.service_tier if self._own else anthropic_tier(began.service_tier)
        if tier is None and began.service_tier is not None:
            self._drop("service_tier")
        message: dict[str, object] = {
            "id": message_id(began.id if self._own else None, self._setting),
            "type": "message",
            "role": "assistant",
            "model": self._setting.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": written_usage(self._usage, tier),
        }
        out.append(frame("message_start", {"message": message}))

    def _piece(self, event: Event, number: int, out: list[bytes]) -> None:
        """A piece of a block: of the one under way, of one that has to wait, or of a new one."""
        block = self._open
        if number in self._waiting:
            self._waiting[number].append(event)
            if block is None or block.complete:
                self._go_on(out)
            return
        if number in self._closed:
            if not isinstance(event, CallDelta) or event.arguments.strip():
                self._drop(f"content[{self._places.get(number, number)}]")
            return
        if block is not None and block.number != number:
            if block.complete:
                self._go_on(out)
                block = self._open
            if block is not None:
                self._waiting[number] = [event]
                return
        self._say(event, number, block, out)

    def _say(self, event: Event, number: int, block: Block | None, out: list[bytes]) -> None:
        """A piece of the block under way, or the first of a new one."""
        match event:
            case TextDelta(text) | RefusalDelta(text):
                if block is None and not text:
                    self._silent.add(number)  # a block is begun once there is something to say in it
                    return
                block = block or self._begin(Block.text(number, len(self._places)), out)
                self._delta(block, text, event, out)
            case ReasoningDelta(text):
                block = block or self._begin(Block.thinking(number, len(self._places)), out)
                self._delta(block, block.parted(event) + text, event, out)
            case CallBegan():
                # A call's own signature goes where a client keeps it: into the block's head, if it came with it.
                known = self._seals.get(number)
                sealed = None if known is None else seal(known.issuer, known.signature)
                self._begin(Block.call(number, len(self._places), event, own=self._own, sealed=sealed), out)
                if event.rest and not self._own:
                    self._dropped += [f"content[{len(self._places) - 1}].{name}" for name in event.rest]
            case CallDelta(arguments):
                if block is not None:
                    self._delta(block, arguments, event, out)
            case Cited():
                block = block or self._begin(Block.text(number, len(self._places)), out)
                self._cite(event, block, out)
            case Sealed():
                self._seal(event, number, block, out)
            case Whole(part):
                self._whole(part, number, out)
            case AudioDelta(transcript=said):
                self._drop("audio")
                if said:
                    block = block or self._begin(Block.text(number, len(self._places)), out)
                    self._delta(block, said, event, out)
            case _:
                pass

    def _delta(self, block: Block, text: str, event: Event, out: list[bytes]) -> None:
        if text:
            block.said(event)
            out.append(block.prefix + _text(text) + b"}}\n\n")

    def _cite(self, event: Cited, block: Block, out: list[bytes]) -> None:
        said = citation(event.citation)
        if said is None:
            self._drop(f"content[{block.index}].citations")
            return
        delta = {"type": "citations_delta", "citation": said}
        out.append(frame("content_block_delta", {"index": block.index, "delta": delta}))

    def _seal(self, event: Sealed, number: int, block: Block | None, out: list[bytes]) -> None:
        """A signature: said at the end of its block. Thought that is not shown is a block of its own."""
        if block is None and event.redacted is not None and event.issuer is Family.ANTHROPIC:
            redacted = {"type": "redacted_thinking", "data": event.redacted}
            self._begin(Block.whole(number, len(self._places), redacted), out)
            return
        if block is None and number in self._silent:
            self._seal_text(number, event, out)
            return
        block = block or self._begin(Block.thinking(number, len(self._places)), out)
        if block.kind in ("thinking", "text"):
            block.sealed(event)
        elif event.signature is not None and not block.sealed_call:
            self._drop(f"content[{block.index}].signature")

    def _seal_text(self, number: int, event: Sealed, out: list[bytes]) -> None:
        """A text's signature, for which a text has no field: in a thinking block without a thought."""
        sealed = text_seal(event)
        if sealed is not None:
            block = Block.thinking(number, len(self._places), sealed)
            self._begin(block, out)

    def _whole(self, part: Part, number: int, out: list[bytes]) -> None:
        place = len(self._places)
        writer = BlockWriter(own=self._own, answer=True, dropped=self._dropped)
        found = writer.block(part, f"content[{place}]")
        if found is not None:
            self._begin(Block.whole(number, place, found), out)
        else:
            self._closed.add(number)

    def _begin(self, block: Block, out: list[bytes]) -> Block:
        self._open = block
        self._places[block.number] = block.index
        out.append(block.start)
        return block

    def _close(self, out: list[bytes]) -> None:
        block = self._open
        if block is not None:
            self._closed.add(block.number)
            out.append(block.stop())
            self._open = None
            if block.kind == "text" and block.seal is not None:
                self._seal_text(-1 - block.number, block.seal, out)
                self._close(out)

    def _go_on(self, out: list[bytes]) -> None:
        """Close what is under way, then say what waited for it, in order, up to the first that is not complete."""
        self._close(out)
        for number in sorted(self._waiting):
            self._say_waiting(number, out)
            if self._open is not None and not (self._open.kind == "tool_use" and self._open.complete):
                return
            self._close(out)

    def _flush(self, out: list[bytes]) -> None:
        """The same, whether complete or not: nothing more will come."""
        self._close(out)
        for number in sorted(self._waiting):
            self._say_waiting(number, out)
            self._close(out)

    def _say_waiting(self, number: int, out: list[bytes]) -> None:
        for event in self._waiting.pop(number):
            self._say(event, number, self._open, out)

    def _drop(self, name: str) -> None:
        if name not in self._dropped:
            self._dropped.append(name)
