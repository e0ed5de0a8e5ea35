"""Reconciliation: the records of this installation beside a provider's export, or beside its workers' counters.

Brings the journal in first, so that what has ended is counted. Refuses to change anything: it says what is off,
and people decide.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from billing.drain import Drain
from billing.filters import usage_filter
from billing.reconciliation.compare import Comparison, Counted, Thresholds, compare
from billing.reconciliation.counters import Look, Processed, between
from billing.reconciliation.exports import Form, read_export
from billing.reconciliation.recorded import recorded
from billing.reports import iso
from inference.ir.cards import Provider
from inference.ir.errors import InvalidField

_PATIENCE = 5.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reconciled(Struct, frozen=True, kw_only=True):
    """What was compared and what came of it. Times in ISO 8601, `end` excluded; drift is ours less theirs.

    `notes` say what may explain a difference, or why this one proves little; `complete`: everything this machine
    had written down by then is in the sums.
    """

    provider: str
    start: str
    end: str
    alarm: bool
    complete: bool
    notes: tuple[str, ...]
    comparison: Comparison


class Span(Struct, frozen=True, kw_only=True):
    """From `start` up to, not including, `end`; unix nanoseconds."""

    start: int
    end: int


class Reconciliation:
    """Compares. `providers` are the catalogue's of the moment."""

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        drain: Drain,
        providers: Callable[[], Mapping[str, Provider]],
    ) -> None:
        self._reading = reading
        self._drain = drain
        self._providers = providers

    async def with_export(
        self,
        provider: str,
        export: str,
        *,
        form: Form = "auto",
        span: Span | None = None,
        thresholds: Thresholds | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Reconciled:
        """Beside a provider's own figures; without a span, the days the export has.

        Raises InvalidField and Unavailable.
        """
        self._known(provider)
        theirs = read_export(export, form)
        within = span or _days_of(theirs)
        if span is not None:
            theirs = [counted for counted in theirs if _inside(counted, span)]
        notes: list[str] = []
        if any(counted.model is None for counted in theirs):
            notes.append("The export does not tell models apart, so only the whole was compared.")
        return await self._compared(
            provider, theirs, within, thresholds or Thresholds(), names=names, notes=notes
        )

    async def with_counters(
        self,
        provider: str,
        looks: Mapping[str, tuple[Look, Look]],
        span: Span,
        *,
        thresholds: Thresholds | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Reconciled:
        """Beside what vLLM workers processed between two looks at each; the key is only for the notes.

        A worker counts whoever asks it, so calls with tenants' own keys are on our side too. Judged as a whole:
        a worker knows a model by one name, its clients perhaps by several.
        """
        self._known(provider)
        spans = {worker: between(before, after) for worker, (before, after) in looks.items()}
        theirs = [counted for processed in spans.values() for counted in processed.counted]
        reconciled = await self._compared(
            provider,
            theirs,
            span,
            thresholds or Thresholds(),
            names=names,
            notes=_doubts(spans),
            own_keys=True,
            by_day=False,
        )
        restarted = any(processed.restarted for processed in spans.values())
        off = bool(reconciled.comparison.total.alarm) and not restarted
        return _judged(reconciled, alarm=off)

    async def _compared(
        self,
        provider: str,
        theirs: list[Counted],
        span: Span,
        thresholds: Thresholds,
        *,
        names: Mapping[str, str] | None,
        notes: list[str],
        own_keys: bool = False,
        by_day: bool = True,
    ) -> Reconciled:
        complete = await self._drain.flush(timeout=_PATIENCE)
        async with self._reading() as session:
            ours = await recorded(
                session, provider, start=span.start, end=span.end, own_keys=own_keys, by_day=by_day
            )
        comparison = compare(ours, theirs, thresholds, names=names)
        if not complete:
            notes.append(
                "The journal could not be brought in whole, so our side may be short of a few calls."
            )
        estimated = comparison.total.ours.estimated_tokens
        if estimated:
            notes.append(f"{estimated} of our tokens are estimates: their answers came without usage.")
        return Reconciled(
            provider=provider,
            start=iso(span.start),
            end=iso(span.end),
            alarm=comparison.alarm,
            complete=complete,
            notes=tuple(notes),
            comparison=comparison,
        )

    def _known(self, provider: str) -> None:
        providers = self._providers()
        if provider not in providers:
            raise InvalidField(
                f"There is no provider {provider[:64]!r}; the catalogue has {', '.join(sorted(providers))}.",
                param="provider",
            )


def span_of(start: str | None, end: str | None) -> Span | None:
    """Both ends or none of them. Raises InvalidField."""
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise InvalidField("start, end: give both or neither", param="start" if start is None else "end")
    found = usage_filter({"from": start, "to": end})
    if found.start is None or found.end is None:
        raise InvalidField("start, end: give both or neither", param="start")
    return Span(start=found.start, end=found.end)


def _judged(reconciled: Reconciled, *, alarm: bool) -> Reconciled:
    return Reconciled(
        provider=reconciled.provider,
        start=reconciled.start,
        end=reconciled.end,
        alarm=alarm,
        complete=reconciled.complete,
        notes=reconciled.notes,
        comparison=reconciled.comparison,
    )


def _doubts(spans: Mapping[str, Processed]) -> list[str]:
    notes: list[str] = []
    restarted = sum(processed.restarted for processed in spans.values())
    if restarted:
        notes.append(
            f"{restarted} of {len(spans)} workers started anew in between: what they had counted before is lost, "
            "so this proves nothing."
        )
    busy = sum(processed.busy for processed in spans.values())
    if busy:
        notes.append(
            f"{busy} requests were under way at the looks: their tokens may be on one side only. Look when nothing "
            "runs to be exact."
        )
    return notes


def _days_of(theirs: list[Counted]) -> Span:
    days = sorted({counted.day for counted in theirs if counted.day is not None})
    if not days or any(counted.day is None for counted in theirs):
        raise InvalidField("from, to: say them; not every line of this export has a date", param="from")
    return Span(start=_nano(days[0]), end=_nano(days[-1], 1))


def _inside(counted: Counted, span: Span) -> bool:
    """Whether a day lies within; one that is cut by an end of the span is in, as the export cannot be cut."""
    return counted.day is None or (_nano(counted.day) < span.end and _nano(counted.day, 1) > span.start)


def _nano(day: str, later: int = 0) -> int:
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=later)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
