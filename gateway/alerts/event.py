"""Events: what an alert says, as JSON for programs and as words for people. Pure; sends nothing.

`id` names the event for ever: an alert may arrive twice, and a receiver that remembers ids notices.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from billing.budgets.budget import Action, Budget, SubjectKind
from billing.budgets.crossing import PACE, REFUSED, Crossing, Figures
from billing.pricing import usd

THRESHOLD_TYPE = "budget.threshold"
PACE_TYPE = "budget.pace"
REFUSED_TYPE = "budget.refused"
TEST_TYPE = "budget.test"
TEST_MARK = "test"


_TYPES = {PACE: PACE_TYPE, REFUSED: REFUSED_TYPE}


class EventData(Struct, frozen=True, kw_only=True):
    """The budget and its figures when the alert was raised. Amounts twice: nano-USD and decimal USD.

    `threshold` is in per cent, None for other alerts. `refused`: requests are being turned away.
    """

    budget: str
    name: str
    organisation: str
    subject_kind: SubjectKind
    subject: str
    period: str
    time_zone: str
    starts: str
    ends: str
    action: Action
    threshold: int | None
    spent_nano: int
    spent_usd: str
    today_nano: int
    today_usd: str
    limit_nano: int
    limit_usd: str
    refused: bool


class Event(Struct, frozen=True, kw_only=True):
    """What is posted to a webhook. `created` is in seconds since 1970."""

    id: str
    type: str
    created: int
    data: EventData


def event_of(figures: Figures, crossing: Crossing, *, event_id: str, now: float) -> Event:
    """The event of one alert; of a test where the crossing's mark is `test`."""
    budget, span = figures.budget, figures.span
    threshold = int(crossing.mark) if crossing.mark.isdigit() else None
    kind = THRESHOLD_TYPE if threshold is not None else _TYPES.get(crossing.mark, TEST_TYPE)
    return Event(
        id=event_id,
        type=kind,
        created=int(now),
        data=EventData(
            budget=budget.id,
            name=budget.name,
            organisation=budget.org_id,
            subject_kind=budget.subject.kind,
            subject=budget.subject.id,
            period=crossing.period_id,
            time_zone=budget.time_zone,
            starts=local(span.starts, budget),
            ends=local(span.ends, budget),
            action=budget.action,
            threshold=threshold,
            spent_nano=figures.spent_nano,
            spent_usd=usd(figures.spent_nano),
            today_nano=figures.day_nano,
            today_usd=usd(figures.day_nano),
            limit_nano=budget.amount_nano,
            limit_usd=usd(budget.amount_nano),
            refused=figures.refused,
        ),
    )


def encoded(event: Event) -> str:
    """As it is stored and signed: byte for byte the same at every attempt."""
    return msgspec.json.encode(event).decode()


def decoded(payload: str) -> Event:
    """The event of a stored payload."""
    return msgspec.json.decode(payload, type=Event)


def headline(event: Event) -> str:
    """One line for a mail's subject and for the log."""
    data = event.data
    if event.type == TEST_TYPE:
        return f"Test alert of the budget {data.name!r}"
    if event.type == PACE_TYPE:
        return f"Budget {data.name!r}: today's spending is more than 50 % over its daily share"
    if event.type == REFUSED_TYPE:
        return f"Budget {data.name!r} refuses requests: the most they may cost is more than what is left"
    if data.refused and data.threshold == 100:
        return f"Budget {data.name!r} is used up: requests are refused"
    return f"Budget {data.name!r} has reached {data.threshold} %"


def text(event: Event) -> str:
    """The alert for a person to read."""
    data = event.data
    then = {
        Action.HARD: "When it is used up, requests are refused (402) until it begins anew.",
        Action.DOWNGRADE: "When it is used up, requests are served by a cheaper model until it begins anew.",
        Action.NOTIFY: "It only tells: requests go on when it is used up.",
    }[data.action]
    return (
        f"{headline(event)}.\n\n"
        f"Spent:   {data.spent_usd} USD of {data.limit_usd} USD in {data.period} ({data.time_zone})\n"
        f"Today:   {data.today_usd} USD\n"
        f"Subject: {data.subject_kind} {data.subject} of {data.organisation}\n"
        f"Period:  {data.starts} to {data.ends}\n"
        f"Budget:  {data.budget}\n\n"
        f"{then}\n"
    )


def local(moment: int, budget: Budget) -> str:
    """Seconds since 1970 as ISO 8601 in the budget's time zone."""
    return datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(budget.time_zone)).isoformat()
