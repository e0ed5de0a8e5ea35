"""The ledger's tables. Amounts are BIGINT nano-USD, moments BIGINT unix nanoseconds.

`ledger_transactions` and `ledger_entries` are only ever added to, which triggers made by the migration
enforce. `ledger_balances` and `ledger_grants.remaining_nano` are projections of the entries.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from billing.tables import Document, metadata

accounts = Table(
    "ledger_accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("floor_nano", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("uq_ledger_accounts_owner", "owner", unique=True),
)

balances = Table(
    "ledger_balances",
    metadata,
    Column("account_id", Text, ForeignKey("ledger_accounts.id"), primary_key=True),
    Column("balance_nano", BigInteger, nullable=False),
    Column("debt_nano", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)
"""`entries` is how many the account has, and so the `seq` of its latest."""

transactions = Table(
    "ledger_transactions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("reference", Text),
    Column("actor", Text),
    Column("currency", String(3), nullable=False),
    Column("fx", Text),
    Column("metadata", Document, nullable=False),
    UniqueConstraint("reason", "reference", name="uq_ledger_transactions_reason_reference"),
)
"""`fx` is the exchange rate used, decimal text, in units of `currency` per USD; None: none was."""

entries = Table(
    "ledger_entries",
    metadata,
    Column("account_id", Text, ForeignKey("ledger_accounts.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("transaction_id", Text, ForeignKey("ledger_transactions.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("amount_nano", BigInteger, nullable=False),
    Column("balance_nano", BigInteger, nullable=False),
    Column("reference", Text),
    Column("label", Text),
    Column("grant_id", Text),
    Column("spread", Text),
    Index("ix_ledger_entries_account_id_at", "account_id", "at", "seq"),
    Index("ix_ledger_entries_transaction_id", "transaction_id"),
    Index(
        "uq_ledger_entries_reference",
        "reference",
        unique=True,
        postgresql_where=text("reference IS NOT NULL"),
        sqlite_where=text("reference IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)
"""`balance_nano` is the account's after this entry. `reference` is the request settled, `label` its model.

`grant_id` is the grant the whole amount is of, None: debt. Where it is of several, `spread` lists them all,
`[[grant id or null, amount], ...]`, and `grant_id` is None.
"""

grants = Table(
    "ledger_grants",
    metadata,
    Column("id", Text, ForeignKey("ledger_transactions.id"), primary_key=True),
    Column("account_id", Text, ForeignKey("ledger_accounts.id"), nullable=False),
    Column("amount_nano", BigInteger, nullable=False),
    Column("remaining_nano", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("at", BigInteger, nullable=False),
    Index(
        "ix_ledger_grants_left",
        "account_id",
        postgresql_where=text("remaining_nano > 0"),
        sqlite_where=text("remaining_nano > 0"),
    ),
    Index(
        "ix_ledger_grants_expiring",
        "expires_at",
        postgresql_where=text("remaining_nano > 0"),
        sqlite_where=text("remaining_nano > 0"),
    ),
)
"""A grant's id is its transaction's, its `seq` that of its entry: what is lower is older."""

holds = Table(
    "ledger_holds",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("held_nano", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("writer", Text, nullable=False),
    Column("released_at", BigInteger),
    Index("ix_ledger_holds_account_id", "account_id"),
    Index("ix_ledger_holds_writer", "writer"),
)
"""Holds that were open when the journal was last drained, and those released since their process died."""

news = Table(
    "ledger_news",
    metadata,
    Column("transaction_id", Text, ForeignKey("ledger_transactions.id"), primary_key=True),
    Column("account_id", Text, ForeignKey("ledger_accounts.id"), nullable=False),
    Column("amount_nano", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("told_at", BigInteger),
    Index("ix_ledger_news_account_id", "account_id"),
)
"""Postings that whoever counts the hot balances must hear of: those not told, and those told lately."""
