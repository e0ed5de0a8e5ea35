"""Our own invoices and credit notes, numbered without gaps."""

import sqlalchemy as sa
from alembic import op

revision = "0010_invoices"
down_revision = "0009_payments"


def upgrade() -> None:
    op.create_table(
        "invoice_numbers",
        sa.Column("series", sa.String(8), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series", "year", name="pk_invoice_numbers"),
    )
    op.create_table(
        "invoices",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("series", sa.String(8), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("org_id", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("corrects", sa.String(24), nullable=True),
        sa.Column("reference", sa.String(128), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invoices"),
        sa.UniqueConstraint("series", "year", "number", name="uq_invoices_number"),
        sa.UniqueConstraint("org_id", "reference", name="uq_invoices_reference"),
    )
    op.create_index("ix_invoices_org_id_issued_at", "invoices", ["org_id", "issued_at"])
    op.create_index("ix_invoices_corrects", "invoices", ["corrects"])


def downgrade() -> None:
    op.drop_table("invoices")
    op.drop_table("invoice_numbers")
