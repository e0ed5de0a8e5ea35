"""Uploads over real sockets, on the raw connection and through ASGI: bounded memory, cuts, refusals, full disks."""

import asyncio
import os
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from gateway.edge.edge import Edge
from gateway.edge.spool import Spools
from inference.ir.errors import AspendosError, Forbidden
from tests.bulk import Tally, all_of
from tests.edge_server import connected, serving

MIB = 1024 * 1024
ROUTE = ("POST", "/form")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """How transports pause and close is the loop's own: production's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(params=["connection", "asgi"])
def through(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Spools]:
    made = Spools(tmp_path, over=MIB, total=256 * MIB, refused=Tally())
    yield made
    made.close()


class Desk:
    """A handler that takes uploads, once `allowed`, and what became of each."""

    def __init__(self, spools: Spools) -> None:
        self.allowed = asyncio.Event()
        self.allowed.set()
        self.refuse = False
        self.ends: list[str] = []
        self._spools = spools

    async def take(self, edge: Edge) -> None:
        edge.spool(self._spools)
        try:
            await self.allowed.wait()
            if self.refuse:
                raise Forbidden("No.")
            body = await edge.upload()
            edge.respond(200, [], b"%s %d %s" % (type(body).__name__.encode(), len(body), body[-4:]))
            self.ends.append("answered")
        except AspendosError as error:
            self.ends.append(error.code)
            raise

    async def hear(self, edge: Edge) -> None:
        """A request that is no form."""
        edge.respond(200, [], await edge.body())


@asynccontextmanager
async def desk_at(
    spools: Spools, through: str, body_timeout: float = 30.0
) -> AsyncGenerator[tuple[Desk, int]]:
    desk = Desk(spools)
    routes = {ROUTE: desk.take, ("POST", "/json"): desk.hear}
    async with serving(routes, through=through, max_body=64 * MIB, body_timeout=body_timeout) as (port, _):
        yield desk, port


def head(size: int, path: bytes = b"/form", more: bytes = b"") -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: a\r\n%scontent-length: %d\r\n\r\n" % (path, more, size)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


def held_in(folder: Path) -> int:
    """Files of a folder that this process has open."""
    links: list[str] = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return sum(link.startswith(f"{folder}/") for link in links)


@pytest.mark.parametrize(
    ("size", "kind"), [(10, b"bytes"), (MIB, b"bytes"), (MIB + 1, b"Stored"), (9 * MIB, b"Stored")]
)
async def test_what_is_large_comes_by_the_disk(
    spools: Spools, through: str, size: int, kind: bytes, tmp_path: Path
) -> None:
    async with desk_at(spools, through) as (desk, port), connected(port) as client:
        for end in (b"-one", b"-two"):
            await client.send(head(size) + b"x" * (size - 4) + end)
            assert (await client.response())[2] == b"%s %d %s" % (kind, size, end)
        await client.send(head(4, b"/json") + b"json")
        assert (await client.response())[2] == b"json"
        assert desk.ends == ["answered", "answered"]
        await until(lambda: not spools.used and not held_in(tmp_path))


async def test_in_chunks_and_only_when_it_is_called_for(spools: Spools, through: str) -> None:
    async with desk_at(spools, through) as (_, port), connected(port) as client:
        await client.send(
            b"POST /form HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        assert (await client.head())[0] == 100
        for number in range(300):
            await client.send(b"2000\r\n" + b"%8d" % number * 1024 + b"\r\n")
        await client.send(b"0\r\n\r\n")
        assert (await client.response())[2] == b"Stored %d  299" % (300 * 8192)


async def test_requests_that_follow_an_upload_wait_for_their_turn(spools: Spools) -> None:
    async with desk_at(spools, "connection") as (desk, port), connected(port) as client:
        desk.allowed.clear()
        size = 5 * MIB
        both = head(size) + b"x" * size + head(2 * MIB, b"/json") + b"y" * 2 * MIB
        sending = asyncio.get_running_loop().create_task(client.send(both + head(size) + b"z" * size))
        await asyncio.sleep(0.05)
        desk.allowed.set()
        assert (await client.response())[2] == b"Stored %d xxxx" % size
        assert (await client.response())[2] == b"y" * 2 * MIB
        assert (await client.response())[2] == b"Stored %d zzzz" % size
        await sending


async def test_before_it_is_asked_for_no_more_is_read_than_may_be_held(spools: Spools, through: str) -> None:
    """Who is not let in fills neither the memory nor the disk."""
    async with desk_at(spools, through) as (desk, port), connected(port) as client:
        desk.allowed.clear()
        sending = asyncio.get_running_loop().create_task(client.send(head(48 * MIB) + bytes(48 * MIB)))
        await asyncio.wait({sending}, timeout=0.5)
        assert not sending.done()  # most of it is still the client's
        assert spools.used == 0
        desk.refuse = True
        desk.allowed.set()
        await until(lambda: desk.ends == ["forbidden"])
        if through == "connection":  # other servers may cut a client that still sends
            assert (await client.response())[0] == 403
        sending.cancel()


@pytest.mark.parametrize("part", [100, 3 * MIB])
async def test_of_an_upload_cut_half_way_nothing_is_kept(
    spools: Spools, through: str, part: int, tmp_path: Path
) -> None:
    async with desk_at(spools, through) as (desk, port):
        async with connected(port) as client:
            await client.send(head(9 * MIB) + bytes(part))
            if part > MIB:
                await until(lambda: spools.used > MIB and held_in(tmp_path) == 1)
                assert not list(tmp_path.iterdir())
        await until(lambda: desk.ends == ["client_closed_request"])
        await until(lambda: not spools.used and not held_in(tmp_path))


async def test_one_that_comes_too_slowly_is_given_up(spools: Spools, through: str, tmp_path: Path) -> None:
    async with desk_at(spools, through, body_timeout=0.5) as (desk, port), connected(port) as client:
        await client.send(head(9 * MIB) + bytes(3 * MIB))
        status, _, body = await client.response()
        assert (status, desk.ends) == (408, ["request_timeout"]), body
        await until(lambda: not spools.used and not held_in(tmp_path))


async def test_a_full_disk_is_an_answer(through: str, tmp_path: Path) -> None:
    refused = Tally()
    spools = Spools(tmp_path, over=MIB, total=4 * MIB, refused=refused)
    async with desk_at(spools, through) as (desk, port), connected(port) as client:
        sending = asyncio.get_running_loop().create_task(client.send(head(32 * MIB) + bytes(32 * MIB)))
        await until(lambda: desk.ends == ["storage_unavailable"])
        if through == "connection":
            status, _, body = await client.response()
            assert status == 503
            assert b'"code":"storage_unavailable"' in body
        sending.cancel()
        await until(lambda: not spools.used and not held_in(tmp_path))
        async with connected(port) as another:
            await another.send(head(3 * MIB) + bytes(3 * MIB))
            assert (await another.response())[0] == 200
    assert refused.count == 1
    spools.close()


async def test_many_at_once_take_what_few_do(spools: Spools, through: str) -> None:
    """Sixteen of 12 MiB: in all of them together there is never as much as in two."""
    piece = os.urandom(64 * 1024)

    async def upload(port: int) -> None:
        async with connected(port) as client:
            await client.send(head(12 * MIB))
            for _ in range(12 * 16):
                await client.send(piece)
            assert (await client.response())[2].startswith(b"Stored 12582912 ")

    async with desk_at(spools, through) as (_, port):
        tracemalloc.start()
        try:
            async with asyncio.timeout(60):
                await asyncio.gather(*(upload(port) for _ in range(16)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 24 * MIB + 16 * 3 * 64 * 1024  # and what the clients, in the same process, hold
    assert spools.used == 0


async def test_what_is_stored_can_be_sent_on_more_than_once(spools: Spools) -> None:
    seen: list[bytes] = []

    async def twice(edge: Edge) -> None:
        edge.spool(spools)
        body = await edge.upload()
        seen.extend([await all_of(body), await all_of(body)])
        edge.respond(200, [], b"")

    content = os.urandom(5 * MIB)
    async with serving({ROUTE: twice}) as (port, _), connected(port) as client:
        await client.send(head(len(content)) + content)
        assert (await client.response())[0] == 200
    assert seen == [content, content]
