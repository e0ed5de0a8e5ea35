"""The first key."""

import stat
from pathlib import Path

from gateway.database.dev_key import ensure_dev_key
from gateway.database.keys import KeyPatch
from policies.caller import OPERATOR
from tests.control_plane import Plane


async def test_the_first_key_is_made_once_and_printed_again(plane: Plane, tmp_path: Path) -> None:
    data = tmp_path / "data"
    key = await ensure_dev_key(data, plane.keyring, plane.teams, plane.keys)
    assert (await plane.keyring.authenticate(key)).team_name == "default"
    assert stat.S_IMODE((data / "dev-key").stat().st_mode) == 0o600
    assert await ensure_dev_key(data, plane.keyring, plane.teams, plane.keys) == key
    assert len((await plane.keys.list(OPERATOR)).data) == 1


async def test_a_key_that_no_longer_opens_is_replaced(plane: Plane, tmp_path: Path) -> None:
    key = await ensure_dev_key(tmp_path, plane.keyring, plane.teams, plane.keys)
    principal = await plane.keyring.authenticate(key)
    await plane.keys.update(OPERATOR, principal.key_id, KeyPatch(disabled=True))
    await plane.keyring.sync()
    new = await ensure_dev_key(tmp_path, plane.keyring, plane.teams, plane.keys)
    assert new != key
    assert (await plane.keyring.authenticate(new)).team_name == "default"
    (tmp_path / "dev-key").write_text("nonsense\n")
    assert await ensure_dev_key(tmp_path, plane.keyring, plane.teams, plane.keys) not in {key, new}
