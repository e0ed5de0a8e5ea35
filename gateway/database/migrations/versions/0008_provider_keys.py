"""Tenants' own provider keys, encrypted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008_provider_keys"
down_revision = "0007_budgets"

_DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")


def _instant(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "provider_keys",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("org_id", sa.String(24), nullable=False),
        sa.Column("team_id", sa.String(24), nullable=True),
        sa.Column("user_id", sa.String(24), nullable=True),
        sa.Column("owner_id", sa.String(24), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("hint", sa.String(8), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("master", sa.String(16), nullable=False),
        sa.Column("models", _DOCUMENT, nullable=False),
        sa.Column("fallback", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        _instant("expires_at"),
        _instant("created_at", nullable=False),
        sa.Column("created_by", sa.String(320), nullable=True),
        _instant("replaced_at"),
        _instant("tested_at"),
        sa.Column("proven", sa.Boolean(), nullable=False),
        _instant("last_used_at"),
        sa.Column("last_error", sa.String(64), nullable=True),
        _instant("last_error_at"),
        _instant("failing_since"),
        sa.PrimaryKeyConstraint("id", name="pk_provider_keys"),
        sa.UniqueConstraint("owner_id", "provider", name="uq_provider_keys_owner_id"),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisations.id"],
            name="fk_provider_keys_org_id_organisations",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name="fk_provider_keys_team_id_teams", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_provider_keys_user_id_users", ondelete="CASCADE"
        ),
    )
    for column in ("org_id", "team_id", "user_id", "master"):
        op.create_index(f"ix_provider_keys_{column}", "provider_keys", [column])


def downgrade() -> None:
    op.drop_table("provider_keys")
