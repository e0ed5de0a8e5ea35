"""Call: one request on its way through, from its id to its usage record. Passed along, never global."""

import asyncio
import itertools
import os
import time
from collections.abc import Callable

from gateway.attempt import Attempt, failed
from gateway.edge.edge import Edge
from gateway.errand import Errand
from gateway.responses.turn import Turn
from inference.deployment import Deployment
from inference.ir.cards import Model
from inference.ir.errors import AspendosError
from inference.ir.tiers import Feature, Tier
from inference.ir.usage import NO_USAGE
from policies.api_keys import Principal
from policies.stores.step import Ticket


def request_ids() -> Callable[[], str]:
    """A source of request ids unique over processes and restarts: 64 random bits and a count."""
    prefix = f"req-{os.urandom(8).hex()}"
    count = itertools.count(1)
    return lambda: f"{prefix}{next(count):08x}"


class Call:
    """The state of one request. Its clock tells the gateway's own time from time spent waiting for others."""

    __slots__ = (
        "_began_ns",
        "_waited_ns",
        "_waiting_since",
        "arrived_ns",
        "attempts",
        "counted",
        "deployment",
        "drain",
        "dropped",
        "edge",
        "errand",
        "failures",
        "feature",
        "gone",
        "id",
        "model",
        "principal",
        "prompt",
        "route",
        "settled",
        "stream",
        "tags",
        "task",
        "ticket",
        "tier",
        "ttft_us",
        "turn",
    )

    def __init__(self, call_id: str, route: str, edge: Edge) -> None:
        self.id = call_id
        self.route = route
        self.edge = edge
        self.task: asyncio.Task[object] | None = asyncio.current_task()
        self.arrived_ns = time.time_ns()
        self.principal: Principal | None = None
        self.model: Model | None = None
        self.tier: Tier | None = None
        self.feature: Feature | None = None
        self.tags: dict[str, str] = {}
        self.ticket: Ticket | None = None
        self.stream = False
        self.prompt = b""
        self.counted = NO_USAGE
        self.deployment: Deployment | None = None
        self.attempts = 0
        self.failures: list[Attempt] = []
        self.ttft_us: int | None = None
        self.turn: Turn | None = None
        self.errand: Errand | None = None
        self.gone = False
        self.drain = False
        self.dropped: tuple[str, ...] = ()
        self.settled = False
        self._began_ns = time.perf_counter_ns()
        self._waited_ns = 0
        self._waiting_since = 0

    def waiting(self) -> None:
        """From now on the time is the client's or the upstream's, not ours."""
        self._waiting_since = time.perf_counter_ns()

    def working(self) -> None:
        """From now on the time is ours again."""
        if self._waiting_since:
            self._waited_ns += time.perf_counter_ns() - self._waiting_since
            self._waiting_since = 0

    def elapsed_us(self) -> int:
        """Microseconds since the request's head arrived."""
        return (time.perf_counter_ns() - self._began_ns) // 1000

    def overhead_us(self) -> int:
        """Microseconds of that which were the gateway's own."""
        now = time.perf_counter_ns()
        waited = self._waited_ns + (now - self._waiting_since if self._waiting_since else 0)
        return (now - self._began_ns - waited) // 1000

    def ended(self) -> tuple[int, int]:
        """The time is ours again, and the call over: what `elapsed_us` and `overhead_us` say, by one look at the
        clock."""
        now = time.perf_counter_ns()
        if self._waiting_since:
            self._waited_ns += now - self._waiting_since
            self._waiting_since = 0
        elapsed = now - self._began_ns
        return elapsed // 1000, (elapsed - self._waited_ns) // 1000

    def attempted(self, deployment: Deployment) -> None:
        """An attempt begins."""
        self.attempts += 1
        self.deployment = deployment

    def attempt_failed(self, deployment: Deployment, error: AspendosError) -> None:
        """An attempt ended without an answer; kept for the log and the metrics."""
        self.failures.append(failed(deployment, error))

    def client_gone(self) -> None:
        """The client left while nothing had been sent to it: stop whatever is being awaited.

        Unless `drain`: then the answer is read to its end, for the record.
        """
        self.gone = True
        if self.task is not None and not self.drain:
            self.task.cancel()

    def client_paused(self) -> None:
        """Nothing is being written yet: a slow client changes nothing."""

    def client_resumed(self) -> None:
        """As above."""
