"""Place: where in a client's own words a message and its parts stand. Pure."""

from msgspec import Struct


class Place(Struct, frozen=True, kw_only=True):
    """`at` is the message's path in the client's request, `parts` those of its parts, in their order.

    `inner` is the word for what a tool's result holds, below the part it is; None where that has no path of its own.
    """

    at: str
    parts: tuple[str, ...] = ()
    inner: str | None = "content"
