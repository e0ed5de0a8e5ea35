"""Sheet: statements and transactions as CSV (RFC 4180), safe to open. Pure."""

from collections.abc import Iterable
from datetime import datetime

from billing.ledger.history import CreditTransaction
from billing.ledger.statement import Statement
from billing.spreadsheet import csv_line

_LINE = (
    "at",
    "id",
    "reason",
    "amount_usd",
    "balance_after_nano",
    "reference",
    "model",
    "actor",
    "currency",
    "fx",
)


def transaction_lines(transactions: Iterable[CreditTransaction]) -> str:
    """A head and a line each."""
    lines = [csv_line((*_LINE, "memo"))]
    lines += [
        csv_line(
            (
                _time(each.at),
                *(getattr(each, name) for name in _LINE[1:]),
                each.metadata.get("memo"),
            )
        )
        for each in transactions
    ]
    return "".join(lines)


def statement_lines(statement: Statement) -> str:
    """One line for each figure: what it is, of what, how many requests, and nano-USD and dollars, signed."""
    rows: list[tuple[object, ...]] = [
        ("opening", statement.start.date().isoformat(), "", statement.opening_nano, statement.opening_usd)
    ]
    rows += [
        (
            each.reason.value,
            each.at.isoformat().replace("+00:00", "Z"),
            each.reference,
            each.amount_nano,
            each.amount_usd,
        )
        for each in statement.other
    ]
    rows += [
        ("usage", each.model, each.requests, -each.cost_nano, f"-{each.cost_usd}" if each.cost_nano else "0")
        for each in statement.usage
    ]
    rows.append(
        ("closing", statement.end.date().isoformat(), "", statement.closing_nano, statement.closing_usd)
    )
    head = csv_line(("what", "when or model", "reference or requests", "amount_nano", "amount_usd"))
    return head + "".join(map(csv_line, rows))


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
