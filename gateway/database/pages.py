"""Pages: a long list handed out in parts, oldest first. Refuses parts of more than 200."""

from typing import TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.tables import KeyRow, OrganisationRow, TeamRow, UserRow
from inference.ir.errors import InvalidField

_Listed = TypeVar("_Listed", OrganisationRow, TeamRow, UserRow, KeyRow)

MOST_LISTED = 200
"""Rows in one page, at most."""


async def page_query(
    session: AsyncSession,
    query: Select[_Listed],
    table: type[_Listed],
    limit: int,
    after: str | None,
) -> Select[_Listed]:
    """Oldest first, from behind the row `after`, one row more than `limit` to see whether there are more.

    Raises InvalidField; a row that `query` would not show is as unknown as one that is not there.
    """
    if not 1 <= limit <= MOST_LISTED:
        raise InvalidField(f"limit is {limit}; 1 to {MOST_LISTED} were expected.", param="limit")
    if after is not None:
        visible = query.where(table.id == after.replace("\x00", "\ufffd"))
        last = (await session.execute(visible)).scalars().first()
        if last is None:
            raise InvalidField(f"after is {after!r}, which is not there (any more).", param="after")
        query = query.where(tuple_(table.created_at, table.id) > tuple_(last.created_at, last.id))
    return query.order_by(table.created_at, table.id).limit(limit + 1)
