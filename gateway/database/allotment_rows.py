"""Tables of allotments: what each process has drawn of a counter, and until when it is taken to live.

Refuses behaviour. Shares are units or nano-USD, moments and spans microseconds, all BIGINT.
"""

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.database.tables import Base


class AllotmentRow(Base):
    """A process's share of a counter; it counts until the process's lease and then `linger` more.

    The row of no process, `""`, is what a quota's period has spent, and its `linger` the moment the period ends.
    `wanted_at`: when the process lacked some of it last, 0: it did not. `answered_at`: when the process said last that
    it uses all of its share, after it gave back the rest; 0: since it has drawn some ahead it did not.
    """

    __tablename__ = "allotments"
    __table_args__ = (
        Index("ix_allotments_process", "process"),
        Index("ix_allotments_wanted_at", "wanted_at"),
    )

    counter: Mapped[str] = mapped_column(Text, primary_key=True)
    process: Mapped[str] = mapped_column(String(64), primary_key=True)
    share: Mapped[int] = mapped_column(BigInteger)
    linger: Mapped[int] = mapped_column(BigInteger)
    wanted_at: Mapped[int] = mapped_column(BigInteger)
    answered_at: Mapped[int] = mapped_column(BigInteger, server_default="0")


class AllotmentLeaseRow(Base):
    """A process that draws, and the moment after which it counts as dead unless it says otherwise."""

    __tablename__ = "allotment_leases"

    process: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[int] = mapped_column(BigInteger)
