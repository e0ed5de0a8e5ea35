"""Re-wrap: bring every provider key's data key under the newest master key. Decrypts no secret.

Safe beside running gateways and after any interruption: a row is either under the old master key or under the
new one, whole, and whoever knows both opens either. Running it again goes on where it stopped.
"""

from msgspec import Struct
from sqlalchemy import func, select, update

from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.provider_key_rows import ProviderKeyRow
from gateway.database.provider_keys import MASTER_FACT
from gateway.database.tables import ChangeCounterRow, FactRow
from gateway.database.vault import Vault
from inference.ir.errors import ProviderKeyUnreadable

_BATCH = 50


class Rewrapped(Struct, frozen=True, kw_only=True):
    """`master` wraps now. `left` rows are still under others: the ids of those that could not be opened."""

    master: str
    moved: int
    left: tuple[str, ...]


async def rewrap_all(database: Database, changes: Changes, vault: Vault) -> Rewrapped:
    """Wrap everything with the newest master key, a batch a transaction. Raises Unavailable."""
    master = vault.masters.ensure().id
    await _remember(changes, master)
    moved = 0
    left: list[str] = []
    after = ""
    while True:
        query = (
            select(ProviderKeyRow)
            .where(ProviderKeyRow.master != master, ProviderKeyRow.id > after)
            .order_by(ProviderKeyRow.id)
            .limit(_BATCH)
        )
        async with database.reading() as session:
            rows = (await session.execute(query)).scalars().all()
        if not rows:
            return Rewrapped(master=master, moved=moved, left=tuple(left))
        after = rows[-1].id
        async with changes.writing() as session:
            for row in rows:
                try:
                    fresh = vault.rewrap(row.sealed, row.binding)
                except ProviderKeyUnreadable:
                    left.append(row.id)
                    continue
                # Only what was read is replaced: somebody may have stored another secret meanwhile.
                statement = (
                    update(ProviderKeyRow)
                    .where(ProviderKeyRow.id == row.id, ProviderKeyRow.wrapped_key == row.wrapped_key)
                    .values(wrapped_key=fresh.wrapped_key, master=fresh.master)
                )
                if (await session.execute(statement.returning(ProviderKeyRow.id))).first() is not None:
                    moved += 1
                    await changes.record(session, "provider", row.id)


async def under_others(database: Database, master: str) -> int:
    """How many provider keys still need another master key than this one. Raises Unavailable."""
    query = select(func.count()).select_from(ProviderKeyRow).where(ProviderKeyRow.master != master)
    async with database.reading() as session:
        return (await session.execute(query)).scalar_one()


async def _remember(changes: Changes, master: str) -> None:
    """From now on whoever writes must know this master key."""
    async with changes.writing() as session:
        await session.execute(select(ChangeCounterRow).with_for_update())
        known = await session.get(FactRow, MASTER_FACT)
        if known is None:
            session.add(FactRow(name=MASTER_FACT, value=master))
        else:
            known.value = master
