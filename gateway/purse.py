"""Purse: a session's slices of time in the store and the journal. Refuses limits other than money and quotas.

What else a session is subject to, its parallel slot and its one request, is admitted once, by whoever opens it.
"""

from collections.abc import Awaitable, Callable

import msgspec

from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.settlement import journal_full
from policies.stores.step import Cold, Rules, Store, Ticket

_ATTEMPTS = 3


class StorePurse:
    """Implements `billing.ledger.slices.Purse`.

    `rules` are the session's; of them account and quotas count. `warm` loads what the store does not know. `record`
    makes the usage record of a slice from its name, its cost (nano-USD), what was held and its time (microseconds).
    `clock` gives unix nanoseconds.
    """

    def __init__(
        self,
        store: Store,
        meter: Meter,
        rules: Rules,
        *,
        warm: Callable[[Cold], Awaitable[None]],
        record: Callable[[str, int, int, int], UsageRecord],
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._meter = meter
        self._rules = msgspec.structs.replace(rules, windows=(), slots=())
        self._warm = warm
        self._record = record
        self._clock = clock
        self._tickets: dict[str, Ticket] = {}

    async def hold(self, name: str, amount_nano: int) -> bool:
        """As the protocol says. Raises Unavailable where neither store nor ledger can tell, or the disk is full."""
        for _ in range(_ATTEMPTS):
            came = await self._store.admit(name, self._rules, tokens=0, amount=amount_nano)
            if isinstance(came, Cold):
                await self._warm(came)
                continue
            if not isinstance(came, Ticket):
                return False
            self._tickets[name] = came
            account = self._rules.account
            if account is not None and not self._meter.hold(name, account, amount_nano, self._clock()):
                self.settle(name, 0, 0)
                raise journal_full()
            return True
        return False

    def settle(self, name: str, cost_nano: int, used_us: int) -> None:
        """As the protocol says."""
        ticket = self._tickets.pop(name)
        self._meter.record(self._record(name, cost_nano, ticket.held, used_us))
        self._store.settle(ticket, tokens=0, amount=cost_nano)
