"""Usage names: whether what a usage question names is there, or was. Refuses to answer for a name nobody ever had.

A misspelt team in a question about a bill would otherwise read as "nothing used". What is gone and has left records
may be asked about as ever.
"""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, select, true

from billing.reporting.selection import UsageFilter
from billing.reports import UsageReports
from gateway.database.engine import Database
from gateway.database.tables import KeyRow, OrganisationRow, TeamRow, UserRow
from inference.ir.cards import Catalog
from inference.ir.errors import NotFound
from inference.ir.tiers import Feature
from policies.caller import Caller

_ROWS = {
    "organisation": (OrganisationRow.id, OrganisationRow.name, OrganisationRow.id),
    "team": (TeamRow.id, TeamRow.name, TeamRow.org_id),
    "user": (UserRow.id, UserRow.email, UserRow.org_id),
    "key": (KeyRow.id, KeyRow.name, TeamRow.org_id),
}
"""What is kept in the database: its id, what people call it, and whose it is."""
_MOST_READ = 1000
_MOST_NAMED = 5
_LONGEST = 80


class Sources(Struct, frozen=True, kw_only=True):
    """Where names are looked for; `catalog` is None where it cannot be read."""

    database: Database
    reports: UsageReports
    catalog: Catalog | None


class _Known(NamedTuple):
    id: str
    name: str

    def __str__(self) -> str:
        return repr(self.id) if self.id == self.name else f"{self.id!r} ({self.name})"


async def known(wanted: UsageFilter, caller: Caller, sources: Sources) -> UsageFilter:
    """The same question; of a model by its own name, where an alias of it was given.

    Raises NotFound for what is not there and in no record, with the nearest that is, or some.
    """
    catalog = sources.catalog
    if catalog is not None and wanted.model in catalog.models:
        wanted = replace(wanted, model=catalog.models[wanted.model].name)
    for word in _ROWS:
        value: str | None = getattr(wanted, word)
        if value is None or (word == "organisation" and not caller.is_operator):
            continue  # whose organisation it is has been judged before
        if await _rows(word, caller, sources.database, value):
            continue
        if not await _recorded(word, value, wanted.organisation, sources.reports):
            raise _unknown(word, value, await _rows(word, caller, sources.database))
    for word, names in _written(catalog).items():
        value = getattr(wanted, word)
        if value is None or value in names:
            continue
        if not await _recorded(word, value, wanted.organisation, sources.reports):
            unread = catalog is None and word != "feature"
            # What the operator buys from whom is not shown to tenants.
            told = names if caller.is_operator or word == "feature" else ()
            raise _unknown(word, value, [_Known(name, name) for name in told], unread=unread)
    return wanted


def _written(catalog: Catalog | None) -> dict[str, Sequence[str]]:
    """What the catalogue has, by the word that asks for it, and the features there are."""
    found: dict[str, Sequence[str]] = {"feature": [feature.value for feature in Feature]}
    for word, names in (
        ("model", catalog.models if catalog else ()),
        ("provider", catalog.providers if catalog else ()),
        ("tier", catalog.tiers if catalog else ()),
    ):
        found[word] = sorted(names)
    return found


async def _rows(word: str, caller: Caller, database: Database, value: str | None = None) -> list[_Known]:
    """What the caller may see of one kind: the one with an id, or some."""
    column, name, owner = _ROWS[word]
    query = select(column, name).order_by(name).limit(_MOST_READ)
    if word == "key":
        query = query.join(TeamRow, TeamRow.id == KeyRow.team_id)
    seen: ColumnElement[bool] = true() if caller.is_operator else owner == caller.org_id
    query = query.where(seen, true() if value is None else column == value)
    async with database.reading() as session:
        return [_Known(*row) for row in (await session.execute(query)).all()]


async def _recorded(word: str, value: str, organisation: str | None, reports: UsageReports) -> bool:
    """Whether any record names it; those still in this machine's journal count."""
    await reports.refresh()
    asked = replace(UsageFilter(organisation=organisation), **{word: value})
    return bool((await reports.page(asked, limit=1)).records)


def _unknown(word: str, value: str, there: Sequence[_Known], *, unread: bool = False) -> NotFound:
    asked = value[:_LONGEST]
    by_text = {text.lower(): each for each in there for text in each}
    near = [by_text[text] for text in difflib.get_close_matches(asked.lower(), list(by_text), n=_MOST_NAMED)]
    shown = list(dict.fromkeys(near)) or there[:_MOST_NAMED]
    said = f"There is no {word} {asked!r}, and no usage record names it."
    if unread:
        said = f"No usage record names the {word} {asked!r}, and the catalogue, which might, cannot be read."
    if shown:
        said += f" There is {', '.join(map(str, shown))}{' and more' if len(there) > len(shown) else ''}."
    return NotFound(said, code=f"{word}_not_found", param=word)
