"""A budget: whose spending, how much of it, in which period, and what happens then. Pure; knows no database."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct

from billing.budgets.period import Period, Span, span_of
from billing.usage import MAX_INTEGER
from inference.ir.errors import InvalidField

_NANO_DIGITS = 9
_DECIMAL = re.compile(r"(0|[1-9]\d{0,9})(?:\.(\d+))?", re.ASCII)
_TAG = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.\-]{0,63})=([^\x00-\x1f\x7f]{1,256})")


class SubjectKind(StrEnum):
    """Whose spending a budget counts."""

    ORGANISATION = "organisation"
    TEAM = "team"
    USER = "user"
    KEY = "key"
    TAG = "tag"


class Subject(Struct, frozen=True, kw_only=True):
    """`id` is the organisation's, team's, user's or key's id; of a tag it reads `project=atlas`."""

    kind: SubjectKind
    id: str


class Action(StrEnum):
    """What a budget does when it is used up."""

    HARD = "hard"
    """Refuse (402) until the period ends."""
    DOWNGRADE = "downgrade"
    """Serve from a cheaper model until the period ends."""
    NOTIFY = "notify"
    """Only tell."""


class Budget(Struct, frozen=True, kw_only=True):
    """At most `amount_nano` nano-USD in each `period` of `time_zone`.

    `downgrade_to` names a model, None: the cheapest the caller may use. `revision` moves whenever what is
    counted changes, so that counters made for another meaning of the budget are never taken for this one's.
    """

    id: str
    org_id: str
    name: str
    subject: Subject
    period: Period
    time_zone: str
    amount_nano: int
    action: Action = Action.HARD
    downgrade_to: str | None = None
    enabled: bool = True
    revision: int = 1


class Holder(Struct, frozen=True, kw_only=True):
    """Who spends: what of a caller budgets can speak of."""

    org_id: str | None = None
    team_id: str | None = None
    user_id: str | None = None
    key_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


class Cap(Struct, frozen=True, kw_only=True):
    """A budget in one of its periods: what the counters are kept by and what a refusal has to say.

    `key` names the counter. `ends_at` is in seconds since 1970.
    """

    key: str
    budget: Budget
    span: Span

    @property
    def limit_nano(self) -> int:
        return self.budget.amount_nano

    @property
    def ends_at(self) -> int:
        return self.span.ends


Place = tuple[str, SubjectKind, str]
"""Organisation, kind and id: where a budget's subject is looked up."""


def place_of(budget: Budget) -> Place:
    """Where this budget applies. Tags are an organisation's own: the same word elsewhere is another tag."""
    return budget.org_id, budget.subject.kind, budget.subject.id


def places_of(holder: Holder) -> tuple[Place, ...]:
    """Every place whose budgets apply to this caller."""
    org = holder.org_id
    if org is None:
        return ()
    named = (
        (SubjectKind.ORGANISATION, org),
        (SubjectKind.TEAM, holder.team_id),
        (SubjectKind.USER, holder.user_id),
        (SubjectKind.KEY, holder.key_id),
        *((SubjectKind.TAG, f"{name}={value}") for name, value in holder.tags),
    )
    return tuple((org, kind, subject) for kind, subject in named if subject is not None)


def applicable(budgets: Iterable[Budget], holder: Holder) -> tuple[Budget, ...]:
    """The enabled budgets that count this caller's spending, by id."""
    places = frozenset(places_of(holder))
    found = (budget for budget in budgets if budget.enabled and place_of(budget) in places)
    return tuple(sorted(found, key=lambda budget: budget.id))


def cap_of(budget: Budget, now: float) -> Cap:
    """The budget in the period that holds `now` (seconds since 1970)."""
    span = span_of(budget.period, ZoneInfo(budget.time_zone), now)
    return Cap(key=f"q:{budget.id}.{budget.revision}:{span.id}", budget=budget, span=span)


def next_revision(before: Budget, after: Budget) -> int:
    """The revision `after` has to have: a new one if its counter would not be the old one's."""

    def counted(budget: Budget) -> tuple[object, ...]:
        # A budget that only notifies, or is off, is not counted on the way: when it is counted again,
        # it has to be taught anew what was spent meanwhile.
        return budget.period, budget.time_zone, budget.enabled, budget.action is Action.NOTIFY

    return before.revision + (counted(before) != counted(after))


def nano_from_usd(text: str, *, param: str = "amount_usd") -> int:
    """Decimal dollars as nano-USD: "12.5" -> 12_500_000_000. Raises InvalidField; nothing is ever rounded."""
    match = _DECIMAL.fullmatch(text)
    fraction = (match[2] or "").rstrip("0") if match else ""
    if match is None or len(fraction) > _NANO_DIGITS:
        raise InvalidField(
            f"{param} is {text[:40]!r}; decimal dollars with at most nine decimals, such as '250' or '0.05', "
            "were expected.",
            param=param,
        )
    return amount(int(match[1] + fraction.ljust(_NANO_DIGITS, "0")), param=param)


def amount(nano: int, *, param: str = "amount_nano") -> int:
    """An amount a budget may have. Raises InvalidField."""
    if isinstance(nano, bool) or not 1 <= nano <= MAX_INTEGER:
        raise InvalidField(
            f"{param} is out of range: more than nothing and at most {MAX_INTEGER} nano-USD "
            "(9223372036.854775807 dollars) was expected.",
            param=param,
        )
    return nano


def tag(text: str, *, param: str = "subject.id") -> tuple[str, str]:
    """The name and value of a tag written `project=atlas`. Raises InvalidField."""
    match = _TAG.fullmatch(text)
    if match is None:
        raise InvalidField(
            f"{param} is {text[:80]!r}; a tag such as 'project=atlas' was expected: a name of letters, digits, "
            "'_', '.' and '-', then '=', then a value of at most 256 characters.",
            param=param,
        )
    return match[1], match[2]


def tag_pairs(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Tags as a holder has them."""
    return tuple(sorted(tags.items()))
