"""Intake: the body of one upload while it comes in. In memory as long as it is small, on the disk from then on."""

from gateway.edge.spool import PIECE, Spool, Spools, Stored
from inference.ir.bulk import Data


class Intake:
    """What has come waits here until it is stored; whoever feeds it stops while it is `crowded`."""

    __slots__ = ("_limit", "_spool", "_spools", "_waiting", "size")

    def __init__(self, spools: Spools) -> None:
        self.size = 0
        self._spools = spools
        self._limit = spools.over
        self._waiting = bytearray()
        self._spool: Spool | None = None

    @property
    def crowded(self) -> bool:
        """As much waits as may."""
        return len(self._waiting) > self._limit

    def take(self, piece: bytes) -> None:
        """One piece of the body."""
        self._waiting += piece
        self.size += len(piece)

    async def store(self) -> None:
        """Put on the disk what waits; from then on there is room again. Raises Unavailable where the disk has none."""
        data, self._waiting = self._waiting, bytearray()
        if self._spool is None:
            self._spool = Spool(self._spools)
            self._limit = PIECE
        await self._spools.write(self._spool, data)

    async def whole(self) -> Data:
        """The body, once all of it has come. Raises Unavailable."""
        if self._spool is None and not self.crowded:
            return bytes(self._waiting)
        if self._waiting:
            await self.store()
        assert self._spool is not None
        return Stored(self._spool, 0, self._spool.size)

    def close(self) -> None:
        """Nothing of it is kept."""
        self._waiting = bytearray()
        if self._spool is not None:
            self._spool.close()
