"""Logins, refresh token families."""

revision = "0004_sessions"
down_revision = "0003_organisations_users"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
