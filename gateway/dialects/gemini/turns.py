"""Turns: thoughts that a client kept in the pieces a stream told them in, put together again. Pure.

A stream tells a thought in many parts, the last with the seal of whoever thought it, and Google's SDKs keep the parts
of each event as a turn of their own. An issuer takes a thought back whole or not at all. A conversation in which
nobody but Gemini has sealed anything stays as it is.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct, structs

from inference.codecs.seal import prefixed
from inference.ir.chat import Message, Role
from inference.ir.content import Family, Part, Reasoning
from inference.ir.place import Place


class _Kept(Struct, frozen=True):
    """A part, and where it or its last piece stood: the turn's number and its own in it."""

    part: Part
    turn: int
    place: int


class _Turn(Struct, frozen=True):
    first: int
    parts: list[_Kept]


def whole(turns: Sequence[Message]) -> Sequence[Message]:
    """The turns, each thought in one piece."""
    if not any(_sealed(part) for turn in turns for part in turn.parts):
        return turns
    return [
        structs.replace(turns[made.first], parts=tuple(kept.part for kept in made.parts))
        for made in _gathered(turns)
    ]


def whole_places(turns: Sequence[Message], places: Sequence[Place]) -> Sequence[Place]:
    """Where those turns stand, given where each of the client's did."""
    if not any(_sealed(part) for turn in turns for part in turn.parts):
        return places
    return [
        structs.replace(
            places[made.first], parts=tuple(places[kept.turn].parts[kept.place] for kept in made.parts)
        )
        for made in _gathered(turns)
    ]


def _sealed(part: Part) -> bool:
    """Whether it is a thought that somebody else than Gemini sealed."""
    return isinstance(part, Reasoning) and part.issuer not in (None, Family.GEMINI)


def _gathered(turns: Sequence[Message]) -> Iterator[_Turn]:
    """The model's turns in a row as one, its thoughts joined."""
    row: _Turn | None = None
    for number, turn in enumerate(turns):
        kept = [_Kept(part, number, place) for place, part in enumerate(turn.parts)]
        if turn.role is not Role.ASSISTANT or turn.rest:
            if row is not None:
                yield _joined(row)
            row = None
            yield _joined(_Turn(number, kept))
        elif row is None:
            row = _Turn(number, kept)
        else:
            row.parts.extend(kept)
    if row is not None:
        yield _joined(row)


def _joined(turn: _Turn) -> _Turn:
    made: list[_Kept] = []
    begun = 0
    """How many of the last ones are thoughts without a seal, to which the next may belong."""
    for kept in turn.parts:
        part = kept.part
        if not isinstance(part, Reasoning) or part.rest:
            begun = 0
        elif part.signature is None and part.redacted is None:
            begun += 1
        else:
            if _sealed(part) and part.redacted is None and begun:
                before = "".join(each.part.text for each in made[-begun:] if isinstance(each.part, Reasoning))
                del made[-begun:]
                kept = _Kept(prefixed(before, part), kept.turn, kept.place)  # noqa: PLW2901 - the same one, whole
            begun = 0
        made.append(kept)
    return _Turn(turn.first, made)
