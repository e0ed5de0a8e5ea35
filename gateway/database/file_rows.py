"""Table of the files that clients uploaded, or that were made for them. Refuses contents: those are on the disk.

Owners are named, not pointed to: a row goes when its file is deleted or expires, not before.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.database.tables import Base


class FileRow(Base):
    """One file. `user_id` is empty where the key was nobody's in particular; `size` is in bytes."""

    __tablename__ = "files"
    __table_args__ = (
        Index("ix_files_team_id_user_id", "team_id", "user_id", "created_at"),
        Index("ix_files_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    team_id: Mapped[str] = mapped_column(String(24))
    user_id: Mapped[str] = mapped_column(String(24))
    name: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(String(32))
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
