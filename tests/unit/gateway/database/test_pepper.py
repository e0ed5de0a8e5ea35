"""The pepper: made once, kept private, missed when it changes."""

import concurrent.futures
import stat
from pathlib import Path

import pytest

from gateway.database.keys import KeyCreate, KeyService
from gateway.database.pepper import PepperMismatch, confirm_pepper, load_pepper
from inference.ir.errors import InvalidField
from policies.api_keys import Pepper
from policies.caller import OPERATOR
from tests.control_plane import Plane


def test_the_variable_comes_first(tmp_path: Path) -> None:
    pepper = load_pepper(tmp_path, {"ASPENDOS_KEY_PEPPER": "0123456789abcdef"})
    assert pepper.check_value() == Pepper(b"0123456789abcdef").check_value()
    assert list(tmp_path.iterdir()) == []


def test_without_it_a_private_file_is_made_once(tmp_path: Path) -> None:
    made = load_pepper(tmp_path / "data", {})
    file = tmp_path / "data" / "pepper"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().strip()) == 64
    assert load_pepper(tmp_path / "data", {}).check_value() == made.check_value()
    assert [path.name for path in file.parent.iterdir()] == ["pepper"]


def test_starts_at_once_agree_on_one_pepper(tmp_path: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        made = [threads.submit(load_pepper, tmp_path, {}) for _ in range(16)]
    assert len({pepper.result().check_value() for pepper in made}) == 1


def test_a_short_pepper_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidField, match="at least 16"):
        load_pepper(tmp_path, {"ASPENDOS_KEY_PEPPER": "short"})


async def test_another_pepper_is_noticed_once_there_are_keys(plane: Plane) -> None:
    other = Pepper(b"another pepper, by mistake")
    await confirm_pepper(plane.database, other)
    await confirm_pepper(plane.database, plane.pepper)  # no key yet: taken over
    await plane.issue()
    await confirm_pepper(plane.database, plane.pepper)
    with pytest.raises(
        PepperMismatch,
        match=r"ASPENDOS_KEY_PEPPER, does not belong .* set ASPENDOS_KEY_PEPPER",
    ):
        await confirm_pepper(plane.database, other)


async def test_a_pepper_of_one_machine_alone_is_not_taken_over_where_there_may_be_others(
    plane: Plane, tmp_path: Path
) -> None:
    await confirm_pepper(plane.database, load_pepper(tmp_path / "one", {}))
    other = load_pepper(tmp_path / "two", {})
    if not plane.database.is_postgres:
        await confirm_pepper(plane.database, other)  # the database is this machine's too
        return
    with pytest.raises(PepperMismatch, match=rf"file {tmp_path}/two/pepper, .* copy the file `pepper`"):
        await confirm_pepper(plane.database, other)
    await confirm_pepper(plane.database, plane.pepper)  # given, and there is no key yet
    await plane.issue()


async def test_no_key_is_made_that_the_others_cannot_verify(plane: Plane) -> None:
    issued = await plane.issue()
    await plane.keys.rotate(OPERATOR, issued.details.id)
    strange = KeyService(plane.database, plane.changes, Pepper(b"another pepper, by mistake"))
    with pytest.raises(PepperMismatch):
        await strange.create(OPERATOR, KeyCreate(team="acme", name="k"))
    with pytest.raises(PepperMismatch):
        await strange.rotate(OPERATOR, issued.details.id, force=True)
    assert [key.id for key in (await plane.keys.list(OPERATOR)).data] == [issued.details.id]
