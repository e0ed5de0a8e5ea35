"""Spreadsheet: usage as CSV lines (RFC 4180), safe to open. Pure; refuses to hold a whole report."""

import csv
import io
from collections.abc import Sequence
from typing import cast

import msgspec
from msgspec import Struct

from billing.reporting.dimensions import By
from billing.reporting.records import UsageRow
from billing.reporting.sums import Showback, UsageSum

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell. A model's name or a tag may be any client's invention
(https://owasp.org/www-community/attacks/CSV_Injection)."""

_APART = ("group", "names")
"""These become columns of their own."""


def record_header() -> str:
    """The first line of a report of records."""
    return csv_line(UsageRow.__struct_fields__)


def record_line(row: UsageRow) -> str:
    """One record."""
    return csv_line(msgspec.structs.astuple(row))


def sum_header(by: Sequence[By]) -> str:
    """The first line of a grouped report."""
    return group_header(by, UsageSum)


def group_header(by: Sequence[By], kind: type[Struct]) -> str:
    """The first line of a report whose lines have a `group`, and perhaps `names`."""
    dimensions = [str(each) for each in by]
    names = [f"{each}_name" for each in dimensions] if "names" in kind.__struct_fields__ else []
    return csv_line((*dimensions, *names, *_figures(kind)))


def group_line(by: Sequence[By], row: Struct) -> str:
    """One group."""
    group: dict[str, str | None] = getattr(row, "group")  # noqa: B009 - no common type has it
    cells: list[object] = [group[str(each)] for each in by]
    if isinstance(row, Showback):
        cells += [row.names.get(str(each)) for each in by]
    return csv_line((*cells, *_values(row, _figures(type(row)))))


def sum_line(by: Sequence[By], row: UsageSum) -> str:
    """One group."""
    return group_line(by, row)


def struct_lines(kind: type[Struct], rows: Sequence[Struct]) -> str:
    """A head, and a line for each of these flat rows."""
    return csv_line(kind.__struct_fields__) + "".join(
        csv_line(_values(row, kind.__struct_fields__)) for row in rows
    )


def csv_line(values: Sequence[object]) -> str:
    """One line, with its end."""
    out = io.StringIO()
    csv.writer(out).writerow([_cell(value) for value in values])
    return out.getvalue()


class _Amount(str):
    """Dollars, which may begin with a minus and are no formula."""


def _values(row: Struct, names: Sequence[str]) -> list[object]:
    values = [(name, getattr(row, name)) for name in names]
    return [
        _Amount(value) if name.endswith("_usd") and value is not None else value for name, value in values
    ]


def _figures(kind: type[Struct]) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name not in _APART)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        pairs = cast(dict[str, str], value)
        return _cell("; ".join(f"{name}={text}" for name, text in pairs.items()))
    if isinstance(value, str) and not isinstance(value, _Amount) and value.startswith(_FORMULA):
        return "'" + value
    return value
