"""Rows: a budget as the table holds it, and back. Pure; opens no database."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from billing.budgets.budget import Action, Budget, Subject, SubjectKind
from billing.budgets.period import Period


def budget_of(row: RowMapping | Mapping[str, Any]) -> Budget:
    """The budget a row of `budgets` holds."""
    return Budget(
        id=row["id"],
        org_id=row["org_id"],
        name=row["name"],
        subject=Subject(kind=SubjectKind(row["subject_kind"]), id=row["subject_id"]),
        period=Period(row["period"]),
        time_zone=row["time_zone"],
        amount_nano=row["amount_nano"],
        action=Action(row["action"]),
        downgrade_to=row["downgrade_to"],
        enabled=row["enabled"],
        revision=row["revision"],
    )


def columns_of(budget: Budget) -> dict[str, Any]:
    """The columns that hold a budget; the others say where its alerts go."""
    return {
        "id": budget.id,
        "org_id": budget.org_id,
        "name": budget.name,
        "subject_kind": budget.subject.kind.value,
        "subject_id": budget.subject.id,
        "period": budget.period.value,
        "time_zone": budget.time_zone,
        "amount_nano": budget.amount_nano,
        "action": budget.action.value,
        "downgrade_to": budget.downgrade_to,
        "enabled": budget.enabled,
        "revision": budget.revision,
    }
