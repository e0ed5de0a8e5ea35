"""Tenants' own provider keys, encrypted."""

revision = "0008_provider_keys"
down_revision = "0007_budgets"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
