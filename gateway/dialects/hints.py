"""Hints: what a request says to the gateway itself, under `aspendos`, and limits as clients write them. Pure."""

from msgspec import Raw, Struct, UnsetType

from gateway.tags import check_tags, split_tags

_LONG = 64
"""Bytes above which nobody writes an empty array."""


class Hints(Struct, frozen=True):
    """What a request says to the gateway itself, under `aspendos`; it is not forwarded.

    `tags`: `{"project": "atlas"}` or `["project=atlas"]`. They win over those of the header `x-aspendos-tags`; those of
    the key, its user, team and organisation win over both.
    """

    tags: dict[str, str] | list[str] | None = None


def least(*limits: int | None) -> int | None:
    """The smallest limit given. Some servers take 0 or -1 for "no limit", so those count as none."""
    least_yet = None
    for limit in limits:  # every request asks: a list of them, and its `min`, would cost more
        if limit is not None and limit > 0 and (least_yet is None or limit < least_yet):
            least_yet = limit
    return least_yet


def tags_of(hints: Hints | UnsetType | None) -> dict[str, str] | None:
    """The tags among the hints, None without any. Raises InvalidField."""
    if not isinstance(hints, Hints) or not hints.tags:
        return None
    return check_tags(hints.tags) if isinstance(hints.tags, dict) else split_tags(hints.tags)


def listed(field: Raw | UnsetType) -> bool:
    """Whether a raw field is there and holds something: neither null nor an empty array."""
    if isinstance(field, UnsetType):
        return False
    seen = memoryview(field)
    return len(seen) > _LONG or bytes(seen)[1:-1].strip() not in (b"", b"ul")
