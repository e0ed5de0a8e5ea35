"""The server as processes: they all serve, end on SIGTERM without cutting anybody off, and are replaced."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from tests.edge_server import connected


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.asynccontextmanager
async def server(
    workers: int, app: str = "make_app"
) -> AsyncGenerator[tuple[int, asyncio.subprocess.Process]]:
    port = free_port()
    code = (
        "from gateway.edge.server import Listen, run\n"
        f"run('tests.edge_server:{app}', Listen(port={port}, workers={workers}, graceful=5))\n"
        "print('ended', flush=True)\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield port, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.communicate(), 20)


async def ask(port: int, path: bytes) -> bytes:
    async with connected(port) as client:
        await client.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return (await client.response())[2]


async def until(probe: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that will be so; servers start, die and come back in their own time."""
    for _ in range(300):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if await probe():
                return
        await asyncio.sleep(0.05)
    raise AssertionError("never happened")


async def pids(port: int, *, count: int, without: int = 0) -> set[int]:
    seen: set[int] = set()

    async def probe() -> bool:
        answers = await asyncio.gather(*(ask(port, b"/pid") for _ in range(10)))
        seen.update(int(answer) for answer in answers)
        seen.discard(without)
        return len(seen) == count

    await until(probe)
    return seen


@pytest.mark.parametrize("workers", [1, 2])
async def test_processes_serve_and_end_without_cutting_anybody_off(workers: int) -> None:
    async with server(workers) as (port, process):
        serving = await pids(port, count=workers)
        assert (process.pid in serving) == (workers == 1)
        async with connected(port) as client:
            await client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.head()
            await client.chunk()
            process.terminate()
            rest = await client.rest()
            assert rest.endswith(b"\r\n0\r\n\r\n")
            assert rest.count(b"\r\n") == 20
        output, errors = await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode == 0
        assert output == b"ended\n"
        assert errors == b""
        for pid in serving:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


async def test_a_killed_worker_is_replaced_while_the_other_serves() -> None:
    async with server(2) as (port, process):
        first, second = await pids(port, count=2)
        os.kill(first, signal.SIGKILL)
        replaced = await pids(port, count=2, without=first)
        assert second in replaced
        assert first not in replaced
        assert process.returncode is None
        process.terminate()
        output, _ = await asyncio.wait_for(process.communicate(), 15)
        (said,) = [line for line in output.decode().splitlines() if "a worker died" in line]
        assert str(first) in said
        assert "signal 9 (SIGKILL)" in said


@pytest.mark.parametrize("workers", [1, 2])
async def test_hang_up_reaches_every_process_and_ends_none(workers: int) -> None:
    async with server(workers) as (port, process):
        before = await pids(port, count=workers)
        process.send_signal(signal.SIGHUP)
        reloaded: list[bytes] = []

        async def probe() -> bool:
            reloaded[:] = await asyncio.gather(*(ask(port, b"/reloads") for _ in range(20)))
            return set(reloaded) == {b"1"}

        await until(probe)
        assert await pids(port, count=workers) == before


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_application_that_cannot_start_ends_the_server(workers: int) -> None:
    async with server(workers, "make_broken_app") as (_, process):
        _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode != 0
        assert b"broken on purpose" in errors
