"""Sound on its way: an answer that is bytes and no events, to the client as they arrive, settled exactly once.

Such an answer has no place for an error: one that breaks ends without its end, which every client notices.
"""

import asyncio

from gateway.call import Call
from gateway.settlement import Settlement
from inference.client import Answer
from inference.ir.errors import AspendosError, ClientGone, Unavailable
from inference.ir.usage import NO_USAGE, Usage


class Pipe:
    """Sink of the upstream and watcher of the client."""

    __slots__ = ("_answer", "_any", "_call", "_edge", "_over", "_settlement", "done")

    def __init__(self, call: Call, answer: Answer, *, settlement: Settlement) -> None:
        self._call = call
        self._edge = call.edge
        self._answer = answer
        self._settlement = settlement
        self._any = False
        self._over = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Begin to pass on; the head of the response has been sent."""
        self._edge.watch(self)
        if not self._over:
            self._answer.relay(self)

    # what the upstream says

    def data(self, chunk: bytes) -> None:
        """One read's worth."""
        if self._call.ttft_us is None:
            self._call.ttft_us = self._call.elapsed_us()
        self._any = True
        self._edge.write(chunk)

    def end(self) -> None:
        """The body is whole: record first, then let the client have the end."""
        if self._over:
            return
        try:
            self._settlement.settle(self._call, self._call.counted)
        except Exception as error:
            self._edge.abort()
            self._close(error)
            return
        self._edge.finish()
        self._close()

    def failed(self, error: AspendosError) -> None:
        """The upstream died or stalled: the client is cut off, as it was."""
        if self._over:
            return
        self._answer.deployment.anonymous(error)
        self._call.attempt_failed(self._answer.deployment, error)
        self._settlement.settle(self._call, self._taken(), status=error.http_status, error=error)
        self._edge.abort()
        self._close()

    # what becomes of the client

    def client_gone(self) -> None:
        """Stop the upstream, or let it come to its end, as the call says; it has taken what it was asked for."""
        if self._over:
            return
        self._call.gone = True
        if self._call.drain:
            self._answer.reply.resume()
            return
        self._answer.abort()
        error = ClientGone("The client closed the connection.")
        self._settlement.settle(self._call, self._taken(), status=error.http_status, error=error)
        self._close()

    def client_paused(self) -> None:
        """The client is slow: let the upstream wait."""
        self._answer.reply.pause()

    def client_resumed(self) -> None:
        """It has caught up."""
        self._answer.reply.resume()

    def stop(self) -> None:
        """This process is going down and the drain's deadline has passed."""
        if self._over:
            return
        self._answer.abort()
        self.failed(
            Unavailable("The gateway is shutting down; send the request again.", code="shutting_down")
        )

    def _taken(self) -> Usage:
        """A provider counts a text once it has begun to speak."""
        return self._call.counted if self._any else NO_USAGE

    def _close(self, error: Exception | None = None) -> None:
        self._over = True
        self._edge.watch(None)
        self._answer.release()
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
