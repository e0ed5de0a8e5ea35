"""Cursors: where a page ended, as text that is handed out and comes back. Refuses what it did not hand out."""

import base64
import binascii
from collections.abc import Sequence

import msgspec

from inference.ir.errors import InvalidField

Place = tuple[int | str | None, ...]


def cursor_of(place: Sequence[int | str | None], *, kind: str) -> str:
    """`kind` says which question it belongs to."""
    return base64.urlsafe_b64encode(msgspec.json.encode([kind, *place])).decode().rstrip("=")


def place_of(cursor: str, shape: Sequence[type], *, kind: str) -> Place:
    """Back again. `shape` are the types expected; text may be None. Raises InvalidField."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        said, *place = msgspec.json.decode(raw, type=list[int | str | None])
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise _not_ours() from error
    if said != kind or len(place) != len(shape) or not all(map(_fits, place, shape)):
        raise _not_ours()
    return tuple(place)


def _fits(value: int | str | None, kind: type) -> bool:
    if isinstance(value, int):
        return kind is int and -(1 << 63) <= value < 1 << 63
    return kind is str and (value is None or "\x00" not in value)


def _not_ours() -> InvalidField:
    return InvalidField(
        "cursor: expected the next_cursor of an earlier answer to the same question", param="cursor"
    )
