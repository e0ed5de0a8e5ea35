"""Steps: an answer that has to be come back for. The request is taken, asked after, and fetched once it is done.

Bounded by the provider's total time-out, and given up at the provider as well where the client goes away. Knows no
provider: what is asked next is for the wire format to say.
"""

import asyncio
from collections.abc import Awaitable, Callable

from inference.ir.errors import AspendosError, UpstreamTimeout
from inference.transport import Reply
from inference.wire import Outgoing, Steps

TAKEN = frozenset({200, 202})
"""What a provider of this kind answers where nothing is wrong."""
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 2.0
_NOTE_LIMIT = 256 * 1024
_FAREWELL = 5.0
"""Seconds that giving up may take."""

Send = Callable[[Outgoing], Awaitable[Reply]]


async def follow(steps: Steps, reply: Reply, send: Send, *, total: float) -> Reply:
    """The reply that is the answer, or a refusal on the way to it. `total` in seconds.

    Raises UpstreamTimeout, and what `send` raises.
    """
    try:
        async with asyncio.timeout(total):
            return await _walk(steps, reply, send)
    except TimeoutError:
        await _give_up(steps, send)
        raise UpstreamTimeout(
            f"The upstream did not finish within {total:g} s (total time-out)", code="upstream_timeout_total"
        ) from None
    except BaseException:
        await _give_up(steps, send)
        raise


async def _walk(steps: Steps, reply: Reply, send: Send) -> Reply:
    pause = _FIRST_PAUSE
    while reply.status in TAKEN:
        step = steps.after(await reply.read(_NOTE_LIMIT))
        if step.done:
            return await send(step.ask)
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
        reply = await send(step.ask)
    return reply


async def _give_up(steps: Steps, send: Send) -> None:
    """Tell the provider, if it has taken anything; what it says to that changes nothing."""
    farewell = steps.abandon()
    if farewell is None:
        return
    try:
        async with asyncio.timeout(_FAREWELL):
            (await send(farewell)).abort()
    except (AspendosError, TimeoutError):
        return  # it will find nobody to give its answer to
