"""Compare: two tallies of the same usage, side by side, and whether their difference is worth an alarm. Pure.

A difference is worth one when it is larger than an absolute floor (small sums jitter) and larger than a share
of the larger side. Judged per model over the whole time, never per day: a request that began before midnight is
counted on another day there than here, and that evens out. Everything is an integer.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

UNNAMED = "(all models)"
"""Stands for the model where a count does not tell them apart."""

Count = Annotated[int, Meta(ge=0)]


class Tally(Struct, frozen=True, kw_only=True):
    """What one side counted. Tokens as in `Usage`: input includes the cached; None: it does not say.

    `estimated_tokens` are those of ours, both kinds, that nobody but this gateway counted.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    requests: int | None = None
    cost_nano: int | None = None
    estimated_tokens: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            requests=_plus(self.requests, other.requests),
            cost_nano=_plus(self.cost_nano, other.cost_nano),
            estimated_tokens=self.estimated_tokens + other.estimated_tokens,
        )


class Counted(Struct, frozen=True, kw_only=True):
    """One model's tally on one day (ISO date, UTC). None: all models, or no day said."""

    tally: Tally
    model: str | None = None
    day: str | None = None


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alarm needs more than both. `share_bp` in hundredths of a per cent of the larger side (100: 1 %)."""

    share_bp: Annotated[int, Meta(ge=0, le=10_000)] = 100
    tokens: Count = 1_000
    cost_nano: Count = 10_000_000


class Difference(Struct, frozen=True, kw_only=True):
    """Ours less theirs; negative: they counted more. `drift_bp` is the largest share, in hundredths of a per cent.

    `alarm` names what is off (`input_tokens`, `output_tokens`, `cost`), nothing where all is well.
    """

    model: str
    day: str | None
    ours: Tally
    theirs: Tally
    input_drift: int
    output_drift: int
    cost_drift_nano: int | None
    drift_bp: int
    alarm: tuple[str, ...]


class Comparison(Struct, frozen=True, kw_only=True):
    """The whole first, then model by model, the worst first, then by model and day. `alarm`: anything is off."""

    alarm: bool
    total: Difference
    models: tuple[Difference, ...]
    days: tuple[Difference, ...]


def compare(
    ours: Iterable[Counted],
    theirs: Iterable[Counted],
    thresholds: Thresholds,
    *,
    names: Mapping[str, str] | None = None,
) -> Comparison:
    """`names` maps their word for a model to ours; a dated snapshot's name is matched without being told.

    Where they do not tell models apart, only the whole is judged.
    """
    mine, said = list(ours), list(theirs)
    known = {counted.model for counted in mine if counted.model is not None}
    yours = [_renamed(counted, known, names or {}) for counted in said]
    told_apart = all(counted.model is not None for counted in yours)
    total = _difference(UNNAMED, None, _sum(mine), _sum(yours), thresholds)
    models = _by(mine, yours, thresholds, days=False) if told_apart else ()
    dated = told_apart and all(counted.day is not None for counted in yours)
    days = _by(mine, yours, thresholds, days=True) if dated else ()
    return Comparison(
        alarm=bool(total.alarm) or any(difference.alarm for difference in models),
        total=total,
        models=tuple(sorted(models, key=lambda line: (not line.alarm, -line.drift_bp, line.model))),
        days=days,
    )


def snapshot_of(name: str) -> str:
    """A model's name without the date of its snapshot: `gpt-4o-2024-08-06` and `claude-x-20250514` lose it."""
    head, dash, tail = name.rpartition("-")
    if dash and len(tail) == 8 and tail.isdigit():
        return head
    parts = name.rsplit("-", 3)
    if len(parts) == 4 and [len(part) for part in parts[1:]] == [4, 2, 2] and "".join(parts[1:]).isdigit():
        return parts[0]
    return name


def _renamed(counted: Counted, known: set[str], names: Mapping[str, str]) -> Counted:
    model = counted.model
    if model is None:
        return counted
    if model in names:
        return msgspec.structs.replace(counted, model=names[model])
    if model not in known and snapshot_of(model) in known:
        return msgspec.structs.replace(counted, model=snapshot_of(model))
    return counted


def _by(
    ours: list[Counted], theirs: list[Counted], thresholds: Thresholds, *, days: bool
) -> tuple[Difference, ...]:
    mine, yours = _grouped(ours, days=days), _grouped(theirs, days=days)
    return tuple(
        _difference(model, day or None, mine.get((model, day)), yours.get((model, day)), thresholds)
        for model, day in sorted(mine.keys() | yours.keys())
    )


def _grouped(side: list[Counted], *, days: bool) -> dict[tuple[str, str], Tally]:
    groups: dict[tuple[str, str], Tally] = {}
    for counted in side:
        group = (counted.model or UNNAMED, (counted.day or "") if days else "")
        groups[group] = groups[group] + counted.tally if group in groups else counted.tally
    return groups


def _sum(side: list[Counted]) -> Tally | None:
    total: Tally | None = None
    for counted in side:
        total = counted.tally if total is None else total + counted.tally
    return total


def _difference(
    model: str, day: str | None, ours: Tally | None, theirs: Tally | None, thresholds: Thresholds
) -> Difference:
    # A side without the model at all has counted nothing of it, and that much is known.
    mine = ours or Tally(requests=0, cost_nano=0)
    yours = theirs or Tally(requests=0, cost_nano=0)
    pairs = {
        "input_tokens": (mine.input_tokens, yours.input_tokens, thresholds.tokens),
        "output_tokens": (mine.output_tokens, yours.output_tokens, thresholds.tokens),
    }
    if mine.cost_nano is not None and yours.cost_nano is not None:
        pairs["cost"] = (mine.cost_nano, yours.cost_nano, thresholds.cost_nano)
    shares = {name: _share_bp(here, there) for name, (here, there, _) in pairs.items()}
    cost = pairs.get("cost")
    return Difference(
        model=model,
        day=day,
        ours=mine,
        theirs=yours,
        input_drift=mine.input_tokens - yours.input_tokens,
        output_drift=mine.output_tokens - yours.output_tokens,
        cost_drift_nano=None if cost is None else cost[0] - cost[1],
        drift_bp=max(shares.values()),
        alarm=tuple(
            name
            for name, (here, there, floor) in pairs.items()
            if abs(here - there) > floor and shares[name] > thresholds.share_bp
        ),
    )


def _share_bp(here: int, there: int) -> int:
    """The difference in hundredths of a per cent of the larger side, rounded up: 0 means equal."""
    larger = max(here, there)
    return 0 if larger == 0 else -(-abs(here - there) * 10_000 // larger)


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
