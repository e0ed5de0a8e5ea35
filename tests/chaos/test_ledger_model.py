"""The ledger against a simple model: a list of grants, a debt, and what was settled, on both databases.

A state machine grants, takes back, expires, journals holds and usage of requests that finish or die, drains,
fails in the middle of it, replays, and repeats itself. After every step the books add up, and what the ledger says
is what the model says.
"""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from billing.drain import Drain
from billing.journal import Fsync, Journal
from billing.ledger import tables
from billing.ledger.accounts import Reason
from billing.ledger.grants import moment
from billing.ledger.ledger import Ledger
from billing.ledger.proof import prove
from billing.meter import Meter
from billing.scribe import BLOCKING
from billing.usage import UsageRecord
from gateway.database.engine import Database, normalise

ACCOUNTS = ("acct_team_a", "acct_user_b")
_LATER = 1_000_000_000


class Lot:
    def __init__(self, name: str, left: int, priority: int, expires: int | None, age: int) -> None:
        self.name = name
        self.left = left
        self.expires = expires
        self.order = (priority, expires if expires is not None else 1 << 80, age)


class Model:
    """One account as anybody would keep it on paper."""

    def __init__(self) -> None:
        self.lots: list[Lot] = []
        self.debt = 0

    def give(self, lot: Lot) -> None:
        paid = min(self.debt, lot.left)
        self.debt -= paid
        lot.left -= paid
        self.lots.append(lot)

    def take(self, amount: int, first: str | None = None) -> None:
        for lot in sorted(self.lots, key=lambda each: (each.name != first, each.order)):
            burnt = min(lot.left, amount)
            lot.left -= burnt
            amount -= burnt
        self.debt += amount

    def expire(self, now: int, held: int) -> None:
        for lot in sorted(self.lots, key=lambda each: each.order):
            kept = min(held, lot.left)
            held -= kept
            if lot.expires is not None and lot.expires <= now:
                lot.left = kept

    @property
    def available(self) -> int:
        return sum(lot.left for lot in self.lots) - self.debt

    def grants(self) -> list[tuple[str, int]]:
        return [(lot.name, lot.left) for lot in sorted(self.lots, key=lambda each: each.order) if lot.left]


