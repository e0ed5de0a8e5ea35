"""Orders: what the signals mean that end a server, in the order they come. Pure; refuses to end anything."""

import signal
from collections.abc import Callable
from enum import Enum, auto

_ONE_MESSAGE = 1.0
"""Seconds within which a second SIGTERM is the first once more: `kill` of a process group, a service manager and the
program in front each tell everybody, the same process twice."""


class Order(Enum):
    """The steps of an end; each goes further than the one before."""

    LEAVE = auto()
    """Say that no more traffic is wanted, take what comes all the same, and drain after a while."""
    DRAIN = auto()
    """Take nothing new; what is under way may finish, up to its deadline."""
    END = auto()
    """Wait for nothing."""


class Orders:
    """The first signal is a request, the second an order. `clock` in seconds, never stepped."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: float | None = None

    def heard(self, number: int) -> Order | None:
        """What SIGTERM or SIGINT (Ctrl-C: somebody sits there and waits) asks for; None: nothing that was not asked."""
        now = self._clock()
        if self._first is None:
            self._first = now
            return told(number)
        if number == signal.SIGTERM and now - self._first < _ONE_MESSAGE:
            return None
        return Order.END


def told(number: int) -> Order:
    """The same where somebody else keeps count, and the same may be said any number of times."""
    return Order.DRAIN if number == signal.SIGINT else Order.LEAVE
