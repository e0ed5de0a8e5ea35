"""What one connection sees of the ledger."""

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.ledger import tables
from billing.ledger.accounts import Reason, System
from billing.ledger.ledger import Ledger
from billing.ledger.notes import Note
from billing.ledger.reading import grant_id, open_holds, posted, read_account, read_balance
from inference.ir.errors import NotFound

ACCOUNT = "acct_team_a"


async def test_an_account_as_it_stands(engine: AsyncEngine) -> None:
    ledger = Ledger(engine)
    await ledger.open_account("team_a", floor_nano=-3)
    granted = await ledger.grant(ACCOUNT, 10, reason=Reason.BONUS, reference="b")
    async with engine.begin() as connection:
        for name, released in (("a", None), ("b", None), ("c", 5)):
            hold = {
                "id": name,
                "account_id": ACCOUNT,
                "held_nano": 4,
                "at": 1,
                "writer": "w",
                "released_at": released,
            }
            await connection.execute(insert(tables.holds), hold)
        balance = await read_balance(connection, ACCOUNT)
        assert (balance.available_nano, balance.floor_nano, balance.open_holds_nano) == (10, -3, 8)
        assert await open_holds(connection, ACCOUNT) == 8
        assert await open_holds(connection, "acct_team_b") == 0
        assert (await read_account(connection, ACCOUNT)).owner == "team_a"
        assert await grant_id(connection, ACCOUNT, "b") == granted.id
        found = await posted(connection, Note(reason=Reason.BONUS, reference="b"))
        assert found is not None
        assert (found.id, found.repeated) == (granted.id, True)
        assert await posted(connection, Note(reason=Reason.PURCHASE, reference="b")) is None


async def test_what_is_not_there_is_not_found(engine: AsyncEngine) -> None:
    await Ledger(engine).open_account("team_a")
    await Ledger(engine).grant(ACCOUNT, 1, reason=Reason.BONUS, reference="b")
    async with engine.connect() as connection:
        for name in ("acct_team_b", "", System.PROMOTIONAL):
            with pytest.raises(NotFound):
                await read_account(connection, name)
        for reference in ("x", "a\x00"):
            with pytest.raises(NotFound):
                await grant_id(connection, ACCOUNT, reference)
