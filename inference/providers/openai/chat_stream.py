"""A stream in OpenAI's chat format, read as events. Pure.

Copes with what its kin do differently: calls without an index or an id, an index that several calls share, thoughts
under three names, usage beside the last choice or under `x_groq`, an end without `[DONE]`.
(https://platform.openai.com/docs/api-reference/chat-streaming)
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from inference.codecs.reasoning_details import Detail, issuer_of
from inference.codecs.sse_reader import SseReader
from inference.ir.completion import Finish, unfinished
from inference.ir.content import Family, Image, Opaque
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
    Failed,
    LogProbs,
    ReasoningDelta,
    RefusalDelta,
    Sealed,
    TextDelta,
    Whole,
)
from inference.ir.usage import NO_USAGE
from inference.providers.openai.chat_answer import (
    call_id,
    drawn,
    failed,
    failure,
    finish_of,
    garbled,
    plain_failure,
    read_annotations,
    read_logprobs,
    signature_of,
)
from inference.providers.openai.chat_chunk import (
    CallPiece,
    Chunk,
    ChunkChoice,
    Delta,
    Function,
    Head,
    read_chunk,
)
from inference.providers.openai.usage import is_null, read_usage

_DONE = b"[DONE]"
_EMPTY = Function()


class _Entry(Struct):
    type: str | None = None
    text: str | None = None


_entry = msgspec.json.Decoder(_Entry)
_string = msgspec.json.Decoder(str)


def _read_entry(item: Raw) -> _Entry:
    """Raises UpstreamGarbled for a text that is none."""
    try:
        return _entry.decode(item)
    except (msgspec.DecodeError, RecursionError):
        raise garbled("has `content` of an unknown shape in its stream") from None


class _Call:
    """A call in the making. `held` are arguments that came before its name; `argued`: it has some, or needs none."""

    __slots__ = ("argued", "began", "block", "held", "id")

    def __init__(self, block: int, id: str) -> None:
        self.block = block
        self.id = id
        self.argued = False
        self.began = False
        self.held = ""


class ChoiceState:
    """One of the answers: which block is being written, and what its calls are."""

    __slots__ = (
        "block",
        "calls",
        "count",
        "index",
        "kind",
        "numbered",
        "sealed",
        "stopped",
        "text",
        "thought",
        "word",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.count = 0
        self.block = 0
        self.kind = ""
        self.text: int | None = None
        self.thought: int | None = None
        self.sealed = False
        self.calls: list[_Call] = []
        self.numbered: dict[int, _Call] = {}
        self.word: str | None = None
        self.stopped: Raw | None = None

    def at(self, kind: str) -> int:
        """The block for a piece of this kind: the one being written, or the next."""
        if self.kind != kind:
            self.kind = kind
            self.block = self.count
            self.count += 1
        return self.block

    def next(self) -> int:
        """A block of its own."""
        self.kind = ""
        self.count += 1
        return self.count - 1


class ChatParser:
    """Reads one stream. `part()` is what a family of servers may read differently: content that is a list."""

    def __init__(self, family: Family = Family.OPENAI_CHAT) -> None:
        self.complete = False
        self._family = family
        self._lines = SseReader()
        self._began = False
        self._answer: str | None = None
        self._choices: dict[int, ChoiceState] = {}

    def feed(self, chunk: bytes) -> Sequence[Event]:
        """Raises UpstreamGarbled."""
        if self.complete:
            return ()
        return self._read(self._lines.feed(chunk))

    def finish(self) -> Sequence[Event]:
        """Raises UpstreamGarbled, unless the answer was over: not every server says so in a last word."""
        if self.complete:
            return ()
        out = self._read(self._lines.finish())
        if not self.complete:
            if not any(choice.word for choice in self._choices.values()):
                raise garbled("broke off")
            self._end(out)
        return out

    def _read(self, events: list[tuple[bytes, bytes]]) -> list[Event]:
        out: list[Event] = []
        for name, data in events:
            if data == _DONE:
                self._end(out)
                break
            chunk = read_chunk(data, head=not self._began)
            reported = _reported(chunk, data)
            if reported is None and name == b"error":
                reported = failed(data)
            if reported is not None:
                out.append(Failed(reported))
                self.complete = True
                break
            self._take(chunk, out)
        return out

    def _take(self, chunk: Chunk, out: list[Event]) -> None:
        if isinstance(chunk, Head):
            self._begin(chunk, out)
        for choice in chunk.choices or ():
            index = choice.index
            state = self._choices.get(index)
            if state is None:
                state = self._choices[index] = ChoiceState(index)
            if choice.delta is not None:
                self._delta(state, choice.delta, out)
            if choice.finish_reason or not is_null(choice.logprobs):
                self._beside(state, choice, out)
        usage = chunk.usage
        if is_null(usage) and chunk.x_groq is not None:
            usage = chunk.x_groq.usage
        if not is_null(usage):
            counted = read_usage(usage)
            if counted is not NO_USAGE:
                out.append(Counted(counted))

    def _begin(self, head: Head, out: list[Event]) -> None:
        """Azure's first event is about the prompt and belongs to no answer yet."""
        if not head.id and not head.choices:
            return
        self._began = True
        self._answer = head.id or None
        out.append(
            Began(
                family=self._family,
                id=self._answer,
                model=head.model or None,
                created=head.created,
                service_tier=head.service_tier,
            )
        )

    def _beside(self, state: ChoiceState, choice: ChunkChoice, out: list[Event]) -> None:
        logprobs = read_logprobs(choice.logprobs)
        if logprobs is not None:
            out.append(LogProbs(logprobs, state.index))
        if choice.finish_reason:
            # Some say it twice, or go on after it: it counts once all is over.
            state.word = choice.finish_reason
            state.stopped = choice.stop_reason

    def _end(self, out: list[Event]) -> None:
        self.complete = True
        for state in self._choices.values():
            for call in state.calls:
                if not call.began and call.held:
                    self._begin_call(state, call, "", custom=False, out=out)
                if call.began and not call.argued:
                    out.append(CallDelta("{}", call.block, state.index))
            if state.word is None:
                continue
            finish = finish_of(state.word, called=bool(state.calls))
            if finish is Finish.ERROR:
                out.append(Failed(unfinished(state.word)))
                return
            stopped = bytes(state.stopped or b"")
            out.append(
                Ended(
                    finish=finish,
                    native=state.word,
                    stop_sequence=stopped[1:-1].decode() if stopped.startswith(b'"') else None,
                    choice=state.index,
                )
            )

    def _delta(self, state: ChoiceState, delta: Delta, out: list[Event]) -> None:
        """Thoughts first: where both come in one event they were thought before they were said."""
        if delta.reasoning_details:
            for detail in delta.reasoning_details:
                self._detail(state, detail, out)
        else:
            thought = delta.reasoning_content or delta.reasoning or delta.thinking
            if thought:
                out.append(ReasoningDelta(thought, state.at("reasoning"), state.index))
        content = delta.content
        if content:
            if isinstance(content, str):
                state.text = state.at("text")
                out.append(TextDelta(content, state.text, state.index))
            else:
                for item in content:
                    self.part(state, item, out)
        if delta.tool_calls:
            for piece in delta.tool_calls:
                self._piece(state, piece, out)
        elif delta.function_call is not None:
            self._piece(state, CallPiece(index=-1, function=delta.function_call), out)
        self._rarely(state, delta, out)

    def _rarely(self, state: ChoiceState, delta: Delta, out: list[Event]) -> None:
        if delta.refusal:
            out.append(RefusalDelta(delta.refusal, state.at("refusal"), state.index))
        if delta.annotations:
            if state.text is None:
                state.text = state.at("text")
            out += [Cited(each, state.text, state.index) for each in read_annotations(delta.annotations)]
        for image in delta.images or ():
            if image.image_url is not None:
                out.append(Whole(Image(source=drawn(image.image_url.url)), state.next(), state.index))
        speech = delta.audio
        if speech is not None:
            out.append(
                AudioDelta(
                    data=speech.data or "",
                    transcript=speech.transcript or "",
                    id=speech.id,
                    expires_at=speech.expires_at,
                    block=state.at("audio"),
                    choice=state.index,
                )
            )
        signature = signature_of(delta.extra_content)
        if signature:
            block = state.at("text") if state.text is None else state.text
            out.append(Sealed(block, state.index, signature=signature, issuer=Family.GEMINI))

    def part(self, state: ChoiceState, item: Raw, out: list[Event]) -> None:
        """One entry of content that came as a list; a string is text, and what is neither says nothing."""
        if bytes(item).startswith(b'"'):
            entry = _Entry("text", _string.decode(item))
        elif bytes(item).startswith(b"{"):
            entry = _read_entry(item)
        else:
            return
        if entry.type == "text" or (entry.type is None and entry.text is not None):
            if entry.text:
                state.text = state.at("text")
                out.append(TextDelta(entry.text, state.text, state.index))
            return
        opaque = Opaque(family=self._family, kind=entry.type or "unknown", raw=item)
        out.append(Whole(opaque, state.next(), state.index))

    def _detail(self, state: ChoiceState, detail: Detail, out: list[Event]) -> None:
        """An entry of `reasoning_details`, put together as `read_details` does with whole ones."""
        issuer = issuer_of(detail)
        if detail.type == "reasoning.encrypted" and detail.data:
            self._encrypted(state, detail, out)
            return
        if detail.summary:
            self._thought(state, detail.index)
            out.append(ReasoningDelta(detail.summary, state.block, state.index, 0))
        elif detail.text:
            self._thought(state, detail.index)
            out.append(ReasoningDelta(detail.text, state.block, state.index))
        if detail.signature:
            if state.kind != "reasoning":
                self._thought(state, detail.index)
            state.sealed = True
            out.append(
                Sealed(state.block, state.index, signature=detail.signature, issuer=issuer, id=detail.id)
            )

    def _thought(self, state: ChoiceState, index: int | None) -> None:
        """The thought that a piece belongs to: a new one after a signature, or under another number."""
        if state.kind == "reasoning" and (state.sealed or state.thought != index):
            state.kind = ""
        state.at("reasoning")
        state.thought, state.sealed = index, False

    def _encrypted(self, state: ChoiceState, detail: Detail, out: list[Event]) -> None:
        issuer = issuer_of(detail)
        if issuer is Family.OPENAI_RESPONSES:
            if state.kind != "reasoning" or state.sealed:
                self._thought(state, detail.index)
            state.sealed = True
            out.append(Sealed(state.block, state.index, signature=detail.data, issuer=issuer, id=detail.id))
            return
        block = state.next()
        out.append(Sealed(block, state.index, redacted=detail.data, issuer=issuer, id=detail.id))

    def _piece(self, state: ChoiceState, piece: CallPiece, out: list[Event]) -> None:
        inner = piece.function or piece.custom or _EMPTY
        call = self._called(state, piece, inner)
        if not call.began and inner.name:
            self._begin_call(state, call, inner.name, custom=piece.custom is not None, out=out)
        arguments = inner.arguments or inner.input
        if arguments:
            call.argued = True
            if call.began:
                out.append(CallDelta(arguments, call.block, state.index))
            else:
                call.held += arguments
        signature = signature_of(piece.extra_content)
        if signature:
            out.append(Sealed(call.block, state.index, signature=signature, issuer=Family.GEMINI))

    def _called(self, state: ChoiceState, piece: CallPiece, inner: Function) -> _Call:
        """The call a piece belongs to. A new id beside a name begins a call, whatever the index says."""
        given = piece.id if piece.id and piece.id != "null" else None
        call = None
        if piece.index is not None:
            call = state.numbered.get(piece.index)
            if call is not None and given and inner.name and given != call.id:
                call = None
        elif given is not None:
            call = next((each for each in state.calls if each.id == given), None)
        elif not inner.name and state.calls:
            call = state.calls[-1]
        if call is None:
            call = _Call(state.next(), given or call_id(self._answer, len(state.calls)))
            state.calls.append(call)
            if piece.index is not None:
                state.numbered[piece.index] = call
        return call

    def _begin_call(
        self, state: ChoiceState, call: _Call, name: str, *, custom: bool, out: list[Event]
    ) -> None:
        call.began = True
        call.argued = call.argued or custom
        out.append(CallBegan(id=call.id, name=name, block=call.block, choice=state.index, custom=custom))
        if call.held:
            out.append(CallDelta(call.held, call.block, state.index))


def _reported(chunk: Chunk, data: bytes) -> AspendosError | None:
    """The error an event tells: by itself, at a choice as OpenRouter does, beside usage as Groq does, or with nothing
    around it."""
    if not is_null(chunk.error):
        return failure(chunk.error)
    if chunk.choices:
        for choice in chunk.choices:
            if not is_null(choice.error):
                return failure(choice.error)
    elif is_null(chunk.usage) and chunk.choices is None:
        return plain_failure(data)
    if chunk.x_groq is not None and not is_null(chunk.x_groq.error):
        return failure(chunk.x_groq.error)
    return None
