"""Pump: sends a body that does not leave in one write, no faster than the socket takes it. Reads no answer.

It runs as a task, for the response may come, and is to be handed on, before the body is all sent. The connection owns
it, and cancels it when it closes.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from inference.ir.bulk import Flowing
from inference.ir.errors import Internal


class Line(Protocol):
    """What a pump asks of the connection it sends on."""

    @property
    def clogged(self) -> bool:
        """The socket takes no more for now; `Pump.go_on` says when it does again."""
        ...

    def begun(self) -> bool:
        """The head was written; False where the socket refused its first byte."""
        ...

    def sent(self) -> None:
        """The body is with the kernel, all of it."""
        ...

    def unsendable(self, error: Exception) -> None:
        """The body will not be sent whole."""
        ...

    def given_up(self) -> None:
        """The same, for the body, or the connection, cancelled it."""
        ...


class Pump:
    """The sending of one body: in chunks where it is an iterator, at its own length where it flows."""

    __slots__ = ("_line", "_loop", "_task", "_transport", "_writable")

    def __init__(
        self,
        line: Line,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        head: bytes,
        body: Flowing | AsyncIterator[bytes],
    ) -> None:
        self._line = line
        self._loop = loop
        self._transport = transport
        self._writable: asyncio.Future[None] | None = None
        self._task = loop.create_task(self._send(head, body))

    def cancel(self) -> None:
        self._task.cancel()

    def go_on(self) -> None:
        """The socket takes bytes again."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    async def _send(self, head: bytes, body: Flowing | AsyncIterator[bytes]) -> None:
        pieces = body.flow() if isinstance(body, Flowing) else body
        try:
            if isinstance(body, Flowing):
                self._transport.write(b"%scontent-length: %d\r\n\r\n" % (head, len(body)))
                if self._line.begun():
                    await self._send_sized(pieces, len(body))
            else:
                self._transport.write(b"%stransfer-encoding: chunked\r\n\r\n" % head)
                await self._send_chunked(pieces)
            await self._drained()
            self._line.sent()
        except asyncio.CancelledError:
            self._line.given_up()
            raise
        except Exception as error:
            self._line.unsendable(error)
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    async def _send_chunked(self, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            if piece:
                self._transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await self._drained()
        self._transport.write(b"0\r\n\r\n")

    async def _send_sized(self, pieces: AsyncIterator[bytes], size: int) -> None:
        """What would not be as long as was said is never finished: the peer would take what follows for its end."""
        async for piece in pieces:
            size -= len(piece)
            if size < 0:
                break
            self._transport.write(piece)
            await self._drained()
        if size:
            raise Internal("the request's body has not the length it was said to have")

    async def _drained(self) -> None:
        if self._line.clogged:
            self._writable = self._loop.create_future()
            try:
                await self._writable
            finally:
                self._writable = None
