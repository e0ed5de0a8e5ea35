"""Folding: an answer's events put together to the Completion they are, and a Completion taken apart to events. Pure."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct

from inference.ir.completion import Choice, Completion
from inference.ir.content import (
    NO_REST,
    Audio,
    Citation,
    Family,
    Part,
    Reasoning,
    Refusal,
    Rest,
    Source,
    Text,
    ToolCall,
)
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
from inference.ir.usage import NO_USAGE


class _Block(Struct):
    """A part in the making; `made` is one that came whole."""

    text: list[str] = []
    summaries: dict[int, str] = {}
    citations: list[Citation] = []
    call: CallBegan | None = None
    kind: type[object] | None = None
    seal: Sealed | None = None
    audio: AudioDelta | None = None
    made: Part | None = None


class _Choice(Struct):
    blocks: dict[int, _Block] = {}
    ended: Ended | None = None
    logprobs: list[Raw] = []
    rest: Rest = {}


def fold(events: Iterable[Event]) -> Completion:
    """The whole answer. Raises the error that a Failed event reports."""
    began: Began | None = None
    choices: dict[int, _Choice] = {}
    usage, rest, family = NO_USAGE, NO_REST, Family.OPENAI_CHAT
    for event in events:
        match event:
            case Began():
                began, family = event, event.family
            case Counted(counted):
                usage = counted
            case Failed(error):
                raise error
            case Extra(family=owner, rest=more, choice=None):
                rest, family = {**rest, **more}, owner
            case _:
                _take(choices.setdefault(event.choice or 0, _Choice()), event)
    head = began or Began(family=family)
    return Completion(
        family=family,
        id=head.id,
        model=head.model,
        created=head.created,
        service_tier=head.service_tier,
        choices=tuple(_choice(index, choices[index]) for index in sorted(choices)),
        usage=usage,
        rest=rest,
    )


def _take(choice: _Choice, event: Event) -> None:
    if isinstance(event, Ended):
        choice.ended = event
        return
    if isinstance(event, LogProbs):
        choice.logprobs.append(event.raw)
        return
    if isinstance(event, Extra):
        choice.rest |= event.rest
        return
    if isinstance(event, Began | Counted | Failed):
        return
    block = choice.blocks.setdefault(event.block, _Block())
    match event:
        case TextDelta(text) | RefusalDelta(text):
            block.kind = Refusal if isinstance(event, RefusalDelta) else Text
            block.text.append(text)
        case ReasoningDelta(text, summary=None):
            block.kind = Reasoning
            block.text.append(text)
        case ReasoningDelta(text, summary=int(number)):
            block.kind = Reasoning
            block.summaries[number] = block.summaries.get(number, "") + text
        case Sealed():
            block.seal = _sealed(block.seal, event)
        case CallBegan():
            block.call = event
        case CallDelta(arguments):
            block.text.append(arguments)
        case Cited(citation):
            block.citations.append(citation)
        case AudioDelta():
            block.audio = _spoken(block.audio, event)
        case Whole(part):
            block.made = part
        case _:
            pass


def _sealed(before: Sealed | None, event: Sealed) -> Sealed:
    if before is None:
        return event
    return Sealed(
        block=event.block,
        choice=event.choice,
        signature=event.signature or before.signature,
        redacted=event.redacted or before.redacted,
        issuer=event.issuer or before.issuer,
        id=event.id or before.id,
    )


def _spoken(before: AudioDelta | None, event: AudioDelta) -> AudioDelta:
    if before is None:
        return event
    return AudioDelta(
        data=before.data + event.data,
        transcript=before.transcript + event.transcript,
        id=event.id or before.id,
        expires_at=event.expires_at or before.expires_at,
        media_type=event.media_type or before.media_type,
        block=event.block,
        choice=event.choice,
    )


def _choice(index: int, made: _Choice) -> Choice:
    ended = made.ended
    return Choice(
        index=index,
        parts=tuple(_part(made.blocks[number]) for number in sorted(made.blocks)),
        finish=ended.finish if ended else None,
        native=ended.native if ended else None,
        stop_sequence=ended.stop_sequence if ended else None,
        explanation=ended.explanation if ended else None,
        logprobs=_joined(made.logprobs),
        rest=made.rest,
    )


def _part(block: _Block) -> Part:
    text, seal = "".join(block.text), block.seal
    if block.made is not None:
        return block.made
    if block.call is not None:
        began = block.call
        return ToolCall(
            id=began.id,
            name=began.name,
            arguments=text,
            custom=began.custom,
            item_id=began.item_id,
            rest=began.rest,
            signature=seal.signature if seal else None,
            issuer=seal.issuer if seal else None,
        )
    if block.audio is not None:
        audio = block.audio
        source = Source(data=audio.data, media_type=audio.media_type)
        return Audio(
            source=source,
            transcript=audio.transcript or None,
            id=audio.id,
            expires_at=audio.expires_at,
        )
    if block.kind is Refusal:
        return Refusal(text=text)
    if block.kind is Text or (block.kind is None and block.citations):
        return Text(
            text=text,
            citations=tuple(block.citations),
            signature=seal.signature if seal else None,
            issuer=seal.issuer if seal else None,
        )
    return Reasoning(
        text=text,
        summaries=tuple(block.summaries[number] for number in sorted(block.summaries)),
        signature=seal.signature if seal else None,
        redacted=seal.redacted if seal else None,
        issuer=seal.issuer if seal else None,
        id=seal.id if seal else None,
    )


def _joined(pieces: list[Raw]) -> Raw | None:
    """Log probabilities in one object: the lists of each key one after the other."""
    if not pieces:
        return None
    if len(pieces) == 1:
        return pieces[0]
    lists: dict[str, list[Raw]] = {}
    for piece in pieces:
        for key, value in _fields.decode(piece).items():
            if value:
                lists.setdefault(key, []).extend(value)
    return Raw(msgspec.json.encode(lists))


_fields = msgspec.json.Decoder(dict[str, list[Raw] | None])


def unfold(completion: Completion) -> Iterator[Event]:
    """The events of an answer that is there whole, each part in one piece."""
    yield Began(
        family=completion.family,
        id=completion.id,
        model=completion.model,
        created=completion.created,
        service_tier=completion.service_tier,
    )
    for choice in completion.choices:
        for block, part in enumerate(choice.parts):
            yield from _events(part, block, choice.index)
        if choice.logprobs is not None:
            yield LogProbs(choice.logprobs, choice.index)
        if choice.rest:
            yield Extra(completion.family, choice.rest, choice.index)
        if choice.finish is not None:
            yield Ended(
                finish=choice.finish,
                native=choice.native,
                stop_sequence=choice.stop_sequence,
                explanation=choice.explanation,
                choice=choice.index,
            )
    if completion.rest:
        yield Extra(completion.family, completion.rest)
    yield Counted(completion.usage)


def _events(part: Part, block: int, choice: int) -> Iterator[Event]:
    match part:
        case Text():
            yield TextDelta(part.text, block, choice)
            for citation in part.citations:
                yield Cited(citation, block, choice)
            if part.signature is not None:
                yield Sealed(block, choice, signature=part.signature, issuer=part.issuer)
        case Refusal():
            yield RefusalDelta(part.text, block, choice)
        case Reasoning():
            if part.text:
                yield ReasoningDelta(part.text, block, choice)
            for number, summary in enumerate(part.summaries):
                yield ReasoningDelta(summary, block, choice, number)
            yield Sealed(block, choice, part.signature, part.redacted, part.issuer, part.id)
        case ToolCall():
            yield CallBegan(
                id=part.id,
                name=part.name,
                block=block,
                choice=choice,
                custom=part.custom,
                item_id=part.item_id,
                rest=part.rest,
            )
            yield CallDelta(part.arguments, block, choice)
            if part.signature is not None:
                yield Sealed(block, choice, signature=part.signature, issuer=part.issuer)
        case _:
            yield Whole(part, block, choice)
