"""Errand: a call that the gateway makes on somebody's behalf, with nobody waiting on a connection: a batch's line."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from policies.api_keys import Principal

ALREADY_SETTLED = b"x-aspendos-already-settled"
"""The header of an answer to an errand that the counters know as settled."""


class Errand(Struct, frozen=True, kw_only=True):
    """`id` is the call's, the same whenever it is made again, so that it is billed once.

    `principal` tells as whom it is made, now: it raises what admission raises for a key. `paid`: it was settled
    before, and its answer was lost; made again it costs its caller nothing.
    """

    id: str
    principal: Callable[[], Awaitable[Principal]]
    paid: bool = False
