"""Budgets and the alerts sent for them."""

import sqlalchemy as sa
from alembic import op

revision = "0007_budgets"
down_revision = "0006_ledger"


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("org_id", sa.String(24), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("subject_kind", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("period", sa.String(8), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("downgrade_to", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("webhook", sa.Text(), nullable=True),
        sa.Column("webhook_trusted", sa.Boolean(), nullable=False),
        sa.Column("emails", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_budgets"),
    )
    op.create_index("ix_budgets_org_id", "budgets", ["org_id", "id"])
    op.create_table(
        "alert_targets",
        sa.Column("org_id", sa.String(24), nullable=False),
        sa.Column("webhook", sa.Text(), nullable=True),
        sa.Column("webhook_trusted", sa.Boolean(), nullable=False),
        sa.Column("emails", sa.Text(), nullable=False),
        sa.Column("secret_salt", sa.String(64), nullable=True),
        sa.Column("previous_salt", sa.String(64), nullable=True),
        sa.Column("previous_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", name="pk_alert_targets"),
    )
    op.create_table(
        "budget_alerts",
        sa.Column("budget_id", sa.String(24), nullable=False),
        sa.Column("mark", sa.String(8), nullable=False),
        sa.Column("period_id", sa.String(16), nullable=False),
        sa.Column("event_id", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("budget_id", "mark", "period_id", name="pk_budget_alerts"),
    )
    op.create_table(
        "alert_outbox",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("event_id", sa.String(40), nullable=False),
        sa.Column("org_id", sa.String(24), nullable=False),
        sa.Column("budget_id", sa.String(24), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_alert_outbox"),
    )
    op.create_index("ix_alert_outbox_state_next_at", "alert_outbox", ["state", "next_at"])
    op.create_index("ix_alert_outbox_budget_id", "alert_outbox", ["budget_id"])


def downgrade() -> None:
    op.drop_table("alert_outbox")
    op.drop_table("budget_alerts")
    op.drop_table("alert_targets")
    op.drop_table("budgets")
