"""Machines for tests: network namespaces of their own, each joined to a hub by one cable for every service it uses.

Whatever runs `inside` a machine sees nothing but the machine's own loopback and its cables; a cable that is cut
swallows everything, as a switch without power does. The namespaces have no names and end with the last process and
socket in them, so that nothing can be left behind. Needs root on Linux; skips visibly without.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from types import TracebackType
from typing import Self

import pytest

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_OWN = "/proc/thread-self/ns/net"
_PIECE = 1 << 16

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Streams]]
"""How the hub reaches a service."""

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(returned: int) -> None:
    if returned:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _new_network() -> int:
    """A network of its own with its loopback up; this thread is back where it was."""
    home = os.open(_OWN, os.O_RDONLY)
    try:
        _checked(_libc.unshare(_NEW_NETWORK))
        _ip("link", "set", "lo", "up")
        return os.open(_OWN, os.O_RDONLY)
    finally:
        _checked(_libc.setns(home, _NEW_NETWORK))
        os.close(home)


@contextlib.contextmanager
def _within(network: int) -> Generator[None]:
    """This thread, and the processes it starts, are in that network."""
    home = os.open(_OWN, os.O_RDONLY)
    try:
        _checked(_libc.setns(network, _NEW_NETWORK))
        yield
    finally:
        _checked(_libc.setns(home, _NEW_NETWORK))
        os.close(home)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Machines:
    """`count` machines with a cable to each of `services`: what the hub passes on, and how."""

    def __init__(self, count: int, services: Mapping[str, Dial]) -> None:
        self._count = count
        self._services = services
        self._hub = -1
        self._machines: list[int] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hub")
        self._ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        try:
            self._hub = _new_network()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"there can be no machines here, it takes root and `ip`: {error}")
        self._machines = [_new_network() for _ in range(self._count)]
        for number in range(self._count):
            for service in self._services:
                self._join(number, service)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
        self._loop.close()
        for network in (self._hub, *self._machines):
            if network >= 0:
                os.close(network)

    def _net(self, number: int, service: str) -> str:
        return f"10.77.{number * len(self._services) + list(self._services).index(service)}"

    def _join(self, number: int, service: str) -> None:
        net = self._net(number, service)
        cable = f"{service}{number}"
        with _within(self._hub):
            other = f"/proc/{os.getpid()}/fd/{self._machines[number]}"
            _ip("link", "add", cable, "type", "veth", "peer", "name", service, "netns", other)
            _ip("addr", "add", f"{net}.1/30", "dev", cable)
            _ip("link", "set", cable, "up")
        with self.inside(number):
            _ip("addr", "add", f"{net}.2/30", "dev", service)
            _ip("link", "set", service, "up")

    def inside(self, number: int) -> contextlib.AbstractContextManager[None]:
        """For this thread and the processes it starts."""
        return _within(self._machines[number])

    def address(self, number: int, service: str) -> str:
        """Host and port at which this machine finds a service."""
        return f"{self._net(number, service)}.1:{self._ports[service]}"

    def cut(self, number: int, services: Sequence[str]) -> None:
        """From now on nothing passes between the machine and these."""
        self._set(number, services, "down")

    def mend(self, number: int, services: Sequence[str]) -> None:
        """It does again."""
        self._set(number, services, "up")

    def _set(self, number: int, services: Sequence[str], state: str) -> None:
        with _within(self._hub):
            for service in services:
                _ip("link", "set", f"{service}{number}", state)

    # The hub

    async def _serve(self) -> None:
        for service, dial in self._services.items():
            with _within(self._hub):
                listening = socket.create_server(("0.0.0.0", 0))
            self._ports[service] = listening.getsockname()[1]

            async def pass_on(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dial: Dial = dial
            ) -> None:
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    far_reader, far_writer = await dial()
                    await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
                writer.close()

            self._servers.append(await asyncio.start_server(pass_on, sock=listening))

    async def _hang_up(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
