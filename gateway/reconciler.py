"""Reconciler: proves that hot balances and the ledger agree, and mends what no request under way explains.

What must hold for every account the store knows: available + held = ledger balance - settled but not drained.
Nothing has to stop for it: a comparison counts only if neither side moved while it was made, and a difference
is believed only when it is found again, unchanged. Then the store, never the ledger, is corrected, with an alarm.
Where the ledger itself does not add up, it alarms and touches nothing.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.exc import SQLAlchemyError

from billing.ledger.hot import Hot, moved_since, read_hot, settled_costs, some_after, still_open
from billing.ledger.proof import Proof, glance, prove, snapshots
from billing.ledger.settle import release_hold
from gateway.credit import Credit
from gateway.database.engine import away_as_unavailable
from inference.ir.errors import Unavailable
from policies.stores.step import Store

_ATTEMPTS = 3
_TOGETHER = 50
_OTHERS_A_PASS = 200
_RECLAIMED_A_TIME = 100
_NS = 1_000_000_000
_PLACE_SECONDS = 0.5
"""How often this machine says how far its journal is in the ledger: well within what others wait (`quiet`)."""

_SWEEP_SECONDS = 5.0
"""How soon expired credit cannot be spent any more, and abandoned holds are looked for."""

_log = structlog.stdlib.get_logger("reconciler")


class Counter(Protocol):
    """Counts what happened, for metrics."""

    def inc(self, amount: float = 1) -> None:
        """`amount` more."""
        ...


class Counters(Struct, frozen=True, kw_only=True):
    """What an operator hears of: `repaired` differences and `unsound` books are alarms, `reclaimed` holds are not."""

    repaired: Counter
    unsound: Counter
    reclaimed: Counter


class HotStore(Store, Protocol):
    """A store that also says what open requests hold."""

    async def held(self, account: str) -> int:
        """Nano-USD held of the account by open requests."""
        ...


class Abandoned(Protocol):
    """A request whose owner has been silent for longer than its lease; `at`: since when, seconds since 1970."""

    @property
    def id(self) -> str: ...

    @property
    def at(self) -> float: ...


class SharedStore(HotStore, Protocol):
    """A store that outlives this process, and so knows requests whose process died."""

    async def expired_holds(self, limit: int) -> Sequence[Abandoned]:
        """Requests to be reclaimed."""
        ...

    async def reclaim(self, request_id: str, amount: int) -> bool:
        """Settle one of them at `amount`; False: its owner lives, or did it."""
        ...

    async def journal_place(self, journal: str, age: float | None) -> None:
        """All of this machine's journal was in the ledger `age` seconds ago."""
        ...

    async def behind(self, journal: str, *, within: float, lost: float) -> int:
        """How many other machines may have settled what the ledger lacks."""
        ...


class Finding(Struct, frozen=True, kw_only=True):
    """How an account's hot balance compares with the ledger, nano-USD.

    `entries`: how many the account has. `difference_nano`: what the store has, holds included, less what the
    ledger says; None: it cannot be told, since the store does not know the account, or requests came and went all
    the while (`busy`).
    """

    account_id: str
    entries: int = 0
    ledger_nano: int | None = None
    available_nano: int | None = None
    held_nano: int = 0
    difference_nano: int | None = None
    busy: bool = False
    repaired: bool = False
    faults: tuple[str, ...] = ()


