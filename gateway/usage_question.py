"""Usage questions: what somebody asks of the usage records, as ids and in the time zone it is meant in.

The one place where the words of the management API and of the command line become a filter. Refuses to let a user
look beyond their organisation.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import select

from billing.budgets.period import Period, Span, span_of, zone_of
from billing.filters import dimensions, month_span, usage_filter
from billing.reporting.calendar import SECOND
from billing.reporting.dimensions import By
from billing.reporting.selection import UsageFilter
from billing.reporting.sums import Showback, UsageSums, showback
from gateway.database.engine import Database
from gateway.database.organisations import OrganisationService
from gateway.database.tables import KeyRow, OrganisationRow, TeamRow, UserRow
from gateway.database.teams import TeamService
from gateway.database.users import UserService
from inference.ir.cards import Catalog, Price
from inference.ir.errors import NotFound
from policies.caller import Caller

_NAMES = {
    "organisation": (OrganisationRow.id, OrganisationRow.name),
    "team": (TeamRow.id, TeamRow.name),
    "user": (UserRow.id, UserRow.email),
    "key": (KeyRow.id, KeyRow.name),
}
_AT_ONCE = 500


class Asked(Struct, frozen=True, kw_only=True):
    """As it was written. `words` are of `billing.filters.WORDS`, `tags` are `name=value`."""

    words: Mapping[str, str]
    tags: Sequence[str] = ()
    group_by: str | None = None
    time_zone: str | None = None


class UsageQuestion(Struct, frozen=True, kw_only=True):
    """As it is put to `UsageReports`."""

    wanted: UsageFilter
    by: tuple[By, ...]
    zone: ZoneInfo


class Holders(Struct, frozen=True, kw_only=True):
    """Who knows the names."""

    organisations: OrganisationService
    teams: TeamService
    users: UserService


async def understand(asked: Asked, caller: Caller, holders: Holders) -> UsageQuestion:
    """Raises InvalidField, and NotFound for an organisation that is another's.

    What is gone stays as it was written: it may have left records. The time zone is the organisation's, of a user or
    of a question about one; else UTC.
    """
    words = dict(asked.words)
    zone = None if asked.time_zone is None else zone_of(asked.time_zone)
    organisation = words.get("organisation")
    if not caller.is_operator:
        if organisation is not None and organisation != caller.org_id:
            caller.in_scope((await holders.organisations.get(caller, organisation)).id)
        organisation = caller.org_id or ""
    if organisation is not None:
        with suppress(NotFound):
            found = await holders.organisations.get(caller, organisation)
            organisation = found.id
            zone = zone or zone_of(found.time_zone)
        words["organisation"] = organisation
    zone = zone or ZoneInfo("UTC")
    by = dimensions(asked.group_by)
    # Judged before anything is looked up by it; the ids come after.
    wanted = usage_filter(words, tags=asked.tags, zone=zone)
    return UsageQuestion(wanted=await _by_ids(wanted, caller, holders), by=by, zone=zone)


async def _by_ids(wanted: UsageFilter, caller: Caller, holders: Holders) -> UsageFilter:
    if wanted.team is not None:
        wanted = replace(wanted, team=await holders.teams.id_of(caller, wanted.team))
    if wanted.user is not None:
        with suppress(NotFound):
            wanted = replace(wanted, user=(await holders.users.get(caller, wanted.user)).id)
    return wanted


async def with_names(sums: UsageSums, database: Database) -> tuple[list[Showback], Showback]:
    """The groups of a showback and its total, with the names their ids have now."""
    wanted: dict[str, set[str]] = {}
    for group in sums.groups:
        for dimension, value in group.group.items():
            if dimension in _NAMES and value is not None:
                wanted.setdefault(dimension, set()).add(value)
    names: dict[tuple[str, str], str] = {}
    async with database.reading() as session:
        for dimension, ids in wanted.items():
            column, name = _NAMES[dimension]
            for some in _slices(sorted(ids)):
                rows = await session.execute(select(column, name).where(column.in_(some)))
                names |= {(dimension, found): text for found, text in rows.all()}
    return [showback(row, sums.total, names) for row in sums.groups], showback(sums.total, sums.total, {})


def _slices(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[n : n + _AT_ONCE] for n in range(0, len(ids), _AT_ONCE))


def in_month(question: UsageQuestion, now: int) -> UsageFilter:
    """The records asked for; of this month, where no span was given. `now` is unix ns."""
    wanted = question.wanted
    if wanted.start is not None or wanted.end is not None:
        return wanted
    month = span_of(Period.MONTH, question.zone, now / SECOND)
    return replace(wanted, start=month.starts * SECOND, end=month.ends * SECOND)


def this_month(question: UsageQuestion, month: str | None, now: int) -> Span:
    """The month that was named, or the one that holds `now`. Raises InvalidField."""
    if month is not None:
        return month_span(month, question.zone)
    return span_of(Period.MONTH, question.zone, now / SECOND)


def prices_of(catalog: Catalog) -> dict[str, Price]:
    """The prices in force, by version."""
    return {model.price.version: model.price for model in catalog.models.values()}
