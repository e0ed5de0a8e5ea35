"""Credit given, taken back and read, on both databases: each reference once, and no debt hidden."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.ledger import tables
from billing.ledger.accounts import Kind, Reason, System
from billing.ledger.book import LARGEST
from billing.ledger.ledger import Ledger
from inference.ir.errors import Conflict, InvalidField, NotFound

CREDIT = 10_000_000
_NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def ledger(engine: AsyncEngine) -> Ledger:
    return Ledger(engine)


async def _opened(ledger: Ledger, owner: str = "team_a") -> str:
    return (await ledger.open_account(owner)).id


async def test_an_account_is_opened_once(ledger: Ledger) -> None:
    account = await ledger.open_account("team_a", floor_nano=-5)
    assert (account.id, account.kind, account.floor_nano) == ("acct_team_a", Kind.TEAM, -5)
    assert await ledger.open_account("team_a") == account
    assert await ledger.account("team_a") == account
    assert await ledger.account("team_b") is None
    assert await ledger.accounts() == [account]
    assert (await ledger.set_floor(account.id, -9)).floor_nano == -9


async def test_only_known_owners_have_accounts(ledger: Ledger) -> None:
    for owner in ["", "team_", "key_a", "team", "team_a\n", "team_" + "a" * 64, "tëam_a"]:
        with pytest.raises(InvalidField):
            await ledger.open_account(owner)


async def test_a_grant_is_there_at_once_and_both_sides_are_booked(
    ledger: Ledger, engine: AsyncEngine
) -> None:
    account = await _opened(ledger)
    posting = await ledger.grant(
        account, 500 * CREDIT, reason=Reason.PURCHASE, reference="pi_1", currency="EUR", fx="0.92"
    )
    assert (posting.amount_nano, posting.balance_nano, posting.repeated) == (
        500 * CREDIT,
        500 * CREDIT,
        False,
    )
    balance = await ledger.balance(account)
    assert (balance.available_nano, balance.debt_nano, balance.open_holds_nano) == (500 * CREDIT, 0, 0)
    assert [(g.id, g.remaining_nano, g.reference) for g in balance.grants] == [
        (posting.id, 500 * CREDIT, "pi_1")
    ]
    async with engine.connect() as connection:
        entries = (
            await connection.execute(select(tables.entries.c.account_id, tables.entries.c.amount_nano))
        ).all()
        head = (await connection.execute(select(tables.transactions))).one()
    assert sorted(map(tuple, entries)) == [(account, 500 * CREDIT), (System.PAYMENTS, -500 * CREDIT)]
    assert (head.currency, head.fx) == ("EUR", "0.92")


async def test_a_reference_is_posted_once_for_ever(ledger: Ledger) -> None:
    account, other = await _opened(ledger), await _opened(ledger, "user_b")
    first = await ledger.grant(account, 7, reason=Reason.PURCHASE, reference="pi_1")
    again = await ledger.grant(account, 7, reason=Reason.PURCHASE, reference="pi_1")
    assert again.repeated
    assert again.id == first.id
    for who, amount in ((account, 8), (other, 7)):
        with pytest.raises(Conflict, match="pi_1"):
            await ledger.grant(who, amount, reason=Reason.PURCHASE, reference="pi_1")
    await ledger.grant(account, 7, reason=Reason.BONUS, reference="pi_1")
    assert (await ledger.balance(account)).available_nano == 14


async def test_grants_burn_by_priority_then_expiry_then_age(ledger: Ledger) -> None:
    account = await _opened(ledger)
    for name, priority, days in (
        ("late", 50, 30),
        ("never", 50, None),
        ("soon", 50, 3),
        ("soon 2", 50, 3),
        ("first", 1, None),
    ):
        expires = None if days is None else _NOW + timedelta(days=days)
        await ledger.grant(
            account, 10, reason=Reason.BONUS, reference=name, priority=priority, expires_at=expires
        )
    order = ["first", "soon", "soon 2", "late", "never"]
    assert [grant.reference for grant in (await ledger.balance(account)).grants] == order
    for n in range(5):
        await ledger.take_back(account, 10, reason=Reason.CORRECTION, reference=f"c{n}")
        assert [grant.reference for grant in (await ledger.balance(account)).grants] == order[n + 1 :]


async def test_what_cannot_be_taken_back_is_debt_and_the_next_grant_pays_it(ledger: Ledger) -> None:
    account = await _opened(ledger)
    await ledger.grant(account, 100, reason=Reason.PURCHASE, reference="pi_1")
    taken = await ledger.take_back(account, 130, reason=Reason.CHARGEBACK, reference="dp_1")
    assert taken.balance_nano == -30
    again = await ledger.take_back(account, 130, reason=Reason.CHARGEBACK, reference="dp_1")
    assert again == msgspec.structs.replace(taken, repeated=True)
    balance = await ledger.balance(account)
    assert (balance.available_nano, balance.debt_nano, balance.grants) == (-30, 30, [])
    await ledger.grant(account, 20, reason=Reason.PURCHASE, reference="pi_2")
    assert (await ledger.balance(account)).debt_nano == 10
    await ledger.grant(account, 50, reason=Reason.PURCHASE, reference="pi_3")
    balance = await ledger.balance(account)
    assert (balance.available_nano, balance.debt_nano) == (40, 0)
    assert [(grant.reference, grant.remaining_nano) for grant in balance.grants] == [("pi_3", 40)]


async def test_a_refund_takes_its_own_grant_first(ledger: Ledger) -> None:
    account = await _opened(ledger)
    await ledger.grant(account, 10, reason=Reason.BONUS, reference="gift", priority=1)
    await ledger.grant(account, 10, reason=Reason.PURCHASE, reference="pi_1")
    await ledger.take_back(account, 12, reason=Reason.REFUND, reference="re_1", grant_reference="pi_1")
    assert [(g.reference, g.remaining_nano) for g in (await ledger.balance(account)).grants] == [("gift", 8)]
    with pytest.raises(NotFound, match="pi_9"):
        await ledger.take_back(account, 1, reason=Reason.REFUND, reference="re_2", grant_reference="pi_9")


async def test_expired_credit_goes_to_breakage_and_open_holds_keep_theirs(
    ledger: Ledger, engine: AsyncEngine
) -> None:
    account = await _opened(ledger)
    await ledger.grant(account, 10, reason=Reason.PROMOTION, reference="p", expires_at=_NOW)
    await ledger.grant(account, 10, reason=Reason.PURCHASE, reference="pi_1")
    before = int(_NOW.timestamp()) * 1_000_000_000 - 1
    assert await ledger.expire(now=before) == []
    async with engine.begin() as connection:
        hold = {"id": "r", "account_id": account, "held_nano": 4, "at": 1, "writer": "w", "released_at": None}
        await connection.execute(insert(tables.holds), hold)
    assert [posting.amount_nano for posting in await ledger.expire(now=before + 1)] == [-6]
    assert await ledger.expire(now=before + 1) == []
    async with engine.begin() as connection:
        await connection.execute(update(tables.holds).values(released_at=2))
    assert [posting.amount_nano for posting in await ledger.expire(now=before + 1)] == [-4]
    assert (await ledger.balance(account)).available_nano == 10
    async with engine.connect() as connection:
        query = select(tables.balances.c.balance_nano).where(tables.balances.c.account_id == System.BREAKAGE)
        assert (await connection.execute(query)).scalar_one() == 10


async def test_amounts_are_whole_and_positive_and_fit(ledger: Ledger) -> None:
    account = await _opened(ledger)
    odd: list[Any] = [0, -1, LARGEST + 1, 1.5, True, "7"]
    for amount in odd:
        with pytest.raises(InvalidField, match="amount"):
            await ledger.grant(account, amount, reason=Reason.BONUS, reference="r")
    assert (await ledger.balance(account)).available_nano == 0


async def test_a_balance_that_would_not_fit_is_refused_and_nothing_is_booked(ledger: Ledger) -> None:
    account = await _opened(ledger)
    await ledger.grant(account, LARGEST, reason=Reason.BONUS, reference="r")
    with pytest.raises(InvalidField, match="at most 9223372036854775807"):
        await ledger.grant(account, 1, reason=Reason.PURCHASE, reference="s")
    balance = await ledger.balance(account)
    assert balance.available_nano == LARGEST
    assert len(balance.grants) == 1


async def test_what_is_posted_cannot_be_changed(ledger: Ledger, engine: AsyncEngine) -> None:
    account = await _opened(ledger)
    await ledger.grant(account, 5, reason=Reason.BONUS, reference="r")
    for act in (
        "UPDATE ledger_entries SET amount_nano = 6",
        "DELETE FROM ledger_entries",
        "UPDATE ledger_transactions SET reference = 'x'",
        "DELETE FROM ledger_transactions",
    ):
        with pytest.raises(DBAPIError, match="only ever added to"):
            async with engine.begin() as connection:
                await connection.execute(text(act))


ENTRY = "account_id, seq, transaction_id, at, amount_nano, balance_nano, reference"
TRANSACTION = "id, at, reason, reference, currency, metadata"


@pytest.mark.parametrize(
    ("table", "columns", "values"),
    [
        ("ledger_entries", ENTRY, "account_id, seq, transaction_id, at, 6, 6, NULL"),
        ("ledger_entries", ENTRY, "account_id, seq + 100, transaction_id, at, 6, 6, reference"),
        ("ledger_transactions", TRANSACTION, "id, at, 'refund', 'x', currency, metadata"),
        ("ledger_transactions", TRANSACTION, "'other', at, reason, reference, currency, metadata"),
    ],
)
async def test_what_is_posted_cannot_be_replaced(
    ledger: Ledger, engine: AsyncEngine, table: str, columns: str, values: str
) -> None:
    """INSERT OR REPLACE deletes what is in its way without asking the triggers that guard against deletion."""
    if engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL has no INSERT OR REPLACE")
    account = await _opened(ledger)
    await ledger.grant(account, 5, reason=Reason.BONUS, reference="r")
    settled = f"UPDATE ledger_entries SET reference = 'req-1' WHERE account_id = '{account}'"
    async with engine.begin() as connection:
        await connection.execute(text("DROP TRIGGER ledger_entries_no_update"))
        await connection.execute(text(settled))
        before = (await connection.execute(text(f"SELECT * FROM {table}"))).all()
    act = (
        f"INSERT OR REPLACE INTO {table} ({columns}) SELECT {values} FROM {table} WHERE reference IS NOT NULL"
    )
    with pytest.raises(DBAPIError, match="only ever added to"):
        async with engine.begin() as connection:
            await connection.execute(text(act))
    async with engine.connect() as connection:
        assert (await connection.execute(text(f"SELECT * FROM {table}"))).all() == before


async def test_postgres_itself_refuses_a_transaction_that_does_not_sum_to_zero(engine: AsyncEngine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no deferred triggers; there the code alone refuses")
    head: dict[str, Any] = {
        "id": "t",
        "at": 1,
        "reason": "bonus",
        "reference": "r",
        "currency": "USD",
        "metadata": {},
    }
    with pytest.raises(DBAPIError, match="does not sum to zero"):
        async with engine.begin() as connection:
            await connection.execute(insert(tables.transactions), head)


@pytest.mark.parametrize("nasty", ["'; DROP TABLE ledger_entries; --", '" OR 1=1', "%s :x ?", "\\'", "{}"])
async def test_sql_in_every_string_is_only_text(ledger: Ledger, nasty: str) -> None:
    account = await _opened(ledger)
    await ledger.grant(
        account, 5, reason=Reason.BONUS, reference=nasty, actor=nasty, fx=nasty, metadata={nasty: nasty}
    )
    await ledger.take_back(account, 2, reason=Reason.REFUND, reference=nasty, grant_reference=nasty)
    assert [(g.reference, g.remaining_nano) for g in (await ledger.balance(account)).grants] == [(nasty, 3)]
    with pytest.raises(NotFound):
        await ledger.balance(nasty)
    assert await ledger.account(nasty) is None


@pytest.mark.parametrize(
    ("reference", "currency"),
    [("", "USD"), ("a\x00", "USD"), ("x" * 513, "USD"), ("r", "usd"), ("r", "EURO")],
)
async def test_notes_no_database_takes_are_refused(ledger: Ledger, reference: str, currency: str) -> None:
    account = await _opened(ledger)
    with pytest.raises(InvalidField):
        await ledger.grant(account, 5, reason=Reason.BONUS, reference=reference, currency=currency)


@pytest.mark.parametrize("reason", [Reason.MODEL_USAGE, Reason.EXPIRY])
async def test_nobody_posts_what_the_ledger_posts_itself(ledger: Ledger, reason: Reason) -> None:
    account = await _opened(ledger)
    with pytest.raises(InvalidField, match="reason"):
        await ledger.grant(account, 5, reason=reason, reference="r")
    with pytest.raises(InvalidField, match="reason"):
        await ledger.take_back(account, 5, reason=reason, reference="r")


async def test_postings_can_be_part_of_a_callers_transaction(ledger: Ledger, engine: AsyncEngine) -> None:
    account = await _opened(ledger)
    with pytest.raises(RuntimeError, match="crash"):
        async with engine.execution_options(aspendos_writes=True).begin() as connection:
            await ledger.grant(account, 5, reason=Reason.BONUS, reference="r", within=connection)
            raise RuntimeError("crash")
    assert (await ledger.balance(account)).available_nano == 0
