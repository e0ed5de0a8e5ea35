"""Inserts: usage records as statements, many rows in each, that bind only what is not as it mostly is.

A statement costs the database as much as all the values of a row, and the driver lets go of the interpreter and
takes it back for each. A value costs the driver some tenth of a microsecond, three times that where it is None or a
flag. So records that lack the same things share statements, and what they lack is left to the columns' defaults.
Refuses to judge: what comes was checked when it was read. Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count
from operator import attrgetter
from typing import Any

import msgspec

from billing.usage import UsageRecord
from inference.ir.usage import UNCOMMON

Row = tuple[Any, ...]

Insert = tuple[str, list[Row]]
"""A statement, and the values of each time it is executed."""

_MOST_VALUES = 999
"""What every SQLite takes in a statement; a longer one would be no faster."""

_WRITTEN = ("stream", "usage_source")
"""Of a few values: they stand in the statement itself."""

_OFTEN_NONE = ("ttft_us", "error", "user_id", "tier", "account")
"""Bound where they are known."""

_RARE = ("byok", *UNCOMMON, "tags")
"""Bound, with all else, where any of them is not at its default."""

_ALL = (*(name for name in UsageRecord.__struct_fields__ if name != "tags"), "tags")
_COMMON = tuple(name for name in _ALL if name not in {*_WRITTEN, *_OFTEN_NONE, *_RARE})
_NOTHING = (0,) * len(UNCOMMON)

_Shape = tuple[bool, str, bool, bool, bool, bool, bool]
"""The values of _WRITTEN, and which of _OFTEN_NONE are known."""


class Inserts:
    """Statements for one kind of database; those once made are kept.

    A row whose id the table has is left as it is there. Where the database refuses a row, others of its statement may
    be there already: who calls rolls back.
    """

    def __init__(self, *, postgres: bool) -> None:
        self._postgres = postgres
        self._forms: dict[_Shape, _Form] = {}
        self._any = _Form(_ALL, {}, postgres=postgres)

    def of(self, records: Iterable[UsageRecord]) -> list[Insert]:
        """What inserts these records, of which no two have the same id."""
        alike: dict[_Shape, list[UsageRecord]] = {}
        left: list[UsageRecord] = []
        counted = _counted
        for record in records:
            if record.tags or record.byok or counted(record) != _NOTHING:
                left.append(record)
                continue
            shape = (
                record.stream,
                record.usage_source,
                record.ttft_us is not None,
                record.error is not None,
                record.user_id is not None,
                record.tier is not None,
                record.account is not None,
            )
            alike.setdefault(shape, []).append(record)
        found: list[Insert] = []
        for shape, those in alike.items():
            form = self._form(shape)
            whole = len(those) - len(those) % form.rows
            if whole:
                found.append(form.many(those[:whole]))
            left += those[whole:]
        # A statement for the few that are left of each shape would cost more than what it would not bind.
        whole = len(left) - len(left) % self._any.rows
        if whole:
            found.append(self._any.many(left[:whole]))
        if whole < len(left):
            found.append(self._any.each(left[whole:]))
        return found

    def _form(self, shape: _Shape) -> "_Form":
        form = self._forms.get(shape)
        if form is None:
            stream, source, *known = shape
            there = [name for name, is_known in zip(_OFTEN_NONE, known, strict=True) if is_known]
            written = {"stream": "TRUE" if stream else "FALSE", "usage_source": f"'{source}'"}
            form = self._forms[shape] = _Form((*_COMMON, *there), written, postgres=self._postgres)
        return form


class _Form:
    """A statement of as many rows as it can have, and one of a single row. Some columns are bound, some `written`."""

    def __init__(self, bound: Sequence[str], written: Mapping[str, str], *, postgres: bool) -> None:
        self.rows = _MOST_VALUES // len(bound)
        self._values = _with_tags(bound) if "tags" in bound else attrgetter(*bound)
        self._many = _statement(bound, written, self.rows, postgres=postgres)
        self._one = _statement(bound, written, 1, postgres=postgres)

    def many(self, records: list[UsageRecord]) -> Insert:
        """Of whole statements' rows."""
        parts = (records[start : start + self.rows] for start in range(0, len(records), self.rows))
        return self._many, [tuple(chain.from_iterable(map(self._values, part))) for part in parts]

    def each(self, records: list[UsageRecord]) -> Insert:
        """One by one."""
        return self._one, list(map(self._values, records))


_counted: Callable[[UsageRecord], Row] = attrgetter(*UNCOMMON)


def _with_tags(names: Sequence[str]) -> Callable[[UsageRecord], Row]:
    """`tags` are the last of the names; they are stored as JSON."""
    others = attrgetter(*names[:-1])
    return lambda record: (
        *others(record),
        msgspec.json.encode(record.tags).decode() if record.tags else "{}",
    )


def _statement(bound: Sequence[str], written: Mapping[str, str], rows: int, *, postgres: bool) -> str:
    numbers = count(1)
    values = ", ".join(
        f"({', '.join([*(f'${next(numbers)}' if postgres else '?' for _ in bound), *written.values()])})"
        for _ in range(rows)
    )
    # SQLite keeps a copy of every page that a statement of many rows changes, so as to undo it alone, unless it is
    # told that whoever runs it undoes the transaction; that would cost more than the many rows save.
    insert = "INSERT INTO" if postgres or rows == 1 else "INSERT OR FAIL INTO"
    columns = ", ".join([*bound, *written])
    return f"{insert} usage_records ({columns}) VALUES {values} ON CONFLICT (id) DO NOTHING"
