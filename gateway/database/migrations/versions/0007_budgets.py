"""Budgets and the alerts sent for them."""

revision = "0007_budgets"
down_revision = "0006_ledger"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