class LedgerModel(RuleBasedStateMachine):
    fresh: ClassVar[Any]
    """Gives the URL of a migrated, empty database of the example's own."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="aspendos-ledger-"))
        self.runner = asyncio.Runner()
        self.now = 1_000
        self.database = Database(type(self).fresh())
        self.engine = self.database.engine
        self.runner.run(self._prepare())
        self.ledger = Ledger(self.engine, clock=lambda: self.now)
        self.drain = self._new_drain()
        self.models = {account: Model() for account in ACCOUNTS}
        self.waiting: list[tuple[str, str, int]] = []
        self.pending: dict[str, tuple[str, int]] = {}
        self.open: dict[str, dict[str, tuple[str, int]]] = {}
        self.done: list[str] = []
        self.journals: dict[str, Journal] = {}
        self.count = 0
        self.countdown = -1
        for engine in (self.engine.sync_engine, self.engine.get_execution_options()[BLOCKING]):
            if engine is not None:
                event.listen(engine, "before_cursor_execute", self._maybe_fail)
        self.start_process()

    def teardown(self) -> None:
        for writer in list(self.journals):
            self._die(writer)
        self.drain_all()
        assert self.runner.run(self._holds()) == dict.fromkeys(ACCOUNTS, 0)
        self.runner.run(self.database.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    # What people do

    @rule(
        account=st.sampled_from(ACCOUNTS),
        amount=st.integers(1, 1000),
        priority=st.integers(0, 2),
        lasts=st.none() | st.integers(1, 3),
    )
    def grant(self, account: str, amount: int, priority: int, lasts: int | None) -> None:
        self.drain_all()
        name = self._name("g")
        expires = None if lasts is None else (self.now // _LATER + lasts) * _LATER
        self.models[account].give(Lot(name, amount, priority, expires, self.count))
        for _ in range(2):
            self.runner.run(
                self.ledger.grant(
                    account,
                    amount,
                    reason=Reason.PURCHASE,
                    reference=name,
                    priority=priority,
                    expires_at=None if expires is None else moment(expires),
                )
            )

    @rule(account=st.sampled_from(ACCOUNTS), amount=st.integers(1, 1500), data=st.data())
    def take_back(self, account: str, amount: int, data: st.DataObject) -> None:
        self.drain_all()
        names = [lot.name for lot in self.models[account].lots]
        of = data.draw(st.none() | st.sampled_from(names)) if names else None
        self.models[account].take(amount, of)
        name = self._name("t")
        for _ in range(2):
            self.runner.run(
                self.ledger.take_back(
                    account, amount, reason=Reason.REFUND, reference=name, grant_reference=of
                )
            )

    @rule(steps=st.integers(1, 2))
    def time_passes_and_credit_expires(self, steps: int) -> None:
        self.drain_all()
        self.now += steps * _LATER
        held = self.runner.run(self._holds())
        for account, model in self.models.items():
            model.expire(self.now, held[account])
        self.runner.run(self.ledger.expire(now=self.now))

    # What processes do

    @rule()
    def start_process(self) -> None:
        if len(self.journals) < 3:
            writer = self._name("w")
            self.journals[writer] = Journal(
                self.folder / "journal", writer_id=writer, fsync=Fsync.NEVER, interval=3600, segment_bytes=900
            )
            self.open[writer] = {}

    @precondition(lambda self: self.journals)
    @rule(data=st.data(), account=st.sampled_from(ACCOUNTS), amount=st.integers(1, 300))
    def begin(self, data: st.DataObject, account: str, amount: int) -> None:
        writer = data.draw(st.sampled_from(sorted(self.journals)))
        name = self._name("r")
        Meter(self.journals[writer]).hold(name, account, amount, self.now)
        self.open[writer][name] = account, amount

    @precondition(lambda self: any(self.open.values()))
    @rule(data=st.data(), more=st.integers(1, 200))
    def extend(self, data: st.DataObject, more: int) -> None:
        writer, name = data.draw(st.sampled_from(self._open()))
        account, amount = self.open[writer][name]
        self.open[writer][name] = account, amount + more
        Meter(self.journals[writer]).hold(name, account, amount + more, self.now)

    @precondition(lambda self: any(self.open.values()))
    @rule(data=st.data(), cost=st.integers(0, 400), times=st.integers(1, 2))
    def finish(self, data: st.DataObject, cost: int, times: int) -> None:
        """Sometimes more than was held, sometimes told twice."""
        writer, name = data.draw(st.sampled_from(self._open()))
        account, held = self.open[writer].pop(name)
        for _ in range(times):
            Meter(self.journals[writer]).record(
                UsageRecord(
                    id=name,
                    at=self.now,
                    route="chat",
                    model="m",
                    account=account,
                    cost_nano=cost,
                    held_nano=held,
                    provider_cost_nano=cost // 2,
                    duration_us=1,
                    overhead_us=1,
                    status=200,
                )
            )
        self.waiting.append((name, account, cost))

    @precondition(lambda self: self.journals)
    @rule(data=st.data(), cut=st.binary(max_size=40))
    def kill_process(self, data: st.DataObject, cut: bytes) -> None:
        """Its last line is cut somewhere; what it held it holds no more."""
        writer = data.draw(st.sampled_from(sorted(self.journals)))
        segment = sorted((self.folder / "journal").glob(f"{writer}-*.log"))[-1]
        with segment.open("ab") as file:
            file.write(b'0badc0de {"hold":"' + cut.replace(b"\n", b""))
        self._die(writer)

    # What the drain does

    @rule()
    def drain_all(self) -> None:
        assert self.runner.run(self.drain.flush())
        self._settle_waiting()

    @rule(statements=st.integers(0, 25))
    def drain_with_the_database_failing(self, statements: int) -> None:
        self.countdown = statements
        with suppress(OperationalError):
            self.runner.run(self.drain.flush())
        self.countdown = -1
        self.drain_all()

    @rule()
    def forget_how_far_the_drain_was(self) -> None:
        self.drain_all()
        self.runner.run(self._forget())
        self.drain = self._new_drain()

    # What must hold

    @invariant()
    def books_add_up_and_say_what_the_model_says(self) -> None:
        assert self.drain.state.damaged == 0
        if self.waiting:
            return
        proof = self.runner.run(prove(self.engine, piece=7))
        assert proof.sound, proof.faults
        for account, model in self.models.items():
            balance = self.runner.run(self.ledger.balance(account))
            assert (balance.available_nano, balance.debt_nano) == (model.available, model.debt)
            assert [(grant.reference, grant.remaining_nano) for grant in balance.grants] == model.grants()
            assert balance.debt_nano == 0 or not balance.grants
        assert self.runner.run(self._sum()) == 0

    def _settle_waiting(self) -> None:
        """In the order of the segments, which is the order in which they are drained: by writer, then by time."""
        order = {name: n for n, name in enumerate(self.runner.run(self._posted()))}
        for name, account, cost in sorted(self.waiting, key=lambda each: order.get(each[0], -1)):
            self.models[account].take(cost)
            self.done.append(name)
        self.waiting.clear()

    def _open(self) -> list[tuple[str, str]]:
        return [(writer, name) for writer, requests in self.open.items() for name in requests]

    def _name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count:05d}"

    def _die(self, writer: str) -> None:
        self.journals.pop(writer).close()
        self.open.pop(writer)

    def _new_drain(self) -> Drain:
        return Drain(self.folder / "journal", self.engine, piece_bytes=900, clock=lambda: self.now)

    async def _prepare(self) -> None:
        for account in ACCOUNTS:
            await Ledger(self.engine).open_account(account.removeprefix("acct_"))

    async def _forget(self) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text("DELETE FROM journal_offsets"))
            await connection.execute(text("DELETE FROM usage_records"))

    async def _sum(self) -> int:
        async with self.engine.connect() as connection:
            return sum((await connection.execute(select(tables.balances.c.balance_nano))).scalars())

    async def _posted(self) -> list[str]:
        e = tables.entries.c
        query = select(e.reference).where(e.reference.is_not(None)).order_by(e.account_id, e.seq)
        async with self.engine.connect() as connection:
            return list((await connection.execute(query)).scalars())

    async def _holds(self) -> dict[str, int]:
        return {account: (await self.ledger.balance(account)).open_holds_nano for account in ACCOUNTS}

    def _maybe_fail(self, _c: Any, _cu: Any, statement: str, _p: Any, _co: Any, _m: bool) -> None:
        if self.countdown == 0:
            raise OperationalError(statement, {}, ConnectionError(os.strerror(104)))
        if self.countdown > 0:
            self.countdown -= 1


def _check(fresh: Callable[[], str], examples: int) -> None:
    machine = type("OnThisDatabase", (LedgerModel,), {"fresh": staticmethod(fresh)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.migrate()
    await database.close()


def test_on_sqlite(tmp_path: Path) -> None:
    template, names = tmp_path / "template.db", count()
    asyncio.run(_migrate(f"sqlite:///{template}"))

    def fresh() -> str:
        path = tmp_path / f"{next(names)}.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    _check(fresh, 20)


def test_on_postgres(postgres_url: str) -> None:
    server, template, made = normalise(postgres_url), f"t{uuid.uuid4().hex[:12]}", list[str]()

    def named(name: str) -> str:
        return server.set(database=name).render_as_string(hide_password=False)

    async def run(*statements: str) -> None:
        engine = create_async_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()

    def fresh() -> str:
        made.append(f"t{uuid.uuid4().hex[:12]}")
        asyncio.run(run(f'CREATE DATABASE "{made[-1]}" TEMPLATE "{template}"'))
        return named(made[-1])

    asyncio.run(run(f'CREATE DATABASE "{template}"'))
    asyncio.run(_migrate(named(template)))
    try:
        _check(fresh, 5)
    finally:
        asyncio.run(run(*(f'DROP DATABASE "{name}" WITH (FORCE)' for name in (*made, template))))
