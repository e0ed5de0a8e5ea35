"""Organisations, users and memberships; teams and keys belong to them."""

revision = "0003_organisations_users"
down_revision = "0002_usage"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
