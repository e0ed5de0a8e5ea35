"""A session's slices through store, journal and ledger: all three agree at every moment, and after a death."""

from pathlib import Path

from billing.ledger.accounts import Reason
from billing.ledger.slices import SlicedSession, Tariff
from billing.usage import UsageRecord
from gateway.database.engine import Database
from gateway.purse import StorePurse
from gateway.reconciler import Counters, Reconciler
from policies.stores.step import Rules, Slot
from tests.credit_world import ACCOUNT, CreditWorld

SECOND = 1_000_000


class _Silent:
    def inc(self, amount: float = 1) -> None:
        return None


def _record(name: str, cost: int, held: int, used_us: int) -> UsageRecord:
    return UsageRecord(
        id=name,
        at=1,
        route="realtime",
        account=ACCOUNT,
        cost_nano=cost,
        held_nano=held,
        duration_us=used_us,
        overhead_us=0,
        status=200,
    )


def _purse(world: CreditWorld) -> StorePurse:
    rules = Rules(account=ACCOUNT, slots=(Slot("a", 0),))
    return StorePurse(
        world.store, world.meter, rules, warm=world.credit.warm, record=_record, clock=lambda: 1
    )


async def test_hot_balance_and_ledger_agree_while_a_session_runs_and_after_its_process_died(
    database: Database, tmp_path: Path
) -> None:
    world = CreditWorld(database, tmp_path / "journal")
    await world.ledger.open_account("team_a")
    await world.credit.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    silent = Counters(repaired=_Silent(), unsound=_Silent(), reclaimed=_Silent())
    reconciler = Reconciler(world.credit, world.store, silent)
    session = SlicedSession("s", Tariff(nano_per_second=2, slice_us=10 * SECOND), _purse(world))
    assert await session.open(0)
    for now in (5, 15, 25):
        assert await session.renew(now * SECOND)
        (found,) = await reconciler.compare([ACCOUNT])
        assert found.difference_nano == 0
    assert await world.store.available(ACCOUNT) == 100 - 80
    assert (await world.ledger.balance(ACCOUNT)).available_nano == 100 - 40
    assert (await world.ledger.balance(ACCOUNT)).open_holds_nano == 40
    assert await session.renew(35 * SECOND)
    assert not await session.renew(45 * SECOND)
    world.journal.close()  # as when the process dies: nothing is settled any more
    assert await world.drain.flush()
    balance = await world.ledger.balance(ACCOUNT)
    assert (balance.available_nano, balance.open_holds_nano) == (100 - 80, 0)
