"""Slices: how a session that is paid by the second (voice, realtime) holds credit, a slice of time after the other.

Each slice is a request of its own to purse, journal and ledger: held before it begins, journaled and settled when it
is over, so that a session whose process dies is billed for the slices that were over and for no other, and no
credit is held for longer than the time that it pays. Owns which slices there are and what each costs; refuses to
read a clock and to decide what happens to a session whose credit ends: moments come in, as microseconds.
"""

from typing import Protocol

from msgspec import Struct

_SECOND_US = 1_000_000


class Tariff(Struct, frozen=True, kw_only=True):
    """A price, nano-USD a second; the length of a slice; and how long before its end the next one is held."""

    nano_per_second: int
    slice_us: int = 30 * _SECOND_US
    lead_us: int = 5 * _SECOND_US

    def __post_init__(self) -> None:
        if self.nano_per_second < 0 or not 0 <= self.lead_us < self.slice_us:
            raise ValueError(f"no tariff: {self}")

    def cost(self, used_us: int) -> int:
        """What so much time costs in all, rounded half up once."""
        return (used_us * self.nano_per_second + _SECOND_US // 2) // _SECOND_US


class Purse(Protocol):
    """Where slices are held and settled. A slice's name is a request id."""

    async def hold(self, name: str, amount_nano: int) -> bool:
        """Hold so much and journal it; False, with nothing held, where credit or budget does not allow it."""
        ...

    def settle(self, name: str, cost_nano: int, used_us: int) -> None:
        """Journal what the slice cost and for what time, then let go of the rest. Never fails."""
        ...


class _Slice(Struct):
    name: str
    start: int
    end: int


class SlicedSession:
    """One session. `open` it, call `renew` at `renew_at` again and again, stop at `ends_at`, `close` it always.

    Not for several tasks at once.
    """

    def __init__(self, session_id: str, tariff: Tariff, purse: Purse) -> None:
        self._id = session_id
        self._tariff = tariff
        self._purse = purse
        self._slices: list[_Slice] = []
        self._number = 0
        self._opened = self._end = 0
        self._refused = self._closed = False
        self.cost_nano = 0
        """What was settled so far; after `close`, what the session cost."""

    @property
    def ends_at(self) -> int:
        """Until when is paid: it must stop then."""
        return self._end

    @property
    def renew_at(self) -> int | None:
        """When to call `renew`; None: credit has ended, and so does the session, at `ends_at`."""
        return None if self._refused or self._closed else self._end - self._tariff.lead_us

    async def open(self, now: int) -> bool:
        """Hold the first slice, from `now`; False: it must not begin."""
        self._opened = self._end = now
        return await self._hold()

    async def renew(self, now: int) -> bool:
        """Settle the slices that are over and hold the next one; False: there is no credit for it."""
        self._settle_over(now)
        if self._closed or self._refused:
            return False
        if now < self._end - self._tariff.lead_us:
            return True
        return await self._hold()

    def close(self, now: int) -> int:
        """End it at `now`: pay exactly what was used, give the rest back. What all of it cost; a second call too."""
        if not self._closed:
            self._closed = True
            self._settle_over(now)
            for number, each in enumerate(self._slices):
                # The last of them pays for the time it was overrun, if whoever runs the session was late.
                last = number == len(self._slices) - 1
                self._pay(each, max(each.start, now if last else min(now, each.end)))
            self._slices.clear()
        return self.cost_nano

    async def _hold(self) -> bool:
        start, end = self._end, self._end + self._tariff.slice_us
        self._number += 1
        name = f"{self._id}.{self._number}"
        if not await self._purse.hold(name, self._cost(start, end)):
            self._refused = True
            return False
        held = _Slice(name, start, end)
        if self._closed:  # while it was asked for
            self._purse.settle(name, 0, 0)
            return False
        self._slices.append(held)
        self._end = end
        return True

    def _settle_over(self, now: int) -> None:
        while len(self._slices) > 1 and self._slices[0].end <= now:
            over = self._slices.pop(0)
            self._pay(over, over.end)

    def _pay(self, each: _Slice, until: int) -> None:
        cost = self._cost(each.start, until)
        self.cost_nano += cost
        self._purse.settle(each.name, cost, until - each.start)

    def _cost(self, start: int, end: int) -> int:
        """Of what the whole session costs, what falls between: so all slices add up to it, to the nano-dollar."""
        return self._tariff.cost(end - self._opened) - self._tariff.cost(start - self._opened)
