"""When a process said last that it uses all of its share."""

import sqlalchemy as sa
from alembic import op

revision = "0018_answered_wishes"
down_revision = "0017_known_users_and_payers"


def upgrade() -> None:
    op.add_column("allotments", sa.Column("answered_at", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("allotments", "answered_at")
