"""Counters: what memory counts beside windows, and the shelf that keeps counters only while they are used."""

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Seats:
    """How many requests are under way. `holders` counts the rules that are tied to it, as in each of these."""

    __slots__ = ("holders", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.holders = 0

    def idle(self, now: int) -> bool:
        """Nobody is tied to it."""
        return self.holders == 0


class Spending:
    """What a quota's period has seen, nano-USD spent and held; None: not known yet."""

    __slots__ = ("held", "holders", "used")

    def __init__(self) -> None:
        self.used: int | None = None
        self.held = 0
        self.holders = 0

    def hold(self, amount: int) -> None:
        """`amount` more is held."""
        self.held += amount
        if self.used is not None:
            self.used += amount

    def settle(self, held: int, amount: int) -> None:
        """What was held becomes `amount` spent."""
        self.held -= held
        if self.used is not None:
            self.used += amount - held

    def idle(self, now: int) -> bool:
        """Nobody is tied to it, nothing held: it can be learnt anew."""
        return self.holders == 0 and self.held == 0


class Fund:
    """An account: what it has left beside its holds, None where not known, and what is held."""

    __slots__ = ("available", "epoch", "held", "holders")

    def __init__(self, epoch: int) -> None:
        self.available: int | None = None
        self.held = 0
        self.epoch = epoch
        self.holders = 0

    def hold(self, amount: int) -> int | None:
        """`amount` more is held; what is left."""
        self.held += amount
        if self.available is not None:
            self.available -= amount
        return self.available

    def settle(self, held: int, amount: int) -> bool:
        """What was held becomes `amount` spent. False where the balance is not known: who loads must know of it."""
        self.held -= held
        if self.available is None:
            return False
        self.available += held - amount
        return True

    def idle(self, now: int) -> bool:
        """Nobody is tied to it, nothing held: it can be learnt anew."""
        return self.holders == 0 and self.held == 0


class _Idle(Protocol):
    def idle(self, now: int) -> bool: ...


_Kept = TypeVar("_Kept", bound=_Idle)
_Key = TypeVar("_Key", str, int)


class Shelf(Generic[_Key, _Kept]):
    """Things by key, made when first asked for.

    Each time one is made, two others are looked at, in turn, and dropped if idle: so what is kept is at most
    about twice what is used, and no moment pays for a sweep.
    """

    __slots__ = ("_hand", "known")

    def __init__(self) -> None:
        self.known: dict[_Key, _Kept] = {}
        self._hand: deque[_Key] = deque()

    def get(self, key: _Key, now: int, make: Callable[[], _Kept]) -> _Kept:
        """The one of this key. `now` in microseconds."""
        there = self.known.get(key)
        if there is not None:
            return there
        for _ in range(min(2, len(self._hand))):
            other = self._hand.popleft()
            if self.known[other].idle(now):
                del self.known[other]
            else:
                self._hand.append(other)
        made = self.known[key] = make()
        self._hand.append(key)
        return made
