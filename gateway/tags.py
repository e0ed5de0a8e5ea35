"""Tags: a client's own words for whoever reads the bill, `project=atlas, environment=prod`. Pure."""

import re
from collections.abc import Sequence

from inference.ir.errors import InvalidField

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}", re.ASCII)
_VALUE = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
_MOST = 16
_HELP = (
    "at most 16 tags as `name=value, name=value` were expected: names of letters, digits, `_`, `.` and `-` (64 at "
    "most), values of at most 256 characters"
)


def read_tags(header: bytes) -> dict[str, str]:
    """The tags of an `x-aspendos-tags` header. Raises InvalidField."""
    try:
        text = header.decode()
    except UnicodeDecodeError:
        raise InvalidField(f"x-aspendos-tags is not UTF-8; {_HELP}.", param="x-aspendos-tags") from None
    return split_tags([part for part in text.split(",") if part.strip()], param="x-aspendos-tags")


def split_tags(texts: Sequence[str], *, param: str = "aspendos.tags") -> dict[str, str]:
    """Tags written `name=value`, or `name` alone, whose value is `true`. Raises InvalidField."""
    pairs = [text.partition("=") for text in texts]
    tags = {name.strip(): value.strip() if equals else "true" for name, equals, value in pairs}
    return check_tags(tags, len(pairs), param=param)


def check_tags(
    tags: dict[str, str], given: int | None = None, *, param: str = "aspendos.tags"
) -> dict[str, str]:
    """The same tags, if they may be tags. `given`: how many there were, to notice a name said twice.

    Raises InvalidField.
    """
    if len(tags) > _MOST or (given is not None and given != len(tags)):
        raise InvalidField(f"{param} holds too many tags, or one twice; {_HELP}.", param=param)
    for name, value in tags.items():
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise InvalidField(f"{param} holds something that is no tag; {_HELP}.", param=param)
    return tags
