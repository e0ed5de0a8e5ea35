"""The ledger: accounts, transactions, entries, grants, holds; and who pays in the usage records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006_ledger"
down_revision = "0005_audit"

_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_APPEND_ONLY = ("ledger_transactions", "ledger_entries")


def upgrade() -> None:
    _usage()
    _accounts()
    _transactions()
    _grants()
    _holds()
    _guard()


def _usage() -> None:
    for column in (
        sa.Column("org_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("tier", sa.Text(), nullable=True),
        sa.Column("feature", sa.Text(), nullable=True),
        sa.Column("tags", _DOCUMENT, nullable=False, server_default="{}"),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("held_nano", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("provider_cost_nano", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("byok", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("usage_records", column)
    # Whatever was recorded before there were organisations was the default one's.
    op.execute("UPDATE usage_records SET org_id = 'org_default'")
    for name in ("org_id", "user_id", "account"):
        op.create_index(f"ix_usage_records_{name}_at", "usage_records", [name, "at"])


def _accounts() -> None:
    op.create_table(
        "ledger_accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("floor_nano", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_accounts"),
    )
    op.create_index("uq_ledger_accounts_owner", "ledger_accounts", ["owner"], unique=True)
    op.create_table(
        "ledger_balances",
        sa.Column("account_id", sa.Text(), sa.ForeignKey("ledger_accounts.id"), nullable=False),
        sa.Column("balance_nano", sa.BigInteger(), nullable=False),
        sa.Column("debt_nano", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_ledger_balances"),
    )


def _transactions() -> None:
    op.create_table(
        "ledger_transactions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("fx", sa.Text(), nullable=True),
        sa.Column("metadata", _DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_transactions"),
        sa.UniqueConstraint("reason", "reference", name="uq_ledger_transactions_reason_reference"),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("account_id", sa.Text(), sa.ForeignKey("ledger_accounts.id"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", sa.Text(), sa.ForeignKey("ledger_transactions.id"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("balance_nano", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("grant_id", sa.Text(), nullable=True),
        sa.Column("spread", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "seq", name="pk_ledger_entries"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_ledger_entries_account_id_at", "ledger_entries", ["account_id", "at", "seq"])
    op.create_index("ix_ledger_entries_transaction_id", "ledger_entries", ["transaction_id"])
    _where(
        "uq_ledger_entries_reference", "ledger_entries", ["reference"], "reference IS NOT NULL", unique=True
    )


def _grants() -> None:
    op.create_table(
        "ledger_grants",
        sa.Column("id", sa.Text(), sa.ForeignKey("ledger_transactions.id"), nullable=False),
        sa.Column("account_id", sa.Text(), sa.ForeignKey("ledger_accounts.id"), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("remaining_nano", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_grants"),
    )
    _where("ix_ledger_grants_left", "ledger_grants", ["account_id"], "remaining_nano > 0")
    _where("ix_ledger_grants_expiring", "ledger_grants", ["expires_at"], "remaining_nano > 0")


def _holds() -> None:
    op.create_table(
        "ledger_holds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("held_nano", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_holds"),
    )
    op.create_index("ix_ledger_holds_account_id", "ledger_holds", ["account_id"])
    op.create_index("ix_ledger_holds_writer", "ledger_holds", ["writer"])
    op.create_table(
        "ledger_news",
        sa.Column("transaction_id", sa.Text(), sa.ForeignKey("ledger_transactions.id"), nullable=False),
        sa.Column("account_id", sa.Text(), sa.ForeignKey("ledger_accounts.id"), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("transaction_id", name="pk_ledger_news"),
    )
    op.create_index("ix_ledger_news_account_id", "ledger_news", ["account_id"])


def _where(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        postgresql_where=sa.text(condition),
        sqlite_where=sa.text(condition),
    )


def _guard() -> None:
    """Triggers: nothing posted is changed or deleted; on PostgreSQL a transaction sums to zero when it commits."""
    if op.get_bind().dialect.name != "postgresql":
        for table in _APPEND_ONLY:
            for act in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'the ledger is only ever added to'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger is only ever added to'; END $$"
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()"
        )
    op.execute(
        "CREATE FUNCTION ledger_sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF (SELECT coalesce(sum(amount_nano), 1) FROM ledger_entries WHERE transaction_id = NEW.id) <> 0 THEN "
        "RAISE EXCEPTION 'transaction % does not sum to zero', NEW.id USING ERRCODE = 'check_violation'; "
        "END IF; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE CONSTRAINT TRIGGER ledger_transactions_sum AFTER INSERT ON ledger_transactions "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_sums_to_zero()"
    )


def downgrade() -> None:
    for table in (
        "ledger_news",
        "ledger_holds",
        "ledger_grants",
        "ledger_entries",
        "ledger_transactions",
        "ledger_balances",
        "ledger_accounts",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION ledger_sums_to_zero")
        op.execute("DROP FUNCTION ledger_refuse_change")
    for name in ("org_id", "user_id", "account"):
        op.drop_index(f"ix_usage_records_{name}_at", "usage_records")
    for name in (
        "byok",
        "provider_cost_nano",
        "held_nano",
        "account",
        "tags",
        "feature",
        "tier",
        "user_id",
        "org_id",
    ):
        op.drop_column("usage_records", name)
