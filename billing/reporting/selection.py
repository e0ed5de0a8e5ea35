"""Selection: which usage records a report speaks of. Refuses text: `billing.filters` reads it."""

from msgspec import Struct
from sqlalchemy import ColumnElement

from billing.reporting.documents import tag_value
from billing.tables import usage_records

_t = usage_records.c


class UsageFilter(Struct, frozen=True, kw_only=True):
    """Which records count; None: all. `start` <= at < `end` in unix ns; `status` is an inclusive range.

    `tags` are names and values, all of which a record must have.
    """

    organisation: str | None = None
    team: str | None = None
    user: str | None = None
    key: str | None = None
    model: str | None = None
    provider: str | None = None
    tier: str | None = None
    feature: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    status: tuple[int, int] | None = None
    start: int | None = None
    end: int | None = None


def conditions(wanted: UsageFilter) -> list[ColumnElement[bool]]:
    """The same in SQL, to be joined by AND."""
    found: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (_t.org_id, wanted.organisation),
            (_t.team_id, wanted.team),
            (_t.user_id, wanted.user),
            (_t.key_id, wanted.key),
            (_t.model, wanted.model),
            (_t.provider, wanted.provider),
            (_t.tier, wanted.tier),
            (_t.feature, wanted.feature),
        )
        if value is not None
    ]
    found += [tag_value(name) == value for name, value in wanted.tags]
    if wanted.status is not None:
        found.append(_t.status.between(*wanted.status))
    if wanted.start is not None:
        found.append(_t.at >= wanted.start)
    if wanted.end is not None:
        found.append(_t.at < wanted.end)
    return found
