"""Master keys: where they come from, which one wraps, and that none is lost or made by mistake."""

import base64
import stat
from pathlib import Path

import pytest

from gateway.database.master_keys import FILE, VARIABLE, MasterKeys
from inference.ir.errors import InvalidField, ProviderKeyUnreadable

ONE, TWO = bytes(range(32)), bytes(range(1, 33))


def test_without_a_key_there_is_none_until_one_is_needed(tmp_path: Path) -> None:
    keys = MasterKeys(tmp_path, {})
    assert keys.newest is None
    assert not (tmp_path / FILE).exists()
    made = keys.ensure()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert keys.newest == keys.ensure() == made
    assert MasterKeys(tmp_path, {}).newest == made


def test_two_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    first, second = MasterKeys(tmp_path, {}), MasterKeys(tmp_path, {})
    assert first.ensure() == second.ensure()


@pytest.mark.parametrize(
    "text",
    [ONE.hex(), ONE.hex().upper(), base64.b64encode(ONE).decode(), base64.urlsafe_b64encode(ONE).decode()],
)
def test_the_variable_in_hex_or_base64(tmp_path: Path, text: str) -> None:
    keys = MasterKeys(tmp_path, {VARIABLE: f" {text} "})
    assert keys.ensure().key == ONE
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "text", ["password", ONE.hex()[:-2], "x" * 64, base64.b64encode(ONE + b"x").decode()]
)
def test_a_key_of_another_length_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidField) as refused:
        MasterKeys(tmp_path, {VARIABLE: text})
    assert text not in refused.value.message


def test_of_several_the_first_wraps_and_all_open(tmp_path: Path) -> None:
    old = MasterKeys(tmp_path, {VARIABLE: ONE.hex()}).ensure()
    keys = MasterKeys(tmp_path, {VARIABLE: f"{TWO.hex()},{ONE.hex()}"})
    assert keys.ensure().key == TWO
    assert keys.find(old.id).key == ONE


def test_the_file_still_opens_when_the_variable_wraps(tmp_path: Path) -> None:
    filed = MasterKeys(tmp_path, {}).ensure()
    keys = MasterKeys(tmp_path, {VARIABLE: TWO.hex()})
    assert keys.ensure().key == TWO
    assert keys.find(filed.id) == filed


def test_a_key_added_by_another_process_is_found(tmp_path: Path) -> None:
    running = MasterKeys(tmp_path, {})
    old = running.ensure()
    new = MasterKeys(tmp_path, {}).add()
    assert new != old
    assert running.find(new.id) == new
    assert running.newest == new


def test_what_was_forgotten_stays_known_to_whoever_knew_it(tmp_path: Path) -> None:
    running = MasterKeys(tmp_path, {})
    old, new = running.ensure(), MasterKeys(tmp_path, {}).add()
    assert MasterKeys(tmp_path, {}).forget_all_but(new.id) == 1
    assert running.find(old.id) == old
    fresh = MasterKeys(tmp_path, {})
    assert not fresh.knows(old.id)
    with pytest.raises(ProviderKeyUnreadable, match=old.id):
        fresh.find(old.id)


def test_a_file_that_vanished_is_not_replaced_behind_everybodys_back(tmp_path: Path) -> None:
    keys = MasterKeys(tmp_path, {})
    made = keys.ensure()
    (tmp_path / FILE).unlink()
    assert keys.find(made.id) == made
    with pytest.raises(ProviderKeyUnreadable, match=made.id):
        keys.ensure()
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("content", [b"no key at all\n", b"\xff\xfe", ONE.hex().encode() + b"\nand more\n"])
def test_a_damaged_file_stops_nobody_and_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    keys = MasterKeys(tmp_path, {})
    assert keys.trouble is not None
    with pytest.raises(ProviderKeyUnreadable, match="no key"):
        keys.ensure()
    assert (tmp_path / FILE).read_bytes() == content
    (tmp_path / FILE).write_text(TWO.hex())
    assert keys.ensure().key == TWO
    assert keys.trouble is None


def test_the_variable_is_the_operators_to_rotate(tmp_path: Path) -> None:
    with pytest.raises(InvalidField, match="before the old"):
        MasterKeys(tmp_path, {VARIABLE: ONE.hex()}).add()


def test_a_key_does_not_show_itself(tmp_path: Path) -> None:
    key = MasterKeys(tmp_path, {VARIABLE: ONE.hex()}).ensure()
    assert ONE.hex() not in repr(key)
    assert repr(ONE) not in repr(key)
