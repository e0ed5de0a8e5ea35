"""Plain shapes: what the readers of plain requests, one for each dialect, have in common. Pure."""

from msgspec import Raw

NULL = Raw(b"null")
"""What an absent raw field reads as."""


class NotPlain(Exception):
    """What the types of a request's fields alone do not show."""


def an_object(given: Raw) -> Raw:
    """Raises NotPlain for what is none."""
    if bytes(memoryview(given)[:1]) != b"{":
        raise NotPlain
    return given


def object_if_any(given: Raw) -> Raw | None:
    """The same, None where nothing is given."""
    return None if given == NULL else an_object(given)
