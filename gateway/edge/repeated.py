"""Repeated: a request head that is known by its bytes, so that it need not be parsed again. Pure.

A client that keeps its connection sends the same head with every request; the official SDKs change nothing in it but
the digits of Content-Length. What a parser makes of a head is decided by its bytes from the first to the last. So
where all but those digits are the same, it is the head that was read and found good before, with another length.
Refuses to know what a head means, and to look into a body.
"""

import re

LONGEST = 4096
"""Bytes a head may have to be kept. The SDKs' have 500 to 800, those with a session's cookie or a JWT twice that."""
DIGITS = 19
"""What a length is at most written with: any number of so many is one that a parser can count to."""
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]{1,%d})\r\n" % DIGITS)


class Repeated:
    """One head, but for the digits of its Content-Length."""

    __slots__ = ("_after", "_before", "_start")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._after = after
        self._start = len(before)

    @classmethod
    def learn(cls, data: bytes, limit: int) -> "Repeated | None":
        """The head that `data` begins with; None where it is not whole, declares no length, or is a long one.

        A strict parser must have taken this very head, from the first byte of `data`, standing between two messages.
        `limit`: bytes that no head may have, whatever length it declares.
        """
        end = data.find(_END, 0, max(0, min(LONGEST, limit - DIGITS))) + len(_END)
        found = _LENGTH.search(data, 0, end)
        return None if found is None else cls(data[: found.start(1)], data[found.end(1) : end])

    def match(self, data: bytes) -> tuple[bytes, int] | None:
        """The length that `data` declares, as it is written, and where the body begins; None of any other head."""
        start = self._start
        if not data.startswith(self._before):
            return None
        end = data.find(b"\r", start, start + DIGITS + 1)
        length = data[start:end]
        if end < 0 or not length.isdigit() or not data.startswith(self._after, end):
            return None
        return length, end + len(self._after)
