"""A ledger, a journal with its drain, a store in memory, and requests that pay: what a gateway's process has."""

import time
from pathlib import Path
from typing import Generic, TypeVar

from billing.drain import Drain
from billing.journal import Journal
from billing.ledger.ledger import Ledger
from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.credit import Credit
from gateway.database.engine import Database
from policies.stores.clock import steady
from policies.stores.memory import MemoryStore
from policies.stores.step import Cold, Refused, Rules, Store, Ticket

ACCOUNT = "acct_team_a"
RULES = Rules(account=ACCOUNT)


_Kept = TypeVar("_Kept", bound=Store)


class World(Generic[_Kept]):
    """One process's. `admit` and `settle` do what the pipeline does, in its order."""

    def __init__(self, database: Database, folder: Path, store: _Kept, *, writer: str = "w") -> None:
        self.engine = database.engine
        self.ledger = Ledger(database.engine)
        self.journal = Journal(folder, writer_id=writer)
        self.meter = Meter(self.journal)
        self.drain = Drain(folder, database.engine)
        self.store = store
        self.credit = Credit(self.ledger, self.drain, self.store)

    async def ask(self, name: str, amount: int) -> Ticket | Refused:
        """A request that may cost `amount`, let in or not."""
        came = await self.store.admit(name, RULES, tokens=0, amount=amount)
        while isinstance(came, Cold):
            await self.credit.warm(came)
            came = await self.store.admit(name, RULES, tokens=0, amount=amount)
        if isinstance(came, Ticket):
            self.meter.hold(name, ACCOUNT, amount, 1)
        return came

    async def admit(self, name: str, amount: int) -> Ticket:
        """One that must be let in."""
        came = await self.ask(name, amount)
        assert isinstance(came, Ticket), came
        return came

    def settle(self, ticket: Ticket, cost: int) -> None:
        self.pays(ticket.id, cost, ACCOUNT, held=ticket.held)
        self.store.settle(ticket, tokens=0, amount=cost)

    def pays(self, name: str, cost: int, account: str, *, held: int = 0) -> None:
        """The usage record of a request."""
        self.meter.record(
            UsageRecord(
                id=name,
                at=1,
                route="chat",
                model="m",
                account=account,
                held_nano=held,
                cost_nano=cost,
                duration_us=1,
                overhead_us=1,
                status=200,
            )
        )


class CreditWorld(World[MemoryStore]):
    """The only process there is."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder, MemoryStore(steady(time.time, time.monotonic)))
