"""The ledger: accounts, transactions, entries, grants, holds."""

revision = "0006_ledger"
down_revision = "0005_audit"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