class Check(Struct, frozen=True, kw_only=True):
    """What was found: every account looked at, and, where all was proved, what the proof says."""

    findings: list[Finding]
    proof: Proof | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong any more."""
        wrong = any(found.faults or (found.difference_nano and not found.repaired) for found in self.findings)
        return not wrong and (self.proof is None or self.proof.sound)


class _Sample(Struct, frozen=True):
    available: int
    held: int


class Reconciler:
    """Sweeps and reclaims every few seconds, compares every `interval` seconds and when asked.

    `quiet`: for so many seconds an account must not have moved for a comparison to count; where machines share
    the store, longer than their drains take. `lost`: after so many seconds a hold is given back although no
    journal says that its process died, since its machine may be gone for good. `journal` names this machine's, and
    `place` says how many seconds ago all of it was in the ledger.
    """

    def __init__(
        self,
        credit: Credit,
        store: HotStore,
        counters: Counters,
        *,
        shared: SharedStore | None = None,
        interval: float = 60.0,
        quiet: float = 0.0,
        lost: float = 60.0,
        journal: str = "",
        place: Callable[[], float | None] = lambda: None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._credit = credit
        self._engine = snapshots(credit.ledger.engine)
        self._hot = shared if shared is not None else store
        self._shared = shared
        self._store = store
        self._counters = counters
        self._interval = interval
        self._quiet = quiet
        self._lost = lost
        self._journal = journal
        self._place_of_journal = place
        self._clock = clock
        self._suspects: dict[str, int] = {}
        self._since = 0
        self._place = ""

    async def run(self) -> None:
        """For ever; what cannot be reached is tried again at the next turn. Run it as one task."""
        turns = 0
        while True:
            await asyncio.sleep(min(self._interval, _SWEEP_SECONDS))
            turns += 1
            try:
                await self.sweep()
                await self.reclaim()
                if turns * _SWEEP_SECONDS >= self._interval:
                    turns = 0
                    await self.reconcile()
            except Unavailable as error:
                _log.warning("not reconciled", reason=error.message)
            except SQLAlchemyError as error:
                _log.error("not reconciled", exc_info=error)

    async def tell_place(self) -> None:
        """Tell other machines how far this one's journal is, for ever. Run it as one task."""
        while self._shared is not None:
            age = self._place_of_journal()
            if age is not None:
                with contextlib.suppress(
                    Unavailable
                ):  # told anew in a moment; the store says that it is away
                    await self._shared.journal_place(self._journal, age)
            await asyncio.sleep(_PLACE_SECONDS)

    async def leave(self) -> None:
        """All of this machine's journal is in the ledger, and nothing more comes: nobody need wait for it."""
        if self._shared is not None:
            with contextlib.suppress(Unavailable):
                await self._shared.journal_place(self._journal, None)

    async def sweep(self) -> int:
        """Post what expired to breakage and tell the store; how many grants that were."""
        with away_as_unavailable():
            expired = await self._credit.ledger.expire(now=self._clock())
        if expired:
            _log.info("credit expired", grants=len(expired), nano=-sum(p.amount_nano for p in expired))
        await self._credit.tell()
        return len(expired)

    async def reclaim(self) -> int:
        """Give back what dead processes held: all but what the ledger says their requests cost."""
        if self._shared is None:
            return 0
        abandoned = {each.id: each for each in await self._shared.expired_holds(_RECLAIMED_A_TIME)}
        if not abandoned:
            return 0
        await self._credit.flush()
        with away_as_unavailable():
            async with self._engine.connect() as connection:
                costs = await settled_costs(connection, list(abandoned))
                alive = await still_open(connection, list(abandoned))
        count = 0
        oldest = self._clock() / _NS - self._lost
        for name, each in abandoned.items():
            if name in alive and each.at > oldest:
                continue
            if await self._shared.reclaim(name, costs.get(name, 0)):
                count += 1
                self._counters.reclaimed.inc()
                _log.warning(
                    "hold of a dead process reclaimed", request_id=name, cost_nano=costs.get(name, 0)
                )
            if name in alive:
                await self._release(name)
        return count

    async def _release(self, request_id: str) -> None:
        writer = self._credit.ledger.engine.execution_options(aspendos_writes=True)
        with away_as_unavailable():
            async with writer.begin() as connection:
                await release_hold(connection, request_id, now=self._clock())

    async def reconcile(self) -> Check:
        """Compare the accounts that moved since the last turn and some of the others, in turn.

        A difference is repaired when the next turn finds it again.
        """
        started = self._clock()
        with away_as_unavailable():
            async with self._engine.connect() as connection:
                names = await moved_since(connection, self._since)
                others = await some_after(connection, self._place, _OTHERS_A_PASS)
        self._place = others[-1] if len(others) == _OTHERS_A_PASS else ""
        self._since = started - int((self._interval + self._quiet) * _NS)
        return Check(findings=await self._look(sorted({*names, *others, *self._suspects})))

    async def check(self, accounts: Sequence[str] | None = None, *, repair: bool = True) -> Check:
        """All of it, now: the ledger proved entry by entry, then these accounts, or all. Each is looked at twice."""
        with away_as_unavailable():
            proof = await prove(self._engine)
            names = (
                [account.id for account in await self._credit.ledger.accounts()]
                if accounts is None
                else accounts
            )
        for fault in proof.faults:
            self._alarm(fault.subject, fault.what)
        if not proof.sound:
            return Check(findings=await self.compare(names), proof=proof)
        found = {each.account_id: each for each in await self._look(names, repair=False)}
        wrong = [name for name, each in found.items() if each.difference_nano]
        if repair and wrong:
            found |= {each.account_id: each for each in await self._look(wrong)}
        return Check(findings=[found[name] for name in names], proof=proof)

    async def _look(self, accounts: Sequence[str], *, repair: bool = True) -> list[Finding]:
        found = await self.compare(accounts)
        return [await self._judge(finding, repair=repair) for finding in found]

    async def _judge(self, finding: Finding, *, repair: bool) -> Finding:
        """Alarm, suspect, or mend what was suspected before."""
        account, difference = finding.account_id, finding.difference_nano
        for fault in finding.faults:
            self._alarm(account, fault)
        suspected = self._suspects.pop(account, None)
        if finding.faults or not difference:
            if finding.busy and suspected is not None:
                self._suspects[account] = suspected
            return finding
        if not repair or suspected != difference:
            self._suspects[account] = difference
            _log.warning("hot balance differs from the ledger", account=account, difference_nano=difference)
            return finding
        # Of what was seen, not of when or by whom: of several processes that see it, one repairs it.
        once = f"repair:{account}:{finding.entries}:{finding.available_nano}:{finding.held_nano}:{difference}"
        await self._hot.credit(account, -difference, once=once)
        self._counters.repaired.inc()
        _log.error(
            "hot balance repaired",
            account=account,
            difference_nano=difference,
            ledger_nano=finding.ledger_nano,
            once=once,
        )
        return replace(finding, repaired=True)

    async def compare(self, accounts: Sequence[str]) -> list[Finding]:
        """These accounts, nothing changed. Raises Unavailable when store or database is away."""
        found: dict[str, Finding] = {}
        for start in range(0, len(accounts), _TOGETHER):
            names = accounts[start : start + _TOGETHER]
            for _ in range(_ATTEMPTS):
                for finding in await self._compare(names):
                    found[finding.account_id] = finding
                names = [name for name in names if found[name].busy]
                if not names:
                    break
        return list(found.values())

    async def _compare(self, names: Sequence[str]) -> list[Finding]:
        await self._credit.tell()
        before = {name: await self._sample(name) for name in names}
        known = [name for name in names if before[name] is not None]
        if known and self._quiet:
            await asyncio.sleep(self._quiet)
        if known:
            await self._credit.flush()
        found = {name: Finding(account_id=name) for name in names}
        with away_as_unavailable():
            async with self._engine.connect() as connection:
                for name in known:
                    hot = await read_hot(connection, name)
                    faults = tuple(fault.what for fault in await glance(connection, name))
                    found[name] = _finding(name, hot, faults, before[name], await self._sample(name))
        if any(each.difference_nano for each in found.values()) and await self._others_behind():
            # Another machine's journal is not in the ledger (its database is away, its disk is full): what it has
            # settled is missing there, not here.
            found = {
                name: replace(each, difference_nano=None, busy=True) if each.difference_nano else each
                for name, each in found.items()
            }
        return [found[name] for name in names]

    async def _others_behind(self) -> bool:
        if self._shared is None or not self._quiet:
            return False
        return await self._shared.behind(self._journal, within=self._quiet, lost=self._lost) > 0

    async def _sample(self, account: str) -> _Sample | None:
        """Both figures of one moment; None where the store does not know the account or it moved meanwhile."""
        available = await self._hot.available(account)
        held = await self._hot.held(account)
        if available is None or available != await self._hot.available(account):
            return None
        return _Sample(available, held)

    def _alarm(self, subject: str, fault: str) -> None:
        self._counters.unsound.inc()
        _log.critical("the ledger does not add up; nothing was touched", subject=subject, fault=fault)


def _finding(
    account: str, hot: Hot, faults: tuple[str, ...], before: _Sample | None, after: _Sample | None
) -> Finding:
    moved = after is None or before != after or hot.untold > 0
    return Finding(
        account_id=account,
        entries=hot.entries,
        ledger_nano=hot.balance_nano,
        available_nano=None if after is None else after.available,
        held_nano=0 if after is None else after.held,
        difference_nano=None if after is None or moved else after.available + after.held - hot.balance_nano,
        busy=moved,
        faults=faults,
    )
