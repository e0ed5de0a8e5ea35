"""Tables of invoices: the last number of each series and year, and every document as it was issued, for ever.

Times are unix seconds. A document's JSON is what was issued; the columns beside it are for finding it.
"""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, UniqueConstraint

from billing.tables import metadata

invoice_numbers = Table(
    "invoice_numbers",
    metadata,
    Column("series", String(8), primary_key=True),
    Column("year", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)

invoices = Table(
    "invoices",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("series", String(8), nullable=False),
    Column("year", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("org_id", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("corrects", String(24)),
    Column("reference", String(128), nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    UniqueConstraint("series", "year", "number", name="uq_invoices_number"),
    UniqueConstraint("org_id", "reference", name="uq_invoices_reference"),
    Index("ix_invoices_org_id_issued_at", "org_id", "issued_at"),
    Index("ix_invoices_corrects", "corrects"),
)
