"""A streamed answer of Gemini's, read event by event. Pure.

Every event is an answer of its own with a piece of the parts; calls come whole. There is no last event that says so:
the stream is complete when the upstream has ended it and every candidate has said why it finished.
(https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent)
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from inference.codecs.gemini.finish import read_finish, word
from inference.codecs.gemini.grounding import read_citations
from inference.codecs.gemini.logprobs import read_logprobs
from inference.codecs.gemini.reading import CallIds, heard_part
from inference.codecs.gemini.usage import read_usage
from inference.codecs.sse_reader import SseReader
from inference.ir.completion import Finish, unfinished
from inference.ir.content import NO_REST, Family, Reasoning, Text, ToolCall
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
    LogProbs,
    ReasoningDelta,
    Sealed,
    TextDelta,
    Whole,
)
from inference.ir.usage import NO_USAGE, UsageSource
from inference.providers.gemini import answers
from inference.providers.gemini.answers import StreamCandidate, StreamEvent, StreamPart
from inference.providers.gemini.chat_completion import blocked, rest_fields, seconds
from inference.providers.gemini.errors import read_fault

_G = Family.GEMINI


class _Choice(Struct):
    """One candidate on its way: the block being written, what it is, whether a signature closed it."""

    block: int = -1
    kind: str = ""
    calls: bool = False
    reason: str | None = None
    text: list[str] = []
    starts: list[tuple[int, int]] = []
    size: int = 0


class GeminiParser:
    """Events in, words out. `complete` stays False until `finish`: only the upstream's end ends the stream."""

    __slots__ = ("_began", "_choices", "_failed", "_feedback", "_ids", "_reader", "_usage", "complete")

    def __init__(self) -> None:
        self._reader = SseReader()
        self._choices: dict[int, _Choice] = {}
        self._ids = CallIds()
        self._usage = NO_USAGE
        self._feedback = answers.NULL
        self._began = False
        self._failed = False
        self.complete = False

    def feed(self, chunk: bytes) -> Sequence[Event]:
        """Raises UpstreamGarbled."""
        events: list[Event] = []
        for _, data in self._reader.feed(chunk):
            self._take(data, events)
        return events

    def finish(self) -> Sequence[Event]:
        """How each candidate ended, and the final count. Raises UpstreamGarbled where one did not."""
        events: list[Event] = []
        for _, data in self._reader.finish():
            self._take(data, events)
        if self._failed:
            return events
        reason = blocked(self._feedback)
        if reason is not None and not self._choices:
            events.append(Ended(finish=Finish.FILTER, native=reason))
        elif not self._choices or any(choice.reason is None for choice in self._choices.values()):
            raise UpstreamGarbled("The upstream ended its stream before it was complete.")
        ends = [
            Ended(
                finish=read_finish(choice.reason or "", calls=choice.calls),
                native=choice.reason,
                choice=index,
            )
            for index, choice in self._choices.items()
        ]
        broken = next((end for end in ends if end.finish is Finish.ERROR), None)
        if self._usage.source is UsageSource.CONTINUOUS:
            self._usage = msgspec.structs.replace(self._usage, source=UsageSource.REPORTED)
        counted = Counted(self._usage)
        events += [*ends, counted] if broken is None else [counted, Failed(unfinished(broken.native))]
        self.complete = True
        return events

    def _take(self, data: bytes, events: list[Event]) -> None:
        if self._failed:
            return
        try:
            said = answers.read_event(data)
        except (msgspec.DecodeError, RecursionError):
            if not data.startswith(b'[{"error"'):  # how streams that are no event streams tell it
                raise UpstreamGarbled("The upstream sent an event that is none of Gemini's.") from None
            self._failed = self.complete = True
            events.append(Failed(read_fault(data)))
            return
        if said.error is not answers.NULL and not answers.is_null(said.error):
            self._failed = self.complete = True
            events.append(Failed(read_fault(data)))
            return
        if not self._began:
            self._begin(said, events)
        if said.candidates:
            for place, candidate in enumerate(said.candidates):
                self._candidate(candidate, place, data, events)
        if not answers.is_null(said.prompt_feedback):
            self._feedback = said.prompt_feedback
            events.append(Extra(_G, {"promptFeedback": said.prompt_feedback}))
        counted = said.usage_metadata
        if counted is not None:
            usage = read_usage(counted, UsageSource.CONTINUOUS)
            if usage is not NO_USAGE:
                self._usage = usage
                # Before the model has said anything its own tokens are not counted; then what went by tells more.
                if counted.candidates_token_count is not None:
                    events.append(Counted(usage))

    def _begin(self, said: StreamEvent, events: list[Event]) -> None:
        self._began = True
        self._ids = CallIds(said.response_id or "")
        tier = said.usage_metadata.service_tier if said.usage_metadata is not None else None
        events.append(
            Began(
                family=_G,
                id=said.response_id,
                model=said.model_version,
                created=seconds(said.create_time),
                service_tier=tier,
            )
        )

    def _candidate(self, said: StreamCandidate, place: int, data: bytes, events: list[Event]) -> None:
        index = said.index
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        content = said.content
        if content is not None and content.parts:
            for number, part in enumerate(content.parts):
                if part.text is not None:
                    self._said(choice, index, part, events)
                else:
                    self._whole(choice, index, answers.raw_part(data, place, number), events)
        if said.finish_reason is not None:
            choice.reason = word(said.finish_reason)
        rest = rest_fields(said)
        if rest:
            if "groundingMetadata" in rest:
                self._cite(choice, index, rest["groundingMetadata"], events)
            events.append(Extra(_G, rest, index))
        if not answers.is_null(said.logprobs_result):
            read = read_logprobs(said.logprobs_result)
            if read is not None:
                events.append(LogProbs(read, index))

    def _said(self, choice: _Choice, index: int, part: StreamPart, events: list[Event]) -> None:
        text = part.text or ""
        kind = "thought" if part.thought else "text"
        if choice.kind != kind:
            choice.kind = kind
            choice.block += 1
            if kind == "text":
                choice.starts.append((choice.size, choice.block))
        if kind == "text":
            choice.text.append(text)
            choice.size += len(text)
            events.append(TextDelta(text, choice.block, index))
        else:
            events.append(ReasoningDelta(text, choice.block, index))
        if part.thought_signature is not None:
            events.append(Sealed(choice.block, index, signature=part.thought_signature, issuer=_G))
            choice.kind = ""  # what comes next is another part: a signature is of one part alone

    def _whole(self, choice: _Choice, index: int, raw: Raw, events: list[Event]) -> None:
        part = heard_part(raw, self._ids)
        if part is None:
            return
        choice.kind = ""
        choice.block += 1
        if isinstance(part, ToolCall) and part.rest is NO_REST:
            choice.calls = True
            events.append(CallBegan(id=part.id, name=part.name, block=choice.block, choice=index))
            events.append(CallDelta(part.arguments, choice.block, index))
            if part.signature is not None:
                events.append(Sealed(choice.block, index, signature=part.signature, issuer=_G))
        elif isinstance(part, Text | Reasoning):
            raise UpstreamGarbled("The upstream sent a part that is none of Gemini's.")
        else:
            choice.calls = choice.calls or isinstance(part, ToolCall)
            events.append(Whole(part, choice.block, index))

    def _cite(self, choice: _Choice, index: int, grounding: Raw, events: list[Event]) -> None:
        """To the block a passage is in; its place counts from the beginning of all the text."""
        for citation in read_citations(grounding, "".join(choice.text)):
            start = citation.start or 0
            before, block = 0, choice.starts[0][1] if choice.starts else 0
            for began, number in choice.starts:
                if began <= start:
                    before, block = began, number
            if before:
                end = None if citation.end is None else citation.end - before
                citation = msgspec.structs.replace(citation, start=start - before, end=end)  # noqa: PLW2901 - the same citation, in its block
            events.append(Cited(citation, block, index))
