"""The audit log."""

revision = "0005_audit"
down_revision = "0004_sessions"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
