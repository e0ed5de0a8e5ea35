"""Spreadsheet: usage as CSV lines (RFC 4180), safe to open. Pure; refuses to hold a whole report."""

import csv
import io
from collections.abc import Sequence

import msgspec

from billing.reports import Dimension, UsageRow, UsageSum

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell. A model's name may be any client's invention
(https://owasp.org/www-community/attacks/CSV_Injection)."""

_SUMS = tuple(name for name in UsageSum.__struct_fields__ if name != "group")


def record_header() -> str:
    """The first line of a report of records."""
    return csv_line(UsageRow.__struct_fields__)


def record_line(row: UsageRow) -> str:
    """One record."""
    return csv_line(msgspec.structs.astuple(row))


def sum_header(by: Sequence[Dimension]) -> str:
    """The first line of a grouped report."""
    return csv_line((*by, *_SUMS))


def sum_line(by: Sequence[Dimension], row: UsageSum) -> str:
    """One group."""
    return csv_line((*(row.group[dimension] for dimension in by), *(getattr(row, name) for name in _SUMS)))


def csv_line(values: Sequence[object]) -> str:
    """One line, with its end."""
    out = io.StringIO()
    csv.writer(out).writerow([_cell(value) for value in values])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return _cell("; ".join(f"{name}={text}" for name, text in value.items()))
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
