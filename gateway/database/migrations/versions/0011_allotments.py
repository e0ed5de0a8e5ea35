"""What processes have drawn in advance of counters and balances kept here."""

revision = "0011_allotments"
down_revision = "0010_invoices"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
