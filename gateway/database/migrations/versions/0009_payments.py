"""Customers, subscriptions, checkouts and the events of payment processors."""

revision = "0009_payments"
down_revision = "0008_provider_keys"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
