"""Logins, refresh token families, one-time links, and the throttle of logins."""

import sqlalchemy as sa
from alembic import op

revision = "0004_sessions"
down_revision = "0003_organisations_users"

_instant = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("user_id", sa.String(24), nullable=False),
        sa.Column("org_id", sa.String(24), nullable=False),
        sa.Column("created_at", _instant, nullable=False),
        sa.Column("expires_at", _instant, nullable=False),
        sa.Column("ended_at", _instant, nullable=True),
        sa.Column("ended_why", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(24), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("issued_at", _instant, nullable=False),
        sa.Column("expires_at", _instant, nullable=False),
        sa.Column("used_at", _instant, nullable=True),
        sa.Column("salt", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("digest", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_refresh_tokens_session_id_sessions", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("session_id", "generation", name="uq_refresh_tokens_session_id_generation"),
    )
    op.create_table(
        "one_time_tokens",
        sa.Column("user_id", sa.String(24), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", _instant, nullable=False),
        sa.Column("expires_at", _instant, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_one_time_tokens"),
        sa.UniqueConstraint("digest", name="uq_one_time_tokens_digest"),
    )
    op.create_table(
        "login_throttle",
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("arrival", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_login_throttle"),
    )
    op.create_index("ix_login_throttle_arrival", "login_throttle", ["arrival"])


def downgrade() -> None:
    for table in ("login_throttle", "one_time_tokens", "refresh_tokens", "sessions"):
        op.drop_table(table)
