"""A usage record without a user, or without a payer, has no place in their index: nobody looks for it there."""

import sqlalchemy as sa
from alembic import op

revision = "0017_known_users_and_payers"
down_revision = "0016_no_replacing"

_COLUMNS = ("user_id", "account")


def upgrade() -> None:
    for column in _COLUMNS:
        op.drop_index(f"ix_usage_records_{column}_at", "usage_records")
        known = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_usage_records_{column}_at",
            "usage_records",
            [column, "at"],
            postgresql_where=known,
            sqlite_where=known,
        )


def downgrade() -> None:
    for column in _COLUMNS:
        op.drop_index(f"ix_usage_records_{column}_at", "usage_records")
        op.create_index(f"ix_usage_records_{column}_at", "usage_records", [column, "at"])
