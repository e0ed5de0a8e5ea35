"""The depot: what processes that share counters tell each other through a database. Pure: words, no storing.

Of each counter a process has a *share*: what it may use alone. The depot keeps the shares of all processes so
that they never add up to more than there is, and the leases by which it knows that a process still lives.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class Kind(StrEnum):
    """What a counter counts, and so where its capacity is found.

    A window's and a slot's is the rule's limit. A quota's is its limit less what was spent, which the depot keeps
    beside the shares. A fund's is the ledger's balance less the account's floor.
    """

    WINDOW = "w"
    SLOT = "s"
    QUOTA = "q"
    FUND = "f"


class Want(Struct, frozen=True):
    """More of one counter: `short` units beyond the process's `share`, and if there are plenty, some ahead.

    `limit` is the rule's, and nothing for a fund. `linger`: seconds for which a share stays reserved when its
    process is dead. `part`: at most one `part`-th of what is free is given ahead. `asked`: when it was wished for
    by the request that still lacks it, by the depot's clock; 0: now for the first time.
    """

    counter: str
    kind: Kind
    share: int
    short: int
    limit: int = 0
    linger: float = 0.0
    part: int = 16
    asked: int = 0


class Bid(Struct, frozen=True):
    """All one request lacks: it gets all of it, or nothing."""

    wants: tuple[Want, ...]


class Drawn(Struct, frozen=True):
    """What came of one want: how much was added to the share, and what is still free for everybody.

    `known` is False for a quota whose spending the depot has to be told first. `contested`: it lacks, and others have
    shares of which they have not said since it was `asked` for that they use all of them.
    """

    granted: int
    free: int
    known: bool = True
    contested: bool = False
    asked: int = 0


class Row(Struct, frozen=True):
    """A process's share of one counter as it is to be kept; 0: none. `spent` of a quota leaves the share for good.

    `tight`: all of it is in use, which answers whoever wished for some until now.
    """

    counter: str
    kind: Kind
    share: int
    linger: float = 0.0
    spent: int = 0
    tight: bool = False


class Kept(Struct, frozen=True):
    """What a process hears when it renews its lease.

    `wanted`: counters of its own that another process lacks and has no answer about; `moved`: quotas whose `spent`
    was taken over.
    """

    wanted: Collection[str] = ()
    moved: Collection[str] = ()


class Lapsed(Exception):
    """This process was silent for longer than its lease: others may have what it had. Nothing was changed."""


class Depot(Protocol):
    """Each method is one transaction, and raises inference.ir.errors.Unavailable where that cannot be made."""

    async def join(self, process: str, lease: float) -> None:
        """Begin: from now on the process lives for `lease` seconds, again and again. Its name was never used."""
        ...

    async def draw(self, process: str, bids: Sequence[Bid], lease: float) -> list[list[Drawn]]:
        """Add to shares what the bids want, each in full or not at all; renews the lease. Raises Lapsed."""
        ...

    async def keep(
        self, process: str, rows: Sequence[Row], lease: float, *, unspent: Collection[str]
    ) -> Kept:
        """Renew the lease and note shares as they are now. Raises Lapsed.

        `unspent`: counters of kind fund of which the process has something left; they are `wanted` too when all
        shares together exceed what the ledger says.
        """
        ...

    async def wanted(self, process: str) -> Collection[str]:
        """Counters of its own that another process lacks and has no answer about. Only looks."""
        ...

    async def load(self, quota: str, spent: int, *, ends_at: float) -> None:
        """What a quota's period has seen so far; nothing where the depot knows."""
        ...

    async def left(self, process: str, fund: str) -> int:
        """An account's balance less the shares of all other processes."""
        ...

    async def leave(self, process: str, rows: Sequence[Row]) -> None:
        """End: only these shares stay, for as long as each lingers."""
        ...
