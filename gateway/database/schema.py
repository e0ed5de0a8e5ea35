"""Which tables the database holds, all of them, and the newest migration. Refuses to touch a database."""

from pathlib import Path

from sqlalchemy import MetaData

from billing import tables as billing_tables
from billing.budgets import tables as budget_tables
from billing.invoices import tables as invoice_tables
from billing.ledger import tables as ledger_tables
from billing.processors import tables as payment_tables
from gateway.database import (
    allotment_rows,
    batch_rows,
    file_rows,
    provider_key_rows,
    response_rows,
    session_tables,
    tables,
    tier_terms,
)

METADATA: tuple[MetaData, ...] = (tables.metadata, billing_tables.metadata)
assert allotment_rows.Base.metadata is tables.metadata  # importing them is what registers them
assert batch_rows.Base.metadata is tables.metadata  # importing them is what registers them
assert budget_tables.metadata is billing_tables.metadata  # importing them is what registers them
assert file_rows.Base.metadata is tables.metadata  # importing them is what registers them
assert invoice_tables.metadata is billing_tables.metadata  # importing them is what registers them
assert ledger_tables.metadata is billing_tables.metadata  # importing them is what registers them
assert provider_key_rows.Base.metadata is tables.metadata  # importing them is what registers them
assert response_rows.Base.metadata is tables.metadata  # importing them is what registers them
assert tier_terms.Base.metadata is tables.metadata  # importing them is what registers them
assert session_tables.Base.metadata is tables.metadata  # importing them is what registers them
assert payment_tables.metadata is billing_tables.metadata  # importing them is what registers them
"""Every package's tables; migrations are compared against their sum."""

MIGRATIONS = Path(__file__).parent / "migrations"


def head() -> str:
    """The newest revision. Revisions are named as their files are, so the folder's order is theirs."""
    return max(file.stem for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
