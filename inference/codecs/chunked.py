"""Chunked: a read that is one whole chunk of HTTP's chunked coding, told by its first bytes and its length. Pure.

Most of a stream comes one event, one chunk, one read (RFC 9112 §7.1). No parser has to walk through such a read, and
its frame serves a second time.
"""

from functools import lru_cache

START = 5
"""So many bytes say how long a chunk is, if that is 16 to 4,095: two or three digits and the end of their line."""

_UNTOLD = 0, 0
_DIGITS = frozenset(b"0123456789abcdefABCDEF")


@lru_cache(maxsize=4096)
def chunk_shape(start: bytes) -> tuple[int, int]:
    """How long a chunk is that begins with these `START` bytes, frame and all, and where in it the data begins.

    (0, 0) where they do not tell.
    """
    digits, line_end, _ = start.partition(b"\r\n")
    if not line_end or len(digits) < 2 or not _DIGITS.issuperset(digits):
        return _UNTOLD
    size, head = int(digits, 16), len(digits) + 2
    if size < START:  # `is_one_chunk` could not tell it from what it holds
        return _UNTOLD
    return head + size + 2, head


def is_one_chunk(read: bytes, piece: bytes) -> bool:
    """Whether a read was one chunk, from its first byte to its last, where the parser found only `piece` in it.

    Then the parser stands between two chunks. It cannot have found the piece anywhere but behind the first line's
    end or, inside a longer chunk, at the read's beginning: and then the piece would begin as the read does.
    """
    start = read[:START]
    length, head = chunk_shape(start)
    return (
        length == len(read)
        and len(piece) == length - head - 2
        and read.endswith(b"\r\n")
        and read.startswith(piece, head)
        and not piece.startswith(start)
    )
