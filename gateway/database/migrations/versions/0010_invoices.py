"""Invoices and credit notes, numbered without gaps."""

revision = "0010_invoices"
down_revision = "0009_payments"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
