"""Tables of budgets: what was set, which alerts were raised, and the outbox they leave by.

Money is nano-USD and times are unix seconds, both BIGINT. The primary key of `budget_alerts` is what makes an
alert come once, however many processes see the same figures.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text

from billing.tables import metadata

budgets = Table(
    "budgets",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("org_id", String(24), nullable=False),
    Column("name", String(64), nullable=False),
    Column("subject_kind", String(16), nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("period", String(8), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("amount_nano", BigInteger, nullable=False),
    Column("action", String(16), nullable=False),
    Column("downgrade_to", Text),
    Column("enabled", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("webhook", Text),
    Column("webhook_trusted", Boolean, nullable=False),
    Column("emails", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_budgets_org_id", "org_id", "id"),
)
"""`emails` is a JSON list. `webhook_trusted`: the operator set it, so it may point into the private network."""

alert_targets = Table(
    "alert_targets",
    metadata,
    Column("org_id", String(24), primary_key=True),
    Column("webhook", Text),
    Column("webhook_trusted", Boolean, nullable=False),
    Column("emails", Text, nullable=False),
    Column("secret_salt", String(64)),
    Column("previous_salt", String(64)),
    Column("previous_until", BigInteger),
)
"""Where an organisation's alerts go when a budget names nobody. Secrets are derived from the salts, never stored."""

budget_alerts = Table(
    "budget_alerts",
    metadata,
    Column("budget_id", String(24), primary_key=True),
    Column("mark", String(8), primary_key=True),
    Column("period_id", String(16), primary_key=True),
    Column("event_id", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
)

alert_outbox = Table(
    "alert_outbox",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("event_id", String(40), nullable=False),
    Column("org_id", String(24), nullable=False),
    Column("budget_id", String(24), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("address", Text, nullable=False),
    Column("trusted", Boolean, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_error", Text),
    Index("ix_alert_outbox_state_next_at", "state", "next_at"),
    Index("ix_alert_outbox_budget_id", "budget_id"),
)
"""`state` is `waiting`, `sent` or `given_up`; `next_at` is when a sender may take a waiting one."""
