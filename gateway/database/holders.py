"""Holders: whoever can have a tier and an account that pays, be it an organisation, a team or a user.

For the parts that decide about money. In force everywhere within a second, by the log of changes.
"""

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import audit, validity
from gateway.database.changes import Changes
from gateway.database.changes import Kind as ChangeKind
from gateway.database.organisations import Tiers
from gateway.database.tables import OrganisationRow, TeamRow, UserRow
from inference.ir.errors import NotFound
from policies.caller import Caller

HolderKind = Literal["organisation", "team", "user"]
_ROWS: dict[HolderKind, type[OrganisationRow] | type[TeamRow] | type[UserRow]] = {
    "organisation": OrganisationRow,
    "team": TeamRow,
    "user": UserRow,
}
_CHANGES: dict[HolderKind, ChangeKind] = {"organisation": "org", "team": "team", "user": "user"}


def kind_of(holder_id: str) -> HolderKind:
    """What an id names, by how it begins. Raises NotFound."""
    kinds: dict[str, HolderKind] = {"org": "organisation", "team": "team", "user": "user"}
    kind = kinds.get(holder_id.partition("_")[0])
    if kind is None:
        raise NotFound(f"{holder_id[:64]!r} names no organisation, team or user.")
    return kind


class HolderService:
    """Gives holders tiers and accounts. Everything raises NotFound, and Unavailable when the database is away."""

    def __init__(self, changes: Changes, *, tiers: Tiers | None = None) -> None:
        self._changes = changes
        self._tiers = tiers

    async def set_tier(self, kind: HolderKind, holder_id: str, tier: str | None, actor: Caller | str) -> None:
        """`actor` is who did it, such as a payment processor. Raises InvalidField for a tier that is not there."""
        known = self._tiers() if self._tiers is not None else None
        await self._set(kind, holder_id, "tier", validity.tier(tier, known), actor)

    async def set_account(
        self, owner_id: str, account_id: str | None, actor: Caller | str = "ledger"
    ) -> None:
        """The ledger account that pays for the owner's requests; None: whoever is above pays."""
        await self._set(kind_of(owner_id), owner_id, "account", account_id, actor)

    async def _set(
        self, kind: HolderKind, holder_id: str, field: str, value: str | None, actor: Caller | str
    ) -> None:
        async with self._changes.writing() as session:
            row = await _row(session, kind, holder_id)
            before = row.tier if field == "tier" else row.account
            if before == value:
                return
            setattr(row, field, value)
            await session.flush()
            await self._changes.record(session, _CHANGES[kind], row.id)
            await audit.record(
                session,
                actor,
                f"{kind}.{field}",
                kind,
                row.id,
                {field: before},
                {field: value},
                org_id=row.id if isinstance(row, OrganisationRow) else row.org_id,
            )


async def _row(
    session: AsyncSession, kind: HolderKind, holder_id: str
) -> OrganisationRow | TeamRow | UserRow:
    row = await session.get(_ROWS[kind], validity.searchable(holder_id), with_for_update=True)
    if row is None:
        raise NotFound(f"There is no {kind} {holder_id[:64]!r}.", code=f"{kind}_not_found")
    return row
