"""Ids of tools' calls that another provider gave, for one that takes only some characters in them. Pure."""

import hashlib
import re


def fitting(given: str, taken: re.Pattern[str]) -> str:
    """The id as it is where it is `taken`, else a digest of it: the same for the same, so that results find calls."""
    if taken.fullmatch(given):
        return given
    return f"call_{hashlib.sha256(given.encode()).hexdigest()[:32]}"
