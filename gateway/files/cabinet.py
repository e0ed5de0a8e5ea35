"""The cabinet: files in a folder of the data directory, their names and owners in the database.

A file is found by its owner alone. Its content is whole on the disk before its row is written, and gone after it.
Refuses to hold more than its limits; refuses to hold anything of a process that died while it wrote.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import structlog
from msgspec import Struct
from sqlalchemy import CursorResult, and_, delete, func, insert, or_, select

from gateway.database.engine import Database
from gateway.database.file_rows import FileRow
from gateway.database.tables import TeamRow
from gateway.responses.shelf import Owner
from inference.ir.errors import BodyTooLarge, Forbidden, NotFound, Unavailable

_log = structlog.stdlib.get_logger("files")
_SWEEP_SECONDS = 600.0
_PIECE = 256 * 1024
_SWEPT = 200


class File(Struct, frozen=True, kw_only=True):
    """One file. `size` is in bytes."""

    id: str
    owner: Owner
    name: str
    purpose: str
    size: int
    created_at: datetime
    expires_at: datetime | None

    def __repr__(self) -> str:
        """Without its name: it must not get into a log."""
        return f"File({self.id!r})"


class Draft:
    """A file that is being written. `keep` is the cabinet's; whatever happens, `drop` it at the end."""

    def __init__(self, path: Path, most: int) -> None:
        """`most` is how many bytes it may have. The lock says that its writer is alive."""
        self._most = most
        self._path = path
        self._handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._waiting = bytearray()
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Add to it; to the disk goes what is worth the trip. Raises BodyTooLarge or Unavailable (a full disk)."""
        self.size += len(data)
        if self.size > self._most:
            raise BodyTooLarge(
                f"The file is larger than the {self._most} bytes that are left to it here: {_REMEDY}",
                code="file_too_large",
                param="file",
            )
        self._waiting += data
        if len(self._waiting) >= _PIECE:
            await self._to_disk()

    async def finish(self, path: Path) -> None:
        """Put it on the disk for good, under its last name. Raises Unavailable."""
        await self._to_disk()
        with _full_as_unavailable():
            await asyncio.to_thread(os.fsync, self._handle)
            self._path.rename(path)

    def drop(self) -> None:
        """Close it; what was not finished is gone."""
        os.close(self._handle)
        self._path.unlink(missing_ok=True)

    async def _to_disk(self) -> None:
        data, self._waiting = self._waiting, bytearray()
        with _full_as_unavailable():
            await asyncio.to_thread(_write_all, self._handle, data)


_REMEDY = (
    "split it, delete files no longer needed (DELETE /v1/files/{id}), or ask the gateway's administrator."
)


class Cabinet:
    """`largest` and `total` are bytes: of one file, and of all that one team has uploaded."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        largest: int,
        total: int,
        now: Callable[[], datetime],
        new_name: Callable[[], str],
    ) -> None:
        """`new_name` gives letters and digits that nobody can guess."""
        self.largest = largest
        self._database = database
        self._folder = folder
        self._drafts = folder / "drafts"
        self._total = total
        self._now = now
        self._new_name = new_name

    # Writing

    async def draft(self, owner: Owner) -> Draft:
        """Begin a file, with as much room as its owner has left. Raises Forbidden where there is none; Unavailable."""
        async with self._database.reading() as session:
            used = (await session.execute(_used(owner))).scalar_one()
        room = self._total - used
        if room <= 0:
            raise self._full()
        with _full_as_unavailable():
            self._drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
            return Draft(self._drafts / self._new_name(), min(room, self.largest))

    async def keep(
        self, draft: Draft, owner: Owner, *, name: str, purpose: str, lifetime: timedelta | None
    ) -> File:
        """The file, from now on its owner's. Raises Forbidden (no room any more) or Unavailable; then it is not."""
        now = self._now()
        file = File(
            id=f"file-{self._new_name()}",
            owner=owner,
            name=name,
            purpose=purpose,
            size=draft.size,
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
        )
        path = self.path(file.id)
        await draft.finish(path)
        try:
            async with self._database.writing() as session:
                # Two uploads of a team at once are counted one after the other.
                await session.execute(select(TeamRow.id).where(TeamRow.id == owner.team).with_for_update())
                used = (await session.execute(_used(owner))).scalar_one()
                if used + file.size > self._total:
                    raise self._full()
                await session.execute(insert(FileRow), [_row(file)])
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return file

    async def adopt(self, path: Path, file: File) -> None:
        """Take over a file that the gateway made, on the same file system. A second time changes nothing.

        It is never refused for want of room: what is in it has been paid for. Raises Unavailable.
        """
        async with self._database.reading() as session:
            known = await session.get(FileRow, file.id)
        if known is not None:
            return
        with _full_as_unavailable():
            await asyncio.to_thread(_move, path, self.path(file.id))
        async with self._database.writing() as session:
            await session.execute(insert(FileRow), [_row(file)])

    # Reading

    def path(self, file_id: str) -> Path:
        """Where a file's content is; only for ids that are in the database."""
        return self._folder / file_id

    async def find(self, owner: Owner, file_id: str) -> File:
        """A file of this owner's. Raises NotFound, also for somebody else's; Unavailable."""
        async with self._database.reading() as session:
            row = await session.get(FileRow, file_id[:64])
        if row is None or _owner(row) != owner or not self._current(row):
            raise missing(file_id)
        return _file(row)

    async def known(self, file_id: str) -> bool:
        """Whether there is such a file, whoever's, here or on a disk of another machine. Raises Unavailable."""
        async with self._database.reading() as session:
            return await session.get(FileRow, file_id) is not None

    async def page(
        self, owner: Owner, *, after: str | None, limit: int, ascending: bool, purpose: str | None
    ) -> tuple[list[File], bool]:
        """Files of this owner's in the order they were made, and whether there are more. Raises NotFound."""
        row = FileRow
        query = select(row).where(
            row.team_id == owner.team,
            row.user_id == owner.user,
            or_(row.expires_at.is_(None), row.expires_at > self._now()),
        )
        if purpose is not None:
            query = query.where(row.purpose == purpose)
        if after is not None:
            last = await self.find(owner, after)
            at, name = last.created_at, last.id
            query = query.where(
                or_(row.created_at > at, and_(row.created_at == at, row.id > name))
                if ascending
                else or_(row.created_at < at, and_(row.created_at == at, row.id < name))
            )
        order = (row.created_at.asc(), row.id.asc()) if ascending else (row.created_at.desc(), row.id.desc())
        async with self._database.reading() as session:
            rows = (await session.execute(query.order_by(*order).limit(limit + 1))).scalars().all()
        return [_file(each) for each in rows[:limit]], len(rows) > limit

    async def content(self, file: File) -> AsyncGenerator[bytes]:
        """Its bytes, piece by piece. Raises NotFound where they are not on this machine."""
        try:
            handle = await asyncio.to_thread(self.path(file.id).open, "rb")
        except FileNotFoundError:
            raise missing(file.id) from None

        async def pieces() -> AsyncGenerator[bytes]:
            with handle:
                while piece := await asyncio.to_thread(handle.read, _PIECE):
                    yield piece

        return pieces()

    # Deleting

    async def delete(self, owner: Owner, file_id: str) -> None:
        """Nothing is left of it. Raises NotFound or Unavailable."""
        row = FileRow
        mine = (row.id == file_id[:64], row.team_id == owner.team, row.user_id == owner.user)
        async with self._database.writing() as session:
            gone = await session.execute(delete(row).where(*mine))
        if not cast(CursorResult[Any], gone).rowcount:
            raise missing(file_id)
        self.path(file_id).unlink(missing_ok=True)

    async def run(self) -> None:
        """Delete what is too old, and what dead processes left half-written, for ever."""
        while True:
            with suppress(Unavailable):  # logged where it was raised; the next round finds the same
                await self.sweep()
            await asyncio.sleep(_SWEEP_SECONDS)

    async def sweep(self) -> int:
        """One round of that; how many files were too old. Raises Unavailable."""
        await asyncio.to_thread(self._sweep_drafts)
        count = 0
        while True:
            async with self._database.writing() as session:
                old = select(FileRow.id).where(FileRow.expires_at <= self._now()).limit(_SWEPT)
                ids = (await session.execute(old)).scalars().all()
                await session.execute(delete(FileRow).where(FileRow.id.in_(ids)))
            for file_id in ids:
                self.path(file_id).unlink(missing_ok=True)
            count += len(ids)
            if len(ids) < _SWEPT:
                return count

    def _sweep_drafts(self) -> None:
        for path in self._drafts.glob("*"):
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
                _log.info("half a file of a process that died was deleted")
            except BlockingIOError:
                continue  # its writer lives
            finally:
                os.close(handle)

    def _current(self, row: FileRow) -> bool:
        return row.expires_at is None or row.expires_at > self._now()

    def _full(self) -> Forbidden:
        return Forbidden(
            f"The files of this team may take {self._total} bytes, and do: {_REMEDY}",
            code="storage_limit_reached",
        )


