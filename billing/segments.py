"""Segments: the journal's files as whoever drains them sees them. Blocking file work; knows no database."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from billing.frames import scan
from billing.journal import OPENING_SUFFIX, SEGMENT_SUFFIX, UNWRITTEN_LOCK
from billing.usage import HoldRecord, UsageRecord

QUARANTINE = "quarantine"
"""The folder, beside the segments, where those with damage in them are kept for an operator to look at."""

_TEXT_LIMIT = 512
_HOLD = b'{"hold":'
"""How a hold's line begins, and no usage record's: a decoder with a tag would cost both more."""

_WINDOW = _TEXT_LIMIT // 2
"""So long that a longer text than is taken has a whole one inside it, wherever it begins."""

_decoder = msgspec.json.Decoder(UsageRecord)
_hold_decoder = msgspec.json.Decoder(HoldRecord)


class Segment(Struct, frozen=True, kw_only=True):
    """One file: its size in bytes when looked at, and whether its writer was alive just before."""

    name: str
    size: int
    live: bool


class Piece(Struct, frozen=True, kw_only=True):
    """What was read from one place in a segment: `records` fit for any database, no id twice, `holds`, and `next`,
    the offset to go on from. `damaged` counts what is none of these, `torn` the bytes of an unfinished end.
    """

    records: list[UsageRecord]
    holds: list[HoldRecord]
    next: int
    damaged: int
    torn: int


def survey(directory: Path) -> list[Segment]:
    """All segments, oldest name first. A writer that died half-way through opening one is tidied up after.

    What others remove meanwhile is left out, or told as it was.
    """
    found: list[Segment] = []
    folder = os.fspath(directory)
    for name in sorted(_names(folder)):
        if name.endswith(SEGMENT_SUFFIX):
            path = os.path.join(folder, name)  # noqa: PTH118 - looked at every second: a Path costs more than the look
            with suppress(FileNotFoundError):
                live = not _is_free(path)
                # The size comes after the lock is seen: a free segment's size is final.
                found.append(Segment(name=name, size=os.stat(path).st_size, live=live))  # noqa: PTH116 - as above
        elif name.endswith(OPENING_SUFFIX):
            with suppress(FileNotFoundError):
                _is_free(os.fspath(directory / name), remove=True)
    return found


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - as above
    except FileNotFoundError:
        return []


def some_unwritten(directory: Path) -> bool:
    """Whether some living writer has records that its disk refuses, and that so are in no segment yet.

    Blocking, for as long as others look. Only one looks at a time, or they would take each other for such a writer.
    """
    try:
        fd = os.open(directory / UNWRITTEN_LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    turn = -1
    try:
        turn = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)  # while it is still our turn
        if turn >= 0:
            os.close(turn)
    return False


def writer_of(segment: str) -> str:
    """The id of the writer of the segment of this name."""
    return segment.removesuffix(SEGMENT_SUFFIX).rpartition("-")[0]


def writes_on(directory: Path, segment: str) -> bool:
    """Whether the writer of this segment has others too: then it is not over."""
    writer = writer_of(segment)
    return any(
        path.name != segment and writer_of(path.name) == writer
        for path in directory.glob(f"{writer}-*{SEGMENT_SUFFIX}")
    )


def read_piece(path: Path, offset: int, *, live: bool, size: int) -> Piece:
    """Read about `size` bytes of frames from `offset`; more where one line is longer than that.

    Raises OSError as the file system does.
    """
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        while True:
            file.seek(offset)
            data = file.read(size)
            at_end = offset + len(data) >= end
            found = scan(data, final=at_end and not live)
            if found.consumed or at_end:
                break
            size *= 2
    records: dict[str, UsageRecord] = {}
    holds: list[HoldRecord] = []
    damaged = len(found.damaged)
    for payload in found.payloads:
        try:
            if payload.startswith(_HOLD):
                holds.append(_hold(payload))
            else:
                record = _record(payload)
                records.setdefault(record.id, record)  # the first of an id counts
        except msgspec.DecodeError:
            damaged += 1
    return Piece(
        records=list(records.values()),
        holds=holds,
        next=offset + found.consumed,
        damaged=damaged,
        torn=len(found.torn),
    )


def discard(path: Path, *, keep: bool) -> None:
    """Remove a drained segment; `keep` moves it to quarantine instead."""
    if keep:
        aside = path.parent / QUARANTINE
        aside.mkdir(exist_ok=True)
        path.rename(aside / path.name)
    else:
        path.unlink()


def _hold(payload: bytes) -> HoldRecord:
    hold = _hold_decoder.decode(payload)
    if _may_be_unfit(payload):
        hold = replace(hold, hold=_text(hold.hold), account=_text(hold.account))
    return hold


def _record(payload: bytes) -> UsageRecord:
    """Raises msgspec.DecodeError for what is no usage record."""
    record = _decoder.decode(payload)
    if _may_be_unfit(payload):
        texts = {
            name: _text(value) for name, value in msgspec.structs.asdict(record).items() if type(value) is str
        }
        tags = {_text(name): _text(value) for name, value in record.tags.items()}
        record = replace(record, tags=tags, **texts)
    return record


def _may_be_unfit(payload: bytes) -> bool:
    """Whether some text in it may be too long or hold NUL, which JSON escapes: without escapes, quotes end every text.
    Most lines are cleared by a look or two.
    """
    if b"\\" in payload:
        return True
    for start in range(0, len(payload) - _WINDOW, _WINDOW):  # noqa: SIM110 - half the time of a generator
        if payload.find(b'"', start, start + _WINDOW) < 0:
            return True
    return False


def _text(value: str) -> str:
    """PostgreSQL stores no NUL and indexes no long text; a model's name may come from any client."""
    return value.replace("\x00", "\ufffd")[:_TEXT_LIMIT]


def _is_free(path: str, *, remove: bool = False) -> bool:
    """Whether no writer has it. Raises FileNotFoundError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if remove:
            os.unlink(path)  # noqa: PTH108 - as above
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
