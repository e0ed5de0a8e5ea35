"""Meter: puts each request's holds and its one usage record into the journal. Never raises into the request."""

from typing import Protocol

import msgspec
import structlog

from billing.usage import HoldRecord, UsageRecord

_log = structlog.stdlib.get_logger("meter")


class Appender(Protocol):
    """Where records go: a Journal."""

    def append(self, payload: bytes, *, owed: bool = False) -> bool:
        """Write; False where it only waits in memory. `owed`: somebody owes money by it."""
        ...


class Meter:
    """Records usage, synchronously and before the last byte goes to the client.

    So a client that saw the end of its response has a record, whatever becomes of this process. A
    request id is recorded at most once; at least the last `remember` ids are known here, older repeats
    are refused by the database's unique id.
    """

    def __init__(self, journal: Appender, *, remember: int = 8192) -> None:
        self._journal = journal
        self._remember = remember
        self._recent: set[str] = set()
        self._before: set[str] = set()
        """The ids from when `_recent` was last full: forgotten all at once when it is full again."""
        self._encoder = msgspec.json.Encoder()
        self.duplicates = 0
        """How many records were refused because their id had been recorded."""

    def hold(self, request_id: str, account: str, held_nano: int, at: int) -> bool:
        """Journal that `held_nano` is held in all, as of `at` (unix ns): before a provider is asked, and when it grows.

        The request's usage record ends the hold. A hold of nothing is not worth a line. False: the disk refuses it,
        and should this process be killed the hold, and what the request cost, would be forgotten.
        """
        if held_nano <= 0:
            return True
        line = self._encoder.encode(HoldRecord(hold=request_id, account=account, held_nano=held_nano, at=at))
        return self._journal.append(line, owed=True)

    def record(self, record: UsageRecord, *, keep: bool = True) -> bytes:
        """Append one record to the journal; a repeat of an id is dropped, counted and logged.

        Returns the record as JSON, one object on one line, for whoever wants to log it too. Without `keep` that is
        all that is done.
        """
        recent, name = self._recent, record.id
        if name in recent or name in self._before:
            self.duplicates += 1
            _log.error("request recorded twice", request_id=name)
            return self._encoder.encode(record)
        recent.add(name)
        if len(recent) >= self._remember:
            self._recent, self._before = set(), recent
        try:
            payload = self._encoder.encode(record)
        except UnicodeEncodeError:
            payload = self._encoder.encode(_encodable(record))
        if keep:
            owed = record.cost_nano > 0 or record.held_nano > 0 or record.provider_cost_nano > 0
            self._journal.append(payload, owed=owed)
        return payload


def _encodable(record: UsageRecord) -> UsageRecord:
    """The record with lone surrogates, which a client's odd bytes can become, replaced by question marks."""
    texts = {
        name: _question(value)
        for name, value in msgspec.structs.asdict(record).items()
        if isinstance(value, str)
    }
    tags = {_question(name): _question(value) for name, value in record.tags.items()}
    return msgspec.structs.replace(record, tags=tags, **texts)


def _question(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