class _full_as_unavailable:  # noqa: N801 - reads as the phrase it is where it is used
    """What the file system refuses is a failure of ours, said without any path."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            _log.error("a file could not be written", error=type(error).__name__, errno=error.errno)
            raise Unavailable(
                "The gateway cannot write files now; try again in a moment.",
                code="storage_unavailable",
                retry_after=5.0,
            ) from error


def missing(file_id: str) -> NotFound:
    """For a file that is not there, or is not the caller's."""
    return NotFound(f"No such File object: {file_id[:100]}", code="file_not_found", param="id")


def _move(path: Path, to: Path) -> None:
    """Where it is gone, it was moved before: by a process that died right after."""
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        path.rename(to)


def _write_all(handle: int, data: bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _used(owner: Owner) -> Any:
    """How many bytes a team has uploaded; what batches wrote for it counts too."""
    return select(func.coalesce(func.sum(FileRow.size), 0)).where(FileRow.team_id == owner.team)


def _owner(row: FileRow) -> Owner:
    return Owner(row.team_id, row.user_id)


def _row(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "team_id": file.owner.team,
        "user_id": file.owner.user,
        "name": file.name,
        "purpose": file.purpose,
        "size": file.size,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
    }


def _file(row: FileRow) -> File:
    return File(
        id=row.id,
        owner=_owner(row),
        name=row.name,
        purpose=row.purpose,
        size=row.size,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
