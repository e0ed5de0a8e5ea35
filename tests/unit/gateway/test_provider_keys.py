"""Provider keys in memory: the nearest one that fits, changes followed, notes written, faults kept to one tenant."""

import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import update

from gateway.database.provider_key_rows import ProviderKeyRow
from gateway.database.provider_key_views import ProviderKeyPatch
from gateway.provider_keys import ProviderKeys, TenantKey
from inference.ir.errors import (
    ProviderKeyLimited,
    ProviderKeyRefused,
    ProviderKeyUnpaid,
    ProviderKeyUnreadable,
    Unavailable,
)
from tests.control_plane import Plane
from tests.tenants import OPERATOR, SECRET, Tenants


@pytest.fixture
async def tenants(plane: Plane, tmp_path: Path) -> AsyncGenerator[Tenants]:
    made = Tenants(plane, tmp_path)
    await made.settle()
    yield made


def held(
    keys: ProviderKeys, provider: str = "openai", model: str = "m", user: str | None = "user_1"
) -> TenantKey:
    found = keys.for_call("org_a", "team_1", user, provider, model)
    assert found is not None
    return found


async def test_the_nearest_scope_wins(tenants: Tenants) -> None:
    keys = tenants.keys
    await keys.sync()
    assert keys.for_call("org_a", "team_1", "user_1", "openai", "m") is None
    assert keys.for_caller("org_a", "team_1", "user_1", "m") is None
    for owner, scope in (
        ({"organisation": "a"}, "organisation"),
        ({"team": "t1"}, "team"),
        ({"user": "user_1"}, "user"),
    ):
        await tenants.store(**owner, secret=f"sk-of-the-{scope}-012345")
        await keys.sync()
        found = held(keys)
        assert found.scope == scope
        assert found.secret == f"sk-of-the-{scope}-012345"
    assert held(keys, user=None).scope == "team"
    other_team = keys.for_call("org_a", "team_2", "user_2", "openai", "m")
    assert other_team is not None
    assert other_team.scope == "organisation"


async def test_nobody_else_is_given_it(tenants: Tenants) -> None:
    await tenants.store(team="t1")
    await tenants.keys.sync()
    for org, team, user in (("org_b", "team_3", "user_3"), ("org_a", "team_2", "user_1"), (None, None, None)):
        assert tenants.keys.for_call(org, team, user, "openai", "m") is None
        assert tenants.keys.for_caller(org, team, user, "m") is None
    assert tenants.keys.for_call("org_a", "team_1", "user_1", "keyless", "m") is None
    key_for = tenants.keys.for_caller("org_a", "team_1", None, "m")
    assert key_for is not None
    assert key_for("keyless") is None
    assert key_for("openai") is held(tenants.keys)


async def test_a_key_serves_the_models_it_is_meant_for(tenants: Tenants) -> None:
    await tenants.store(user="user_1", models=("gpt-*",))
    await tenants.store(team="t1")
    await tenants.keys.sync()
    assert held(tenants.keys, model="gpt-9").scope == "user"
    assert held(tenants.keys, model="llama").scope == "team"


async def test_changes_are_followed(tenants: Tenants) -> None:
    made = await tenants.store(team="t1")
    await tenants.keys.sync()
    first = held(tenants.keys)
    assert first.secret == SECRET
    assert not first.fallback
    await tenants.service.update(made.id, ProviderKeyPatch(fallback=True), OPERATOR)
    await tenants.keys.sync()
    assert held(tenants.keys).fallback
    assert held(tenants.keys).secret == SECRET
    await tenants.service.replace(made.id, "sk-second-0123456789", OPERATOR)
    await tenants.keys.sync()
    assert held(tenants.keys).secret == "sk-second-0123456789"
    await tenants.service.update(made.id, ProviderKeyPatch(disabled=True), OPERATOR)
    await tenants.keys.sync()
    assert len(tenants.keys) == 0
    await tenants.service.update(made.id, ProviderKeyPatch(disabled=False), OPERATOR)
    await tenants.keys.sync()
    assert len(tenants.keys) == 1
    await tenants.service.delete(made.id, OPERATOR)
    await tenants.keys.sync()
    assert tenants.keys.for_call("org_a", "team_1", None, "openai", "m") is None


async def test_a_view_that_came_late_reads_everything(tenants: Tenants) -> None:
    await tenants.store(team="t1")
    await tenants.store(team="t2", secret="sk-second-0123456789")
    late = tenants.new_view()
    await late.sync()
    assert len(late) == 2
    assert held(late).secret == SECRET


