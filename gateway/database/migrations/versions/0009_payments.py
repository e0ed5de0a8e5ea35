"""Customers, subscriptions, payments and the events of payment processors."""

import sqlalchemy as sa
from alembic import op

revision = "0009_payments"
down_revision = "0008_provider_keys"


def upgrade() -> None:
    _customers_and_subscriptions()
    _payments()
    _events()
    _topups()
    _meter_reports()


def downgrade() -> None:
    for table in (
        "payment_meter_reports",
        "payment_topup_runs",
        "payment_topups",
        "payment_workers",
        "payment_events",
        "payment_movements",
        "payments",
        "payment_subscriptions",
        "payment_customers",
    ):
        op.drop_table(table)


def _customers_and_subscriptions() -> None:
    op.create_table(
        "payment_customers",
        sa.Column("processor", sa.String(16), nullable=False),
        sa.Column("org_id", sa.String(64), nullable=False),
        sa.Column("customer", sa.String(128), nullable=False),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("processor", "org_id", name="pk_payment_customers"),
        sa.UniqueConstraint("processor", "customer", name="uq_payment_customers_customer"),
    )
    op.create_table(
        "payment_subscriptions",
        sa.Column("processor", sa.String(16), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("org_id", sa.String(64), nullable=False),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("period_start", sa.BigInteger(), nullable=False),
        sa.Column("period_end", sa.BigInteger(), nullable=False),
        sa.Column("ends_at_period_end", sa.Boolean(), nullable=False),
        sa.Column("past_due_since", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("processor", "id", name="pk_payment_subscriptions"),
    )
    op.create_index("ix_payment_subscriptions_org_id", "payment_subscriptions", ["org_id"])


def _payments() -> None:
    op.create_table(
        "payments",
        sa.Column("reference", sa.String(160), nullable=False),
        sa.Column("processor", sa.String(16), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("intent", sa.String(128), nullable=True),
        sa.Column("org_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("item", sa.Text(), nullable=True),
        sa.Column("paid", sa.Boolean(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.Column("disputed_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("fx", sa.Text(), nullable=True),
        sa.Column("credit_nano", sa.BigInteger(), nullable=False),
        sa.Column("moved_nano", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name="pk_payments"),
    )
    op.create_index("ix_payments_org_id_created_at", "payments", ["org_id", "created_at"])
    op.create_table(
        "payment_movements",
        sa.Column("reference", sa.String(160), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reference", "position", name="pk_payment_movements"),
    )


def _events() -> None:
    op.create_table(
        "payment_events",
        sa.Column("processor", sa.String(16), nullable=False),
        sa.Column("id", sa.String(160), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("processor", "id", name="pk_payment_events"),
    )
    op.create_index("ix_payment_events_state_next_at", "payment_events", ["processor", "state", "next_at"])
    op.create_table(
        "payment_workers",
        sa.Column("processor", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("processor", name="pk_payment_workers"),
    )


def _topups() -> None:
    op.create_table(
        "payment_topups",
        sa.Column("org_id", sa.String(64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("threshold_nano", sa.BigInteger(), nullable=False),
        sa.Column("most_per_day", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", name="pk_payment_topups"),
    )
    op.create_table(
        "payment_topup_runs",
        sa.Column("org_id", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_nano", sa.BigInteger(), nullable=False),
        sa.Column("payment", sa.String(160), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "day", "position", name="pk_payment_topup_runs"),
    )


def _meter_reports() -> None:
    op.create_table(
        "payment_meter_reports",
        sa.Column("processor", sa.String(16), nullable=False),
        sa.Column("org_id", sa.String(64), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("position", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("processor", "org_id", "hour", "position", name="pk_payment_meter_reports"),
    )
    op.create_index("ix_payment_meter_reports_sent", "payment_meter_reports", ["processor", "sent"])
