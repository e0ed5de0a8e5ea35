"""Tables: where usage records and the drain's place in the journal are kept. Core tables, no ORM.

Money and times are BIGINT on both databases: nano-USD and unix nanoseconds. Indices are few, since
every one is paid for on each insert; they serve "newest first", of all or of one team, key, organisation,
user or payer. Many records have no user and no payer: those are not in the indices of these.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from inference.ir.usage import UNCOMMON

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

Document = JSON().with_variant(JSONB(), "postgresql")
"""JSON, in PostgreSQL's binary form where there is one."""


def _of_known(column: str) -> Index:
    """Both databases use it for `column = ...`, which no NULL satisfies."""
    known = text(f"{column} IS NOT NULL")
    return Index(f"ix_usage_records_{column}_at", column, "at", postgresql_where=known, sqlite_where=known)


usage_records = Table(
    "usage_records",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("key_id", Text),
    Column("team_id", Text),
    Column("route", Text, nullable=False),
    Column("model", Text),
    Column("provider", Text),
    Column("target", Text),
    Column("stream", Boolean, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("usage_source", Text, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    Column("price_version", Text),
    Column("ttft_us", BigInteger),
    Column("duration_us", BigInteger, nullable=False),
    Column("overhead_us", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("error", Text),
    Column("attempts", BigInteger, nullable=False),
    Column("finish_reason", Text),
    Column("org_id", Text),
    Column("user_id", Text),
    Column("tier", Text),
    Column("feature", Text),
    Column("tags", Document, nullable=False, server_default="{}"),
    Column("account", Text),
    Column("held_nano", BigInteger, nullable=False, server_default="0"),
    Column("provider_cost_nano", BigInteger, nullable=False, server_default="0"),
    Column("byok", Boolean, nullable=False, server_default=false()),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in UNCOMMON),
    Index("ix_usage_records_at", "at"),
    Index("ix_usage_records_team_id_at", "team_id", "at"),
    Index("ix_usage_records_key_id_at", "key_id", "at"),
    Index("ix_usage_records_org_id_at", "org_id", "at"),
    _of_known("user_id"),
    _of_known("account"),
)

journal_offsets = Table(
    "journal_offsets",
    metadata,
    Column("segment", String(255), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("damaged", Integer, nullable=False),
)
