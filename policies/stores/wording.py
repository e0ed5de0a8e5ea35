"""Wording: rules and requests as Redis' scripts read them, and their answers read back. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from policies.stores import refusal as refusals
from policies.stores.refusal import Level, Levels
from policies.stores.step import Cold, Refused, Rules, Standing, Ticket, Unit
from policies.stores.window import MICROSECONDS, bucket_width

PREFIX = "aspendos:{limits}:"
_EXACT = 1 << 53
_MOST = 1 << 62


class Expired(Struct, frozen=True):
    """A request whose owner has not been heard of for a lease: what it holds, since when (seconds since 1970)."""

    id: str
    account: str | None
    held: int
    at: float
    quotas: tuple[str, ...] = ()


class Wording:
    """The words for everything behind one prefix, which ends in `:` and should hold one {hash tag}."""

    def __init__(self, prefix: str = PREFIX) -> None:
        self._prefix = prefix
        self.generation = f"{prefix}gen".encode()

    def account(self, account: str) -> bytes:
        return f"{self._prefix}a:{account}".encode()

    def quota(self, key: str) -> bytes:
        return f"{self._prefix}q:{key}".encode()

    def mark(self, once: str) -> bytes:
        return f"{self._prefix}c:{once}".encode()

    def rules(self, rules: Rules) -> bytes:
        """Account, floor, windows, slots and quotas with their full keys; numbers exact in Lua."""
        prefix = self._prefix
        return msgspec.msgpack.encode(
            [
                f"{prefix}a:{rules.account}" if rules.account is not None else "",
                max(-_EXACT, min(rules.floor, _EXACT)),
                [
                    [
                        f"{prefix}w:{w.unit}:{w.seconds}:{w.key}",
                        int(w.unit is Unit.TOKENS),
                        min(w.limit, _EXACT),
                        bucket_width(w.seconds),
                    ]
                    for w in rules.windows
                ],
                [[f"{prefix}s:{s.key}", min(s.limit, _EXACT)] for s in rules.slots],
                [
                    [f"{prefix}q:{q.key}", -1 if q.limit is None else min(q.limit, _EXACT)]
                    for q in rules.quotas
                ],
            ]
        )

    def expired(self, entry: Sequence[Any]) -> Expired:
        """One line of the EXPIRED script's answer."""
        request_id, account, held, at, *quotas = entry
        cut = len(self._prefix) + 2
        return Expired(
            request_id.decode(),
            account.decode()[cut:] or None,
            held,
            at / MICROSECONDS,
            tuple(quota.decode()[cut:] for quota in quotas),
        )


def number(value: int) -> bytes:
    """An amount, as text. Raises ValueError where 64-bit sums of it could overflow."""
    if not -_MOST <= value <= _MOST:
        raise ValueError(f"{value} is beyond what can be counted: 2^62 nano-USD")
    return str(value).encode()


def ticket(request_id: str, rules: Rules, tokens: int, amount: int, reply: list[Any]) -> Ticket:
    """What an `ok` of the ADMIT script says."""
    _, now, before, *windows = reply
    standings = [
        Standing(window, window.limit - int(total), int(reset) / MICROSECONDS)
        for window, (total, reset) in zip(rules.windows, windows, strict=True)
    ]
    balance = int(before) - amount if before else None
    return Ticket(request_id, rules, tokens, amount, int(now) / MICROSECONDS, tuple(standings), balance)


def refused(rules: Rules, amount: int, reply: list[Any]) -> Refused:
    """What a `no` of the ADMIT script says."""
    _, now, balance, used, taken, *windows = reply
    levels = Levels(
        int(now) / MICROSECONDS,
        [
            Level(int(total), None if int(wait) < 0 else int(wait) / MICROSECONDS, int(reset) / MICROSECONDS)
            for total, wait, reset in windows
        ],
        [int(each) for each in taken],
        [int(each) for each in used],
        int(balance) if balance else None,
    )
    found = refusals.refusal(rules, levels, amount)
    if found is None:
        raise AssertionError("Redis refused what fits")
    return found


def cold(rules: Rules, which: Sequence[int]) -> Cold:
    """What a `cold` of the ADMIT script says: -1 the account, else the quota at that place."""
    accounts = (rules.account,) if -1 in which and rules.account is not None else ()
    return Cold(accounts, tuple(rules.quotas[place] for place in which if place >= 0))