async def test_a_running_view_hears_of_a_key(tenants: Tenants) -> None:
    await tenants.keys.start()
    try:
        await tenants.store(team="t1")
        deadline = time.monotonic() + 10
        while len(tenants.keys) == 0:
            assert time.monotonic() < deadline
            await tenants.keys.sync()
    finally:
        await tenants.keys.stop()


async def test_a_team_that_was_deleted_leaves_no_key_behind(tenants: Tenants) -> None:
    await tenants.store(team="t1")
    await tenants.keys.sync()
    await tenants.delete_team("team_1")
    await tenants.keys.sync()
    assert len(tenants.keys) == 0


async def test_an_expired_key_says_so_and_nobody_else_pays(tenants: Tenants) -> None:
    await tenants.store(team="t1", expires="1h")
    await tenants.keys.sync()
    key = held(tenants.keys)
    assert key.secret == SECRET
    tenants.plane.clock.now += 3600
    with pytest.raises(ProviderKeyRefused, match="has expired") as refused:
        _ = key.secret
    assert refused.value.http_status == 403


async def test_what_happened_to_a_key_is_written_down(tenants: Tenants) -> None:
    made = await tenants.store(team="t1")
    await tenants.keys.sync()
    clock, key = tenants.plane.clock, held(tenants.keys)
    began = clock.now
    for refusal in (ProviderKeyRefused("x"), ProviderKeyUnpaid("x"), ProviderKeyLimited("x")):
        key.refused(refusal)
        await tenants.keys.flush()
        clock.now += 60
    failing = await tenants.service.get(made.id, OPERATOR)
    assert failing.status == "failing"
    assert failing.failing_since is not None
    assert failing.failing_since.timestamp() == began
    assert failing.last_error == "the provider is limiting the account"
    assert failing.last_used_at is None
    key.worked()
    await tenants.keys.flush()
    mended = await tenants.service.get(made.id, OPERATOR)
    assert (mended.status, mended.failing_since) == ("active", None)
    assert mended.last_used_at is not None
    assert mended.last_used_at.timestamp() == clock.now
    assert mended.last_error is not None  # what it was stays to be seen


async def test_notes_outlive_a_database_that_is_away(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await tenants.store(team="t1")
    await tenants.keys.sync()
    held(tenants.keys).worked()
    database = tenants.plane.database

    def away() -> object:
        raise Unavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(database, "writing", away)
        await tenants.keys.flush()
    await tenants.keys.flush()
    assert (await tenants.service.get(made.id, OPERATOR)).last_used_at is not None


async def test_a_key_that_cannot_be_read_fails_its_own_tenant_alone(tenants: Tenants) -> None:
    broken = await tenants.store(team="t1")
    await tenants.store(team="t2", secret="sk-second-0123456789")
    async with tenants.plane.database.writing() as session:
        await session.execute(
            update(ProviderKeyRow)
            .where(ProviderKeyRow.id == broken.id)
            .values(ciphertext=b"\x01" + bytes(60))
        )
    await tenants.keys.sync()
    with pytest.raises(ProviderKeyUnreadable, match="store the key anew"):
        _ = held(tenants.keys).secret
    other = tenants.keys.for_call("org_a", "team_2", None, "openai", "m")
    assert other is not None
    assert other.secret == "sk-second-0123456789"


async def test_a_missing_master_key_is_told_and_its_return_is_noticed(
    tenants: Tenants, tmp_path: Path
) -> None:
    await tenants.store(team="t1")
    kept = (tmp_path / "master_key").read_text()
    elsewhere = Tenants(tenants.plane, tmp_path / "elsewhere")
    await elsewhere.keys.sync()
    master = tenants.vault.masters.ensure().id
    assert elsewhere.keys.state == f"degraded: 1 of 1 need a master key that is not here ({master})"
    with pytest.raises(ProviderKeyUnreadable, match=master):
        _ = held(elsewhere.keys).secret
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "master_key").write_text(kept)
    assert elsewhere.keys.state == "ok"
    tenants.plane.clock.now += 5
    assert held(elsewhere.keys).secret == SECRET


async def test_a_key_does_not_show_itself(tenants: Tenants) -> None:
    await tenants.store(team="t1")
    await tenants.keys.sync()
    key = held(tenants.keys)
    assert key.secret == SECRET
    assert SECRET not in repr(key)
    assert SECRET not in repr(tenants.keys)
    assert not hasattr(key, "__dict__")
