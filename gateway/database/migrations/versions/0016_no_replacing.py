"""What is only ever added to cannot be replaced either: SQLite's INSERT OR REPLACE deletes without asking triggers."""

from alembic import op

revision = "0016_no_replacing"
down_revision = "0015_files_batches"

_UNIQUE = {
    "audit_log": ("id = NEW.id",),
    "ledger_transactions": ("id = NEW.id", "reason = NEW.reason AND reference = NEW.reference"),
    "ledger_entries": ("account_id = NEW.account_id AND seq = NEW.seq", "reference = NEW.reference"),
}
"""By table, what makes a new row stand in an old one's place: one condition for each of its unique indexes."""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        return  # has no such statement, and its triggers see every deletion
    for table, conditions in _UNIQUE.items():
        taken = " OR ".join(
            f"EXISTS (SELECT 1 FROM {table} WHERE {condition})"  # noqa: S608 - our own words, above
            for condition in conditions
        )
        what = "audit log" if table == "audit_log" else "ledger"
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} "
            f"BEGIN SELECT RAISE(ABORT, 'the {what} is only ever added to'); END"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        for table in _UNIQUE:
            op.execute(f"DROP TRIGGER {table}_no_replace")
