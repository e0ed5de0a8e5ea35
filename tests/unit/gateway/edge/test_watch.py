"""The server's life without signals: when it leaves, when it drains, and what else ends it."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator

import uvicorn

from gateway.edge.asgi import EdgeApp
from gateway.edge.config import EdgeConfig
from gateway.edge.connection import Connection
from gateway.edge.edge import Edge
from gateway.edge.orders import Order, told
from gateway.edge.watch import Watch
from tests.edge_server import Calls, connected, render_error


class Life:
    """A watch on a free port, and what it told the application."""

    def __init__(self, *, delay: float = 0.0, most: int | None = None) -> None:
        self.left = 0
        self.started = 0
        edge = EdgeConfig(routes={("GET", "/"): self.answer}, render_error=render_error, leaving=self.leaving)
        config = uvicorn.Config(
            EdgeApp(Calls().asgi, edge),
            port=0,
            http=Connection,
            lifespan="off",
            log_config=None,
            limit_max_requests=most,
            timeout_graceful_shutdown=2,
        )
        self.watch = Watch(config, heard=told, delay=delay, started=self.has_started)
        self.watch.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]

    def leaving(self) -> None:
        self.left += 1

    def has_started(self) -> None:
        self.started += 1

    async def answer(self, edge: Edge) -> None:
        edge.respond(200, [], b"")

    async def ask(self) -> int:
        port = self.watch.servers[0].sockets[0].getsockname()[1]
        async with connected(port) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return (await client.response())[0]

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncGenerator[asyncio.Task[None]]:
        task = asyncio.get_running_loop().create_task(self.watch.serve())
        try:
            while not self.started:
                await asyncio.sleep(0.005)
            yield task
        finally:
            self.watch.should_exit = True
            await asyncio.wait_for(task, 10)


async def test_told_to_leave_it_says_so_once_and_serves_until_the_delay_is_over() -> None:
    life = Life(delay=0.6)
    async with life.run() as task:
        assert (life.left, await life.ask()) == (0, 200)
        life.watch.obey(Order.LEAVE)
        life.watch.obey(Order.LEAVE)
        await asyncio.sleep(0.1)
        assert (life.left, await life.ask()) == (1, 200)
        await asyncio.wait_for(task, 10)
    assert (life.left, life.watch.force_exit) == (1, False)


async def test_told_to_drain_it_waits_for_no_delay_and_told_so_meanwhile_neither() -> None:
    for first in ([], [Order.LEAVE]):
        life = Life(delay=60)
        async with life.run() as task:
            for order in first:
                life.watch.obey(order)
                await asyncio.sleep(0.05)
            life.watch.handle_exit(signal.SIGINT, None)
            await asyncio.wait_for(task, 10)
        assert life.left == 1


async def test_told_to_end_it_waits_for_nothing() -> None:
    life = Life(delay=60)
    async with life.run() as task:
        life.watch.obey(Order.END)
        await asyncio.wait_for(task, 10)
    assert life.watch.force_exit


async def test_told_while_it_starts_it_never_says_that_it_serves() -> None:
    life = Life(delay=60)
    life.watch.obey(Order.LEAVE)
    await asyncio.wait_for(life.watch.serve(), 10)
    assert (life.started, life.watch.started) == (0, True)


async def test_what_uvicorn_itself_ends_for_is_seen_within_a_second_or_so() -> None:
    life = Life(most=1)
    async with life.run() as task:
        assert await life.ask() == 200
        await asyncio.wait_for(task, 10)
    life = Life()
    async with life.run() as task:
        life.watch.should_exit = True
        await asyncio.wait_for(task, 10)
