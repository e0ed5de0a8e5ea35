"""Files on a disk and rows in a database: whole or not at all, for their owner alone, and never too many."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.database.engine import Database
from gateway.files.cabinet import Cabinet, File
from gateway.responses.shelf import Owner
from inference.ir.errors import BodyTooLarge, Forbidden, NotFound, Unavailable

ANN = Owner("team_1", "ann")
BOB = Owner("team_1", "bob")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(database: Database, tmp_path: Path, clock: Clock) -> Callable[..., Cabinet]:
    names = count(1)

    def made(*, largest: int = 1000, total: int = 3000) -> Cabinet:
        return Cabinet(
            database,
            tmp_path / "files",
            largest=largest,
            total=total,
            now=clock,
            new_name=lambda: f"{next(names):04}",
        )

    return made


async def put(
    cabinet: Cabinet,
    owner: Owner = ANN,
    data: bytes = b"hello",
    *,
    purpose: str = "batch",
    lifetime: timedelta | None = None,
) -> File:
    draft = await cabinet.draft(owner)
    try:
        await draft.write(data)
        return await cabinet.keep(draft, owner, name="a.jsonl", purpose=purpose, lifetime=lifetime)
    finally:
        draft.drop()


async def read(cabinet: Cabinet, file: File) -> bytes:
    return b"".join([piece async for piece in await cabinet.content(file)])


async def test_what_is_kept_is_found_read_and_deleted_by_its_owner_alone(
    make: Callable[..., Cabinet],
) -> None:
    cabinet = make(largest=10**6, total=10**7)
    data = os.urandom(700_000)
    file = await put(cabinet, data=data)
    assert await cabinet.find(ANN, file.id) == file
    assert file.size == len(data)
    assert await read(cabinet, file) == data
    assert cabinet.path(file.id).stat().st_mode & 0o777 == 0o600
    for attempt in (cabinet.find(BOB, file.id), cabinet.delete(BOB, file.id), cabinet.find(ANN, "file-no")):
        with pytest.raises(NotFound):
            await attempt
    await cabinet.delete(ANN, file.id)
    assert not cabinet.path(file.id).exists()
    for attempt in (cabinet.find(ANN, file.id), cabinet.delete(ANN, file.id), cabinet.content(file)):
        with pytest.raises(NotFound):
            await attempt
    assert "a.jsonl" not in repr(file)


async def test_nothing_is_left_of_a_draft_that_is_dropped(
    make: Callable[..., Cabinet], tmp_path: Path
) -> None:
    cabinet = make()
    draft = await cabinet.draft(ANN)
    await draft.write(b"half")
    assert list((tmp_path / "files" / "drafts").iterdir())
    draft.drop()
    assert not list((tmp_path / "files" / "drafts").iterdir())
    assert (await cabinet.page(ANN, after=None, limit=9, ascending=True, purpose=None))[0] == []


async def test_half_a_file_of_a_dead_process_is_swept_and_one_of_a_living_one_is_not(
    make: Callable[..., Cabinet], tmp_path: Path
) -> None:
    cabinet = make()
    draft = await cabinet.draft(ANN)
    orphan = tmp_path / "files" / "drafts" / "orphan"
    orphan.write_bytes(b"half")
    await cabinet.sweep()
    assert not orphan.exists()
    await draft.write(b"whole")
    kept = await cabinet.keep(draft, ANN, name="n", purpose="batch", lifetime=None)
    draft.drop()
    assert await read(cabinet, kept) == b"whole"


async def test_a_file_and_a_team_have_limits(make: Callable[..., Cabinet]) -> None:
    cabinet = make(largest=100, total=150)
    draft = await cabinet.draft(ANN)
    with pytest.raises(BodyTooLarge):
        await draft.write(b"x" * 101)
    draft.drop()
    await put(cabinet, data=b"x" * 100)
    with pytest.raises(BodyTooLarge):  # a colleague's file is the team's too
        await put(cabinet, BOB, b"x" * 51)
    one, two = await cabinet.draft(ANN), await cabinet.draft(BOB)
    await one.write(b"x" * 40)
    await two.write(b"x" * 40)
    await cabinet.keep(one, ANN, name="n", purpose="batch", lifetime=None)
    with pytest.raises(Forbidden):  # both had room when they began
        await cabinet.keep(two, BOB, name="n", purpose="batch", lifetime=None)
    two.drop()
    one.drop()
    await put(cabinet, data=b"x" * 10)
    with pytest.raises(Forbidden):
        await cabinet.draft(ANN)
    await put(cabinet, Owner("team_2", ""), b"x" * 100)
    stored = [path for path in cabinet.path("x").parent.iterdir() if path.is_file()]
    assert len(stored) == 4


async def test_pages_go_through_all_files_in_order(make: Callable[..., Cabinet], clock: Clock) -> None:
    cabinet = make()
    files: list[File] = []
    for number in range(7):
        clock.now += timedelta(seconds=number % 2)  # some were made in the same moment
        files.append(await put(cabinet, purpose="batch" if number != 3 else "vision"))
    await put(cabinet, BOB)
    for ascending in (True, False):
        seen: list[str] = []
        after: str | None = None
        while True:
            page, more = await cabinet.page(ANN, after=after, limit=3, ascending=ascending, purpose=None)
            seen += [file.id for file in page]
            if not more:
                break
            after = page[-1].id
        assert seen == [file.id for file in (files if ascending else files[::-1])]
    found, more = await cabinet.page(ANN, after=None, limit=9, ascending=True, purpose="vision")
    assert (found, more) == ([files[3]], False)
    with pytest.raises(NotFound):
        await cabinet.page(BOB, after=files[0].id, limit=3, ascending=True, purpose=None)


async def test_what_is_too_old_is_not_found_and_then_swept(
    make: Callable[..., Cabinet], clock: Clock
) -> None:
    cabinet = make()
    file = await put(cabinet, lifetime=timedelta(hours=1))
    lasting = await put(cabinet)
    clock.now += timedelta(hours=1)
    with pytest.raises(NotFound):
        await cabinet.find(ANN, file.id)
    assert (await cabinet.page(ANN, after=None, limit=9, ascending=True, purpose=None))[0] == [lasting]
    assert cabinet.path(file.id).exists()
    assert await cabinet.sweep() == 1
    assert not cabinet.path(file.id).exists()


async def test_what_the_gateway_made_is_adopted_once(
    make: Callable[..., Cabinet], tmp_path: Path, clock: Clock
) -> None:
    cabinet = make(total=1)  # and never refused for want of room
    made = tmp_path / "made"
    made.write_bytes(b"result")
    file = File(
        id="file-r",
        owner=ANN,
        name="o",
        purpose="batch_output",
        size=6,
        created_at=clock.now,
        expires_at=None,
    )
    await cabinet.adopt(made, file)
    await cabinet.adopt(made, file)
    assert await read(cabinet, await cabinet.find(ANN, "file-r")) == b"result"
    moved = tmp_path / "files" / "file-s"
    moved.write_bytes(b"moved before a crash")
    await cabinet.adopt(tmp_path / "gone", replace(file, id="file-s", size=20))
    assert await read(cabinet, await cabinet.find(ANN, "file-s")) == b"moved before a crash"


async def test_a_disk_that_refuses_is_a_failure_of_ours(make: Callable[..., Cabinet], tmp_path: Path) -> None:
    (tmp_path / "files").write_bytes(b"a file where the folder should be")
    with pytest.raises(Unavailable, match="cannot write"):
        await make().draft(ANN)
