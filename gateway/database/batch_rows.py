"""Table of batches. Refuses behaviour: `gateway/batches` says what the states mean, and who may change them.

Lines and results are not here but in files; owners, keys and files are named, not pointed to.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from gateway.database.tables import Base, Document, OptionalDocument


class BatchRow(Base):
    """One batch. `key_id` is the key that made it, as which its lines are run.

    `lease_holder` is the process that runs it, until `lease_until`. `kept_seconds` is how long its files are kept.
    """

    __tablename__ = "batches"
    __table_args__ = (
        Index("ix_batches_team_id_user_id", "team_id", "user_id", "created_at"),
        Index("ix_batches_status", "status"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    team_id: Mapped[str] = mapped_column(String(24))
    user_id: Mapped[str] = mapped_column(String(24))
    key_id: Mapped[str] = mapped_column(String(24))
    endpoint: Mapped[str] = mapped_column(String(64))
    input_file_id: Mapped[str] = mapped_column(String(64))
    completion_window: Mapped[str] = mapped_column(String(8))
    status: Mapped[str] = mapped_column(String(16))
    notes: Mapped[dict[str, str]] = mapped_column(Document, default=dict)
    errors: Mapped[list[dict[str, Any]] | None] = mapped_column(OptionalDocument)
    total: Mapped[int] = mapped_column(Integer, default=0)
    completed: Mapped[int] = mapped_column(Integer, default=0)
    failed: Mapped[int] = mapped_column(Integer, default=0)
    output_file_id: Mapped[str | None] = mapped_column(String(64))
    error_file_id: Mapped[str | None] = mapped_column(String(64))
    kept_seconds: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    in_progress_at: Mapped[datetime | None]
    finalizing_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    expired_at: Mapped[datetime | None]
    cancelling_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    lease_holder: Mapped[str | None] = mapped_column(String(128))
    lease_until: Mapped[datetime | None]
