"""A stream on its way: upstream bytes to the client as they arrive, both ends watched, settled exactly once."""

import asyncio
from math import inf

from billing.pricing import usd
from gateway.call import Call
from gateway.dialects.dialect import Voice
from gateway.edge.outlet import Progress
from gateway.http.delivery import Delivery
from gateway.settlement import Purse, Settlement
from gateway.tasks import spawn
from inference.client import Answer
from inference.codecs.shortcut import Shortcut
from inference.codecs.sse import comment
from inference.codecs.token_estimate import estimate_input
from inference.ir.errors import (
    AspendosError,
    ClientGone,
    Internal,
    Unavailable,
    UpstreamFailed,
    UpstreamGarbled,
)
from inference.ir.usage import Usage, UsageSource, filled, shortened
from inference.wire import Tap

_DRY = "x-aspendos-stopped: the credit left, or a budget, does not cover more of this answer"
_STRIDE_BYTES = 4096
"""So much of a stream goes by between two looks at what it costs: some twenty events."""
_MARK_BYTES = 8 * _STRIDE_BYTES
"""And so much between two looks at how far it has come, each a system call."""


class Relay:
    """Sink of the upstream and watcher of the client; everything happens in their callbacks, none awaits."""

    __slots__ = (
        "_answer",
        "_begun",
        "_call",
        "_check_at",
        "_delivery",
        "_edge",
        "_mark_at",
        "_over",
        "_purse",
        "_settlement",
        "_shortcut",
        "_tap",
        "_voice",
        "done",
    )

    def __init__(
        self,
        call: Call,
        answer: Answer,
        tap: Tap,
        voice: Voice,
        *,
        settlement: Settlement,
        purse: Purse | None = None,
        shortcut: Shortcut | None = None,
    ) -> None:
        """`purse`: what the stream may cost has to be watched as it goes; None: it is bounded, or costs nothing.

        `shortcut`: the tap's, where what it knows may pass this by.
        """
        self._call = call
        self._edge = call.edge
        self._answer = answer
        self._tap = tap
        self._voice = voice
        self._settlement = settlement
        self._purse = purse
        self._delivery = Delivery()
        self._mark_at = _MARK_BYTES
        self._shortcut = shortcut
        self._check_at: float
        self._check_after(_STRIDE_BYTES if purse is not None else _MARK_BYTES)
        self._begun = False
        self._over = False  # not the same as `done`, which whoever awaits it may cancel
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Begin to pass on; the head of the response has been sent."""
        self._edge.watch(self)
        if not self._over:
            if self._shortcut is not None:
                self._edge.let_past(self._shortcut)
            self._answer.relay(self, self._shortcut)

    # what the upstream says

    def data(self, chunk: bytes) -> None:
        """One read's worth of the stream."""
        tap = self._tap
        if not self._begun:
            self._begun = True
            self._call.ttft_us = self._call.elapsed_us()
        try:
            out = tap.feed(chunk)
            if tap.size > self._check_at and not tap.done and not self._afford(out):
                return
            if tap.upstream_error:
                out = self._answer.deployment.unspoken(out)
            if out:
                self._edge.write(out)
            if tap.done and not self._call.settled:
                self._complete()
        except AspendosError as error:  # what came is no stream that can be read
            self._answer.abort()
            self.failed(error)
        except Exception as error:
            self.broke(error)

    def end(self) -> None:
        """The upstream's body is whole."""
        if self._over:
            return
        if not self._call.settled:
            try:
                rest = self._tap.finish()
            except AspendosError as error:
                self.failed(error)
                return
            if not self._tap.done and self._tap.finish_reason is None and not self._tap.upstream_error:
                self.failed(UpstreamGarbled("The upstream ended its stream before it was complete."))
                return
            self._settle_and_say(rest)
        self._edge.finish()
        self._close()

    def failed(self, error: AspendosError) -> None:
        """The upstream died, stalled or spoke nonsense: say so inside the stream, and end it properly."""
        if self._over:
            return
        call = self._call
        self._answer.deployment.anonymous(error)
        if not call.settled:
            call.attempt_failed(self._answer.deployment, error)
            usage = self._delivered()
            cost = self._settlement.settle(call, usage, status=error.http_status, error=error)
            voice = self._voice
            self._edge.write(voice.broken(error) + _bill(cost, usage) + voice.end)
        self._edge.finish()
        self._close()

    # what becomes of the client

    def client_gone(self) -> None:
        """Stop the upstream at once, or let it come to its end, as the call says; what was delivered is metered."""
        if self._over:
            return
        call = self._call
        call.gone = True
        if call.drain:
            self._answer.reply.resume()
            return
        self._answer.abort()
        # A client that hangs up on an error it was sent did not end the call: the upstream did.
        error = self._reported() or ClientGone("The client closed the connection.")
        self._settlement.settle(
            call,
            self._left(),
            status=error.http_status,
            error=error,
            finish_reason=self._tap.finish_reason,
        )
        self._close()

    def client_paused(self) -> None:
        """The client is slow: let the upstream wait."""
        self._answer.reply.pause()
        self._mark()

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

    def broke(self, error: Exception) -> None:
        """A fault of our own in a callback: settle, and cut the connection; whoever awaits `done` gets it."""
        if self._over:
            return
        self._answer.abort()
        fault = Internal("The gateway failed while passing on the stream.")
        try:
            self._settlement.settle(self._call, self._delivered(), status=500, error=fault)
        finally:
            self._edge.abort()
            self._close(error)

    # what it costs

    def _check_after(self, size: float) -> None:
        """Look again when so many bytes have gone by; inf: not now, it is being seen to."""
        self._check_at = size
        if self._shortcut is not None:
            self._shortcut.limit = 0 if size == inf else size

    def _afford(self, out: bytes) -> bool:
        """Whether what is held still covers the stream with these bytes; if not, they and the upstream wait."""
        size = self._tap.size
        if size > self._mark_at:
            self._mark_at = size + _MARK_BYTES
            self._mark(len(out))
        purse = self._purse
        if purse is None or purse.covers(self._delivered()):
            self._check_after(self._mark_at if purse is None else size + _STRIDE_BYTES)
            return True
        self._check_after(inf)
        self._answer.reply.pause()
        spawn(self._extend(purse, out), name="extend hold")
        return False

    async def _extend(self, purse: Purse, out: bytes) -> None:
        try:
            more = await purse.extend(self._delivered())
        except Exception as error:
            self.broke(error)
            return
        if self._over or self._call.settled:
            return
        if more:
            self._check_after(self._tap.size + _STRIDE_BYTES)
            if out:
                self._edge.write(out)
            self._answer.reply.resume()
        else:
            self._run_dry(purse)

    def _run_dry(self, purse: Purse) -> None:
        """Nothing is left to pay for more: end the stream as one whose maximum output is reached."""
        self._answer.abort()
        tap, usage = self._tap, self._delivered()
        tap.drop_tail()
        cost = self._settlement.settle(self._call, usage, finish_reason="length", at_most=purse.held)
        voice = self._voice
        self._edge.write(voice.cut(usage) + comment(_DRY) + _bill(cost, usage) + voice.end)
        self._edge.finish()
        self._close()

    # settling

    def _complete(self) -> None:
        self._settle_and_say(self._tap.finish())

    def _settle_and_say(self, rest: bytes) -> None:
        """Record first, then let the client have the end: whoever saw the end has a record."""
        call, tap = self._call, self._tap
        usage = self._delivered()
        error = self._reported()
        if tap.upstream_error:
            rest = self._answer.deployment.unspoken(rest)
        status = 200 if error is None else error.http_status
        cost = self._settlement.settle(
            call, usage, status=status, error=error, finish_reason=tap.finish_reason
        )
        if error is not None and not tap.done:
            rest += self._voice.end  # whoever waits for the end is told of it
        self._edge.write(_bill(cost, usage) + rest)

    def _reported(self) -> AspendosError | None:
        """The error the upstream itself sent as an event, which has been passed on as it was."""
        if not self._tap.upstream_error:
            return None
        error = UpstreamFailed(
            "The upstream reported an error inside its stream.", code="upstream_stream_error"
        )
        self._call.attempt_failed(self._answer.deployment, error)
        return error

    def _delivered(self) -> Usage:
        """Usage as the upstream reported it, else counted from what went by."""
        tap = self._tap
        usage = tap.usage()
        if usage.source is not UsageSource.NONE:
            return filled(usage, self._call.counted)
        counted = tap.estimate()
        if counted is None:
            return self._call.counted if tap.events else usage
        return Usage(
            input_tokens=estimate_input(self._call.prompt),
            output_tokens=counted,
            source=UsageSource.COUNTED,
        )

    def _mark(self, ahead: int = 0) -> None:
        """Remember how far the stream has come, `ahead` bytes of it about to be written."""
        progress = self._edge.progress()
        if progress is not None:
            tap = self._tap
            self._delivery.mark(Progress(progress.written + ahead, progress.left), tap.events, tap.size)

    def _left(self) -> Usage:
        """Usage without what never left for the client: for one that hung up while some of its stream waited here."""
        usage, progress = self._delivered(), self._edge.progress()
        if progress is None:
            return usage
        tap = self._tap
        return shortened(usage, self._delivery.left(progress, tap.events, tap.size), tap.events)

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


def _bill(cost: int, usage: Usage) -> bytes:
    """The comment at the end of a stream that says what it cost, as a header would have."""
    return comment(
        f"x-aspendos-cost: {usd(cost)} x-aspendos-input-tokens: {usage.input_tokens} "
        f"x-aspendos-output-tokens: {usage.output_tokens} x-aspendos-usage-source: {usage.source}"
    )
