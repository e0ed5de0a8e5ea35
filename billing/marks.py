"""Marks: statements in the drivers' own words, for what is sent too often to be put together each time.

Written with `?` where values stand and `{among}` where one of a list is looked for; PostgreSQL has `$1` and arrays,
SQLite question marks and JSON. However long the list, the statement is the same. Pure.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

import msgspec

MOST_VALUES = 999
"""What every SQLite takes in a statement; a longer one would be no faster."""


@cache
def marked(statement: str, *, postgres: bool) -> str:
    """The statement as this kind of database takes it."""
    said = statement.replace("{among}", "= ANY (?)" if postgres else "IN (SELECT value FROM json_each(?))")
    if not postgres:
        return said
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", said)


def listed(names: Sequence[str], *, postgres: bool) -> Any:
    """The value for an `{among}`."""
    return list(names) if postgres else msgspec.json.encode(names).decode()
