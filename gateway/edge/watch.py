"""Watch: uvicorn's server, told by signals how to end. Refuses to count signals: `orders` does.

serving -> leaving (asked whether it is ready it says no, and serves) -> draining -> ended
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import structlog
from uvicorn import Config, Server

from gateway.edge.config import edge_of
from gateway.edge.orders import Order

_log = structlog.stdlib.get_logger("server")


class Watch(Server):
    """Two things of uvicorn's are changed.

    Between a SIGTERM and the drain there may be some time in which the application knows that it is leaving, so
    that whoever spreads the traffic can hear of it before connections are refused. And a signal wakes the loop,
    which need not look ten times a second whether there was one: it wakes once, as a second begins, to tell the
    connections the date. `should_exit`, where anybody else sets it, is seen then.
    """

    def __init__(
        self,
        config: Config,
        *,
        heard: Callable[[int], Order | None],
        delay: float = 0.0,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        """`heard` says what a signal asks for; `delay` is between LEAVE and DRAIN, in seconds; `started` is told."""
        super().__init__(config)
        self._heard = heard
        self._delay = delay
        self._told_started = started
        self._until = math.inf
        self._wake: Callable[[], object] = lambda: None

    def obey(self, order: Order) -> None:
        """From any thread, or in the midst of anything, as signals come; once more does no harm."""
        self._until = min(self._until, time.monotonic() + (self._delay if order is Order.LEAVE else 0.0))
        if order is Order.END:
            self.force_exit = True
        self._wake()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """What uvicorn has a signal call. Unlike there it is not raised once more when all is done."""
        order = self._heard(sig)
        if order is not None:
            self.obey(order)

    async def main_loop(self) -> None:
        """Until it is time to drain."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(woken.set)
        if self._until < math.inf:  # told while it started: nobody has been sent here yet
            self._until = 0.0
        else:
            self._told_started()
        leaving = False
        while not await self.on_tick(0):  # at 0 it tells the date
            woken.clear()
            if not leaving and self._until < math.inf:
                leaving = True
                self._leave()
            left = self._until - time.monotonic()
            if left <= 0:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, 1.0 - time.time() % 1.0)):
                    await woken.wait()
        self._wake = lambda: None  # from here on uvicorn looks by itself
        self.should_exit = True

    def _leave(self) -> None:
        edge_of(self.config.loaded_app).leaving()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - uvicorn leaves it untyped
        left = max(0.0, self._until - time.monotonic())
        _log.info(
            "told to end", drain_in_seconds=round(left, 1), connections=len(self.server_state.connections)
        )
