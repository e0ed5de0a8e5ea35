"""Tables of payments: customers, subscriptions, what was paid, what it moved, events, top-ups, meter reports.

Times are unix seconds, the processors' own unit. What processors say is kept as a projection that can be fetched
again; what is the only record of a decision (top-ups, meter reports) is written before it is acted on.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text, UniqueConstraint

from billing.tables import metadata

payment_customers = Table(
    "payment_customers",
    metadata,
    Column("processor", String(16), primary_key=True),
    Column("org_id", String(64), primary_key=True),
    Column("customer", String(128), nullable=False),
    Column("tier", Text),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("processor", "customer", name="uq_payment_customers_customer"),
)
"""`tier` is the one a subscription gave last: what has to be taken away again when it ends."""

payment_subscriptions = Table(
    "payment_subscriptions",
    metadata,
    Column("processor", String(16), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("org_id", String(64), nullable=False),
    Column("tier", Text),
    Column("status", String(16), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("period_start", BigInteger, nullable=False),
    Column("period_end", BigInteger, nullable=False),
    Column("ends_at_period_end", Boolean, nullable=False),
    Column("past_due_since", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_payment_subscriptions_org_id", "org_id"),
)

payments = Table(
    "payments",
    metadata,
    Column("reference", String(160), primary_key=True),
    Column("processor", String(16), nullable=False),
    Column("id", String(128), nullable=False),
    Column("intent", String(128)),
    Column("org_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("item", Text),
    Column("paid", Boolean, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("disputed_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("fx", Text),
    Column("credit_nano", BigInteger, nullable=False),
    Column("moved_nano", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_payments_org_id_created_at", "org_id", "created_at"),
)
"""`credit_nano` is what the whole amount buys, `moved_nano` the sum of this payment's movements so far."""

payment_movements = Table(
    "payment_movements",
    metadata,
    Column("reference", String(160), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("amount_nano", BigInteger, nullable=False),
    Column("reason", String(24), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""One signed change of an account's credit, written in the transaction that posts it to the ledger."""

payment_events = Table(
    "payment_events",
    metadata,
    Column("processor", String(16), primary_key=True),
    Column("id", String(160), primary_key=True),
    Column("type", Text, nullable=False),
    Column("subject_kind", String(16), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("problem", Text),
    Index("ix_payment_events_state_next_at", "processor", "state", "next_at"),
)
"""Every notice ever received, for ever: an id seen once is never acted on as news again."""

payment_workers = Table(
    "payment_workers",
    metadata,
    Column("processor", String(16), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", BigInteger, nullable=False),
)
"""Who works on a processor's notices; a lease that runs out when its holder dies."""

payment_topups = Table(
    "payment_topups",
    metadata,
    Column("org_id", String(64), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("pack", Text, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("threshold_nano", BigInteger, nullable=False),
    Column("most_per_day", BigInteger, nullable=False),
)

payment_topup_runs = Table(
    "payment_topup_runs",
    metadata,
    Column("org_id", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(12), nullable=False),
    Column("pack", Text, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("credit_nano", BigInteger, nullable=False),
    Column("payment", String(160)),
    Column("problem", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
)
"""One top-up each, written before the card is charged; while one is `open` its organisation gets no other."""

payment_meter_reports = Table(
    "payment_meter_reports",
    metadata,
    Column("processor", String(16), primary_key=True),
    Column("org_id", String(64), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
    Column("sent", Boolean, nullable=False),
    Index("ix_payment_meter_reports_sent", "processor", "sent"),
)
"""What was reported of an hour's usage; what came late is reported by a further row of the same hour."""
