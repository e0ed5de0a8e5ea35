"""The step: everything one request needs counted, tried at once, and what came of it. Pure: words, no counting.

A request either gets all it asks for (windows, slots, quotas, funds) or consumes nothing at all. Amounts are
nano-USD, durations seconds, moments seconds since 1970.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class Unit(StrEnum):
    """What a window counts. Requests are known before, tokens estimated before and corrected after."""

    REQUESTS = "requests"
    TOKENS = "tokens"


class Window(Struct, frozen=True):
    """At most `limit` units in any `seconds`. `key` names the counter; `scope` says in words whose it is."""

    key: str
    unit: Unit
    limit: int
    seconds: int
    scope: str = ""


class Slot(Struct, frozen=True):
    """At most `limit` requests at a time."""

    key: str
    limit: int
    scope: str = ""


class Quota(Struct, frozen=True):
    """At most `limit` nano-USD spent and held until `ends_at`; None only counts. `key` names one period."""

    key: str
    limit: int | None
    ends_at: float
    scope: str = ""


class Rules(Struct, frozen=True):
    """What a kind of request is subject to; made once per caller and model, used by many requests.

    `account` pays, down to `floor` (0, or below it where credit is given); None: nobody pays.
    `until` is when these rules must be made anew, since a quota's period ends.
    """

    windows: tuple[Window, ...] = ()
    slots: tuple[Slot, ...] = ()
    quotas: tuple[Quota, ...] = ()
    account: str | None = None
    floor: int = 0
    until: float = float("inf")


class Standing(Struct, frozen=True):
    """How a window stands after the step: what is left of it, and in how many seconds it is whole again."""

    window: Window
    remaining: int
    reset: float


class Ticket(Struct):
    """A request let in. Given back exactly once, to `settle`; until then slots and funds are its own.

    `held` grows with `extend`. `balance` is what the account has left after the hold, None where nobody pays.
    `degraded` says that the shared store was away and how the count was made instead.
    """

    id: str
    rules: Rules
    tokens: int
    held: int
    at: float
    standings: tuple[Standing, ...] = ()
    balance: int | None = None
    degraded: str | None = None


class Refused(Struct, frozen=True):
    """Nothing was consumed. `by` is the rule that refused; `account` when the funds did not suffice.

    `retry_after`: seconds until the same request would be let in if nothing else came, None: unknowable. Where
    slots are taken as well it is the earliest moment, since nobody knows when a request ends.
    `remaining` is what was left of the rule (units, slots or nano-USD; never below 0).
    """

    by: Window | Slot | Quota | None
    account: str | None = None
    retry_after: float | None = None
    remaining: int = 0
    standings: tuple[Standing, ...] = ()
    degraded: str | None = None


class Cold(Struct, frozen=True):
    """The store does not know these balances and quotas: load them, then try again. Nothing was consumed."""

    accounts: tuple[str, ...] = ()
    quotas: tuple[Quota, ...] = ()


class Store(Protocol):
    """Counts for every process that shares it. Each method is one atomic step and at most one round trip.

    Raises Unavailable where the store cannot be reached and has no fall-back.
    """

    async def admit(
        self, request_id: str, rules: Rules, *, tokens: int, amount: int
    ) -> Ticket | Refused | Cold:
        """Try it all: one request, `tokens` tokens, a hold of `amount`. A `request_id` is let in once."""
        ...

    async def extend(self, ticket: Ticket, amount: int) -> bool:
        """Hold `amount` more, from the account and all quotas; False, with nothing changed, where it does not fit."""
        ...

    def settle(self, ticket: Ticket, *, tokens: int, amount: int) -> None:
        """End it: slots free, tokens and quotas corrected to what was used, the hold replaced by `amount`.

        Never waits and never fails: what cannot be told to the shared store now is told later. An `amount`
        above what was held is taken too, below the floor if need be. A second call changes nothing.
        """
        ...

    async def load(self, account: str, balance: int, *, epoch: int, included: Collection[str] = ()) -> bool:
        """Teach the store a balance read from the ledger after `epoch` was asked for; False: read it again.

        `balance` is what is posted, with no hold taken off: the store takes off the open ones, which it knows.
        `included` names the postings of the last minutes that are in it: a `credit` that tells one of them
        later changes nothing, which else would count it twice. Knows an account already: changes nothing, True.
        """
        ...

    async def load_quota(self, quota: Quota, used: int) -> None:
        """Teach the store what a quota's period has seen so far, holds not counted; nothing where it knows."""
        ...

    async def epoch(self, account: str) -> int:
        """A number that moves with all that a `load` must not overlook: ask, then read the ledger, then load."""
        ...

    async def credit(self, account: str, amount: int, *, once: str) -> None:
        """The ledger gave (or, below zero, took) `amount`. `once` names the posting: told twice, done once."""
        ...

    async def available(self, account: str) -> int | None:
        """What the account has left beside all holds; None where the store does not know it."""
        ...

    async def forget(self, account: str) -> None:
        """Drop a balance, so that the next step loads it anew."""
        ...
