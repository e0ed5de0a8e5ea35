"""Batch: one batch as it stands, and its states. Pure; times are UTC."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from gateway.responses.shelf import Owner

WINDOW = "24h"
WINDOW_SECONDS = 86_400


class Status(StrEnum):
    """OpenAI's states. A batch that is to end as expired or cancelled says so by that time stamp beforehand."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


ACTIVE = (Status.VALIDATING, Status.IN_PROGRESS, Status.FINALIZING, Status.CANCELLING)
"""Those in which a process has something to do."""


class Batch(Struct, frozen=True, kw_only=True):
    """`key_id` made it. `total` counts lines; `completed` and `failed` those that have a result."""

    id: str
    owner: Owner
    key_id: str
    endpoint: str
    input_file_id: str
    status: Status = Status.VALIDATING
    notes: dict[str, str]
    errors: list[dict[str, Any]] | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    kept_seconds: int | None
    created_at: datetime
    expires_at: datetime
    in_progress_at: datetime | None = None
    finalizing_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    expired_at: datetime | None = None
    cancelling_at: datetime | None = None
    cancelled_at: datetime | None = None

    def __repr__(self) -> str:
        """Without what its owner noted on it."""
        return f"Batch({self.id!r}, {self.status})"

    def file_id(self, kind: str) -> str:
        """The id of the file its results become: made of the batch's, so that it is made once."""
        return f"file-{self.id.removeprefix('batch_')}{kind}"

    def call_id(self, line: int, attempt: int) -> str:
        """The id of one line's call, unique for ever. Letters part the numbers, so no two read alike."""
        again = f"r{attempt}" if attempt else ""
        return f"req-batch{self.id.removeprefix('batch_')}l{line}{again}"
