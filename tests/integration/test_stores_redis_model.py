"""The Redis store against the same exact model as memory's, on a real Redis whose clock the test moves."""

import asyncio
import itertools
import secrets
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from policies.stores.link import Timing
from policies.stores.redis import RedisStore
from policies.stores.step import Store, Ticket
from tests.redis_server import RedisServer, redis_server
from tests.store_model import StoreMachine

T = TypeVar("T")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as redis:
        yield redis


class RedisMachine(StoreMachine):
    """Each run counts behind a prefix of its own."""

    url: ClassVar[str]
    numbers: ClassVar[Iterator[int]] = itertools.count()

    def open_store(self) -> Store:
        self.loop = asyncio.new_event_loop()
        self.redis = RedisStore(
            self.url,
            names=lambda: secrets.token_hex(8),
            timing=Timing(lease=1e7, grace=0, drained=0, answer=10, connect=10),
            prefix=f"aspendos:{{model{next(self.numbers)}}}:",
            clock=lambda: self.clock.now,
        )
        self.running = self.loop.create_task(self.redis.run())
        self.wait(self.redis.link.ready(10))
        return self.redis

    def wait(self, coro: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coro)

    def end(self, ticket: Ticket, tokens: int, amount: int) -> None:
        async def told() -> bool:
            self.redis.settle(ticket, tokens=tokens, amount=amount)
            return await self.redis.flush(10)

        assert self.wait(told())

    def teardown(self) -> None:
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self.running)
        self.loop.close()


def test_machine(server: RedisServer) -> None:
    RedisMachine.url = server.url
    steps = settings(max_examples=120, stateful_step_count=60, deadline=None)
    run_state_machine_as_test(RedisMachine, settings=steps)  # pyright: ignore[reportUnknownMemberType] - untyped
