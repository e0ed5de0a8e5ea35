"""The server as processes: they all serve, end on SIGTERM without cutting anybody off, and are replaced."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.edge_server import connected


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.asynccontextmanager
async def server(
    workers: int, app: str = "make_app", *, delay: float = 0.0
) -> AsyncGenerator[tuple[int, asyncio.subprocess.Process]]:
    port = free_port()
    code = (
        "from gateway.edge.server import Listen, run\n"
        f"run('tests.edge_server:{app}', Listen(port={port}, workers={workers}, delay={delay}, graceful=5))\n"
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
        assert output.endswith(b"ended\n")
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


async def told(port: int, count: int) -> dict[int, list[bytes]]:
    """By process, which of the signals that mean a reload it has heard."""
    answers = await asyncio.gather(*(ask(port, b"/reloads") for _ in range(20)))
    heard = {int(pid): signals for pid, *signals in map(bytes.split, answers)}
    return heard if len(heard) == count else {}


@pytest.mark.parametrize("workers", [1, 2])
async def test_hang_up_reaches_every_process_one_of_them_as_itself_and_ends_none(workers: int) -> None:
    async with server(workers) as (port, process):
        before = await pids(port, count=workers)
        process.send_signal(signal.SIGHUP)
        expected = [[b"HUP"], [b"USR1"]][:workers]

        async def probe() -> bool:
            return sorted((await told(port, workers)).values()) == expected

        await until(probe)
        assert await pids(port, count=workers) == before


async def test_a_reload_that_a_worker_tells_of_is_counted_by_no_other() -> None:
    async with server(2) as (port, process):
        await pids(port, count=2)
        process.send_signal(signal.SIGUSR1)

        async def probe() -> bool:
            return list((await told(port, 2)).values()) == [[b"USR1"]] * 2

        await until(probe)


async def refused(port: int) -> bool:
    try:
        await ask(port, b"/pid")
    except ConnectionRefusedError:
        return True
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # taken by a process that was just about to stop listening
    return False


@pytest.mark.parametrize("workers", [1, 2])
async def test_before_it_drains_it_says_that_it_leaves_and_serves(workers: int) -> None:
    async with server(workers, delay=2.0) as (port, process):
        serving = await pids(port, count=workers)
        assert await ask(port, b"/left") == b"0"
        process.terminate()
        process.terminate()  # in the same breath: a service manager and a program in front
        await until(lambda: answers(port, b"/left", b"1"))
        assert await pids(port, count=workers) == serving
        async with connected(port) as client:
            await client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.head()
            assert (await client.rest()).endswith(b"\r\n0\r\n\r\n")
        assert process.returncode is None
        await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0


async def answers(port: int, path: bytes, expected: bytes) -> bool:
    return await ask(port, path) == expected


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupted_it_drains_at_once_and_a_draining_server_refuses(
    workers: int, number: signal.Signals
) -> None:
    delay = 60.0 if number == signal.SIGINT else 0.0
    async with server(workers, delay=delay) as (port, process):
        serving = await pids(port, count=workers)
        async with connected(port) as client:
            await client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.head()
            process.send_signal(number)
            await until(lambda: refused(port))
            assert any(map(alive, serving))  # it is still drained
            assert (await client.rest()).endswith(b"\r\n0\r\n\r\n")
        await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_signal_waits_for_nothing(workers: int) -> None:
    async with server(workers, delay=60.0) as (port, process):
        serving = await pids(port, count=workers)
        process.terminate()
        await until(lambda: answers(port, b"/left", b"1"))
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0
        assert not any(map(alive, serving))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_workers_end_with_their_supervisor_however_it_ends() -> None:
    async with server(2) as (port, process):
        serving = await pids(port, count=2)
        process.kill()
        await process.wait()

        async def gone() -> bool:
            return not any(map(alive, serving))

        await until(gone)


async def test_a_worker_that_hangs_is_killed_and_replaced() -> None:
    async with server(2) as (port, process):
        first, second = await pids(port, count=2)
        os.kill(first, signal.SIGSTOP)
        replaced: set[int] = set()

        async def probe() -> bool:
            """What it had accepted, it keeps: each question has its own patience."""
            if not alive(first):
                replaced.update(await pids(port, count=2, without=first))
            return bool(replaced)

        await until(probe)
        assert second in replaced
        process.terminate()
        output, _ = await asyncio.wait_for(process.communicate(), 15)
        assert "gives no sign of life" in output.decode()


async def test_idle_it_wakes_once_a_second_to_tell_the_date() -> None:
    async with server(1) as (port, process):
        await pids(port, count=1)
        dates: set[bytes] = set()

        async def probe() -> bool:
            async with connected(port) as client:
                await client.send(b"GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                dates.add((await client.response())[1][b"date"])
            return len(dates) >= 2

        await until(probe)
        await asyncio.sleep(0.5)
        before = switches(process.pid)
        await asyncio.sleep(3)
        assert switches(process.pid) - before <= 10  # ten a second would be thirty


def switches(pid: int) -> int:
    """How often the main thread has gone to sleep."""
    status = Path(f"/proc/{pid}/task/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_application_that_cannot_start_ends_the_server(workers: int) -> None:
    async with server(workers, "make_broken_app") as (_, process):
        _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode != 0
        assert b"broken on purpose" in errors
