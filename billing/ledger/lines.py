"""Lines: the ledger's entries as statements, many rows in each, that leave out what entries mostly lack. Pure.

Whoever executes them undoes the transaction where one is refused: others of its statement may be there already.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from billing.ledger.book import Entry
from billing.marks import MOST_VALUES, marked

Insert = tuple[str, list[tuple[Any, ...]]]
"""A statement, and the values of each time it is executed."""

_ALL = Entry.__struct_fields__
_MOSTLY = tuple(name for name in _ALL if name != "spread")
_values: Callable[[Entry], tuple[Any, ...]] = attrgetter(*_MOSTLY)
_all_values: Callable[[Entry], tuple[Any, ...]] = attrgetter(*_ALL)
_ROWS = MOST_VALUES // len(_MOSTLY)


def inserts(entries: Sequence[Entry], *, postgres: bool) -> list[Insert]:
    """What stores these."""
    plain = [_values(entry) for entry in entries if entry.spread is None]
    spread = [_all_values(entry) for entry in entries if entry.spread is not None]
    whole = len(plain) - len(plain) % _ROWS
    found: list[Insert] = []
    if whole:
        many = [tuple(chain.from_iterable(plain[at : at + _ROWS])) for at in range(0, whole, _ROWS)]
        found.append((_statement(_MOSTLY, _ROWS, postgres=postgres), many))
    if whole < len(plain):
        found.append((_statement(_MOSTLY, 1, postgres=postgres), plain[whole:]))
    if spread:
        found.append((_statement(_ALL, 1, postgres=postgres), spread))
    return found


def _statement(names: Sequence[str], rows: int, *, postgres: bool) -> str:
    # As for usage records: without OR FAIL, SQLite keeps a copy of every page a statement of many rows changes.
    insert = "INSERT INTO" if postgres or rows == 1 else "INSERT OR FAIL INTO"
    row = f"({', '.join('?' for _ in names)})"
    values = ", ".join([row] * rows)
    return marked(f"{insert} ledger_entries ({', '.join(names)}) VALUES {values}", postgres=postgres)
