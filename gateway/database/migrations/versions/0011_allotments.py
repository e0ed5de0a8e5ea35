"""What processes have drawn in advance of counters and balances kept here."""

import sqlalchemy as sa
from alembic import op

revision = "0011_allotments"
down_revision = "0010_invoices"


def upgrade() -> None:
    op.create_table(
        "allotments",
        sa.Column("counter", sa.Text(), nullable=False),
        sa.Column("process", sa.String(64), nullable=False),
        sa.Column("share", sa.BigInteger(), nullable=False),
        sa.Column("linger", sa.BigInteger(), nullable=False),
        sa.Column("wanted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("counter", "process", name="pk_allotments"),
    )
    op.create_index("ix_allotments_process", "allotments", ["process"])
    op.create_index("ix_allotments_wanted_at", "allotments", ["wanted_at"])
    op.create_table(
        "allotment_leases",
        sa.Column("process", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("process", name="pk_allotment_leases"),
    )


def downgrade() -> None:
    op.drop_table("allotment_leases")
    op.drop_table("allotments")
