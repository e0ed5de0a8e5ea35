"""Organisations, users and memberships; teams and keys belong to them. What was there goes to `org_default`."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003_organisations_users"
down_revision = "0002_usage"

_document = sa.JSON().with_variant(JSONB(), "postgresql")
_optional = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_instant = sa.DateTime(timezone=True)
_DEFAULT = "org_default"


def upgrade() -> None:
    _organisations()
    _users()
    with op.batch_alter_table("teams") as teams:
        teams.add_column(sa.Column("org_id", sa.String(24), nullable=False, server_default=_DEFAULT))
        teams.add_column(sa.Column("tier", sa.String(64), nullable=True))
        teams.add_column(sa.Column("limits", _optional, nullable=True))
        teams.add_column(sa.Column("tags", _document, nullable=False, server_default="{}"))
        teams.add_column(sa.Column("account", sa.String(64), nullable=True))
        teams.drop_constraint("uq_teams_name", type_="unique")
        teams.create_unique_constraint("uq_teams_org_id", ["org_id", "name"])
        teams.create_foreign_key("fk_teams_org_id_organisations", "organisations", ["org_id"], ["id"])
    with op.batch_alter_table("teams") as teams:
        teams.alter_column("org_id", existing_type=sa.String(24), server_default=None)
        teams.alter_column("tags", existing_type=_document, server_default=None)
    _memberships()
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("user_id", sa.String(24), nullable=True))
        keys.add_column(sa.Column("limits", _optional, nullable=True))
        keys.add_column(sa.Column("tags", _document, nullable=False, server_default="{}"))
        keys.add_column(sa.Column("features", _document, nullable=False, server_default="[]"))
        keys.alter_column("created_by", existing_type=sa.String(64), type_=sa.String(320))
        keys.create_foreign_key("fk_api_keys_user_id_users", "users", ["user_id"], ["id"])
    with op.batch_alter_table("api_keys") as keys:
        keys.alter_column("tags", existing_type=_document, server_default=None)
        keys.alter_column("features", existing_type=_document, server_default=None)
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
    with op.batch_alter_table("changes") as changes:
        changes.alter_column("kind", existing_type=sa.String(8), type_=sa.String(16))


def _organisations() -> None:
    organisations = op.create_table(
        "organisations",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("tier", sa.String(64), nullable=True),
        sa.Column("limits", _optional, nullable=True),
        sa.Column("tags", _document, nullable=False),
        sa.Column("account", sa.String(64), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("metadata", _document, nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("created_at", _instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organisations"),
        sa.UniqueConstraint("name", name="uq_organisations_name"),
    )
    default: dict[str, Any] = {
        "id": _DEFAULT,
        "name": "default",
        "tags": {},
        "disabled": False,
        "metadata": {},
        "time_zone": "UTC",
        "currency": "USD",
        "created_at": datetime.now(UTC),
    }
    op.bulk_insert(organisations, [default])


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("org_id", sa.String(24), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("tier", sa.String(64), nullable=True),
        sa.Column("limits", _optional, nullable=True),
        sa.Column("tags", _document, nullable=False),
        sa.Column("account", sa.String(64), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", _instant, nullable=False),
        sa.Column("last_login_at", _instant, nullable=True),
        sa.Column("password_hash", sa.String(255), nullable=True),
        sa.Column("issuer", sa.String(255), nullable=True),
        sa.Column("subject", sa.String(255), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.ForeignKeyConstraint(["org_id"], ["organisations.id"], name="fk_users_org_id_organisations"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.UniqueConstraint("issuer", "subject", name="uq_users_issuer"),
    )
    op.create_index("ix_users_org_id", "users", ["org_id"])


def _memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("team_id", sa.String(24), nullable=False),
        sa.Column("user_id", sa.String(24), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", _instant, nullable=False),
        sa.PrimaryKeyConstraint("team_id", "user_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name="fk_memberships_team_id_teams", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_memberships_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])


def downgrade() -> None:
    op.drop_table("memberships")
    op.drop_index("ix_api_keys_user_id", "api_keys")
    with op.batch_alter_table("api_keys") as keys:
        keys.drop_constraint("fk_api_keys_user_id_users", type_="foreignkey")
        for column in ("user_id", "limits", "tags", "features"):
            keys.drop_column(column)
    with op.batch_alter_table("teams") as teams:
        teams.drop_constraint("fk_teams_org_id_organisations", type_="foreignkey")
        teams.drop_constraint("uq_teams_org_id", type_="unique")
        for column in ("org_id", "tier", "limits", "tags", "account"):
            teams.drop_column(column)
        teams.create_unique_constraint("uq_teams_name", ["name"])
    op.drop_table("users")
    op.drop_table("organisations")
