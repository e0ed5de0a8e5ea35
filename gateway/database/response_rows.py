"""Table of the responses that clients may come back to. Refuses behaviour: `gateway/responses` says what rows mean.

What is kept are conversations, so it is kept apart from everything that is logged or billed. Owners are named, not
pointed to: a row goes when it expires, not before.
"""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from gateway.database.tables import Base


class ResponseRow(Base):
    """One response and the input it was asked with, both JSON as the client sees it.

    `user_id` is empty where the key was nobody's in particular. `thread_id` is the first response of the
    conversation, `previous_id` the one this one goes on from.
    """

    __tablename__ = "responses"
    __table_args__ = (
        Index("ix_responses_thread_id", "thread_id"),
        Index("ix_responses_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    team_id: Mapped[str] = mapped_column(String(24))
    user_id: Mapped[str] = mapped_column(String(24))
    previous_id: Mapped[str | None] = mapped_column(String(64))
    thread_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    input: Mapped[bytes] = mapped_column(LargeBinary)
    response: Mapped[bytes] = mapped_column(LargeBinary)
