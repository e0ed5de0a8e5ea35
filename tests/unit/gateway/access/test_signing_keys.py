"""Signing keys: made once, kept secret, rotated with an overlap, given by the environment."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.access.signing_keys import FILE, VARIABLE, SigningKeys, thumbprint
from inference.ir.errors import InvalidField
from tests.control_plane import Clock


def test_the_first_key_is_made_when_needed_and_kept(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path, {})
    assert keys.all() == ()
    assert not (tmp_path / FILE).exists()
    made = keys.newest()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert SigningKeys(tmp_path, {}).newest().public == made.public
    assert made.seed.hex() not in repr(made)


def test_many_processes_starting_at_once_make_one_key(tmp_path: Path) -> None:
    def start(_: int) -> str:
        return SigningKeys(tmp_path, {}).newest().public.kid

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(start, range(16)))
    assert len(made) == 1


def test_a_rotation_is_seen_by_running_processes_and_the_old_key_still_verifies(tmp_path: Path) -> None:
    clock = Clock(0.0)
    running = SigningKeys(tmp_path, {}, monotonic=clock)
    old = running.newest()
    new = SigningKeys(tmp_path, {}).rotate()
    clock.now += 1.5
    assert running.newest().public == new.public != old.public
    assert running.find(old.public.kid) is not None
    SigningKeys(tmp_path, {}).rotate()
    clock.now += 1.5
    assert running.find(old.public.kid) is None, "two rotations later it is gone"
    assert running.find(new.public.kid) is not None


def test_a_key_another_process_just_made_is_found_at_once(tmp_path: Path) -> None:
    running = SigningKeys(tmp_path, {}, monotonic=Clock(0.0))
    assert running.all() == ()
    first = SigningKeys(tmp_path, {}).newest().public
    assert running.find(first.kid) is not None
    second = SigningKeys(tmp_path, {}).rotate().public
    assert running.find(second.kid) is not None
    assert running.find("invented") is None


def test_keys_from_the_environment_come_first_and_are_the_operators_to_rotate(tmp_path: Path) -> None:
    filed = SigningKeys(tmp_path, {}).newest()
    keys = SigningKeys(tmp_path, {VARIABLE: f"{'ab' * 32}, {'cd' * 32}"})
    assert keys.newest().seed == bytes.fromhex("ab" * 32)
    assert [key.seed.hex() for key in keys.all()] == ["ab" * 32, "cd" * 32, filed.seed.hex()]
    assert keys.from_variable
    with pytest.raises(InvalidField, match=VARIABLE):
        keys.rotate()


@pytest.mark.parametrize("text", ["short", "zz" * 32, "ab" * 31])
def test_an_unfit_key_is_refused_without_repeating_it(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidField) as caught:
        SigningKeys(tmp_path, {VARIABLE: text})
    assert text not in caught.value.message


def test_a_key_is_named_by_its_thumbprint() -> None:
    """The example of RFC 8037, appendix A.3."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(members) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
