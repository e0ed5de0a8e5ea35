"""Terms: since when a holder's tier has given so many credits a month. Refuses to know what is due for them.

Only ever added to: a new line where the credits of the holder's tier are others than those of its last one.
"""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from gateway.database.tables import Base


class TierTermRow(Base):
    """`since` is unix seconds; `seq` counts from 1, so that of two processes that add the same line one fails."""

    __tablename__ = "tier_terms"

    holder_id: Mapped[str] = mapped_column(String(24), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    since: Mapped[int] = mapped_column(BigInteger)
    tier: Mapped[str | None] = mapped_column(String(64))
    credits: Mapped[int] = mapped_column(BigInteger)
