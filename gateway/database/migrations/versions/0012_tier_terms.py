"""Since when a tier has given its holder so many credits a month."""

import sqlalchemy as sa
from alembic import op

revision = "0012_tier_terms"
down_revision = "0011_allotments"


def upgrade() -> None:
    op.create_table(
        "tier_terms",
        sa.Column("holder_id", sa.String(24), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.String(64), nullable=True),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("holder_id", "seq", name="pk_tier_terms"),
    )


def downgrade() -> None:
    op.drop_table("tier_terms")
