"""The master key's rotation: interrupted anywhere, every secret opens, and going on finishes it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import rewrap
from gateway.database.master_keys import MasterKeys
from gateway.database.provider_key_rows import ProviderKeyRow
from gateway.database.rewrap import rewrap_all, under_others
from gateway.database.vault import Binding, Sealed, Vault
from tests.control_plane import Plane
from tests.tenants import OPERATOR, Tenants

OWNERS = ({"team": "t1"}, {"team": "t2"}, {"user": "user_1"}, {"user": "user_2"}, {"organisation": "a"})


class StoppedError(Exception):
    """The process died here."""


@pytest.fixture
async def tenants(plane: Plane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Tenants]:
    monkeypatch.setattr(rewrap, "_BATCH", 2)
    made = Tenants(plane, tmp_path)
    await made.settle()
    for number, owner in enumerate(OWNERS):
        await made.store(**owner, secret=f"sk-number-{number}-0123456789")
    yield made


async def secrets(tenants: Tenants, vault: Vault) -> list[str]:
    """What a process that starts now can open."""
    async with tenants.plane.database.reading() as session:
        rows = (await session.execute(select(ProviderKeyRow))).scalars().all()
    return sorted(vault.open(row.sealed, row.binding) for row in rows)


ALL = [f"sk-number-{number}-0123456789" for number in range(len(OWNERS))]


async def test_everything_moves_under_the_new_one(tenants: Tenants) -> None:
    plane, old = tenants.plane, tenants.vault.masters.ensure()
    new = tenants.vault.masters.add()
    assert await under_others(plane.database, new.id) == 5
    done = await rewrap_all(plane.database, plane.changes, tenants.vault)
    assert (done.master, done.moved, done.left) == (new.id, 5, ())
    assert await under_others(plane.database, new.id) == 0
    assert tenants.vault.masters.forget_all_but(new.id) == 1
    fresh = Vault(MasterKeys(tenants.folder, {}))
    assert not fresh.masters.knows(old.id)
    assert await secrets(tenants, fresh) == ALL
    again = await rewrap_all(plane.database, plane.changes, fresh)
    assert again.moved == 0


@pytest.mark.parametrize("step", range(6))
async def test_interrupted_at_every_step(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    plane = tenants.plane
    new = tenants.vault.masters.add()
    running = tenants.new_view()
    await running.sync()
    left = [step]

    class Dying(Vault):
        def rewrap(self, sealed: Sealed, binding: Binding) -> Sealed:
            if left[0] == 0:
                raise StoppedError
            left[0] -= 1
            return super().rewrap(sealed, binding)

    if step < len(OWNERS):
        with pytest.raises(StoppedError):
            await rewrap_all(plane.database, plane.changes, Dying(MasterKeys(tenants.folder, {})))
    assert await secrets(tenants, Vault(MasterKeys(tenants.folder, {}))) == ALL
    await running.sync()
    key = running.for_call("org_a", "team_1", None, "openai", "m")
    assert key is not None
    assert key.secret == ALL[0]
    done = await rewrap_all(plane.database, plane.changes, Vault(MasterKeys(tenants.folder, {})))
    assert done.left == ()
    assert await under_others(plane.database, new.id) == 0
    assert await secrets(tenants, Vault(MasterKeys(tenants.folder, {}))) == ALL


async def test_a_running_gateway_follows_even_when_the_old_key_is_forgotten(tenants: Tenants) -> None:
    plane = tenants.plane
    elsewhere = Tenants(plane, tenants.folder)  # its own memory of the file
    await elsewhere.keys.sync()
    rotating = Vault(MasterKeys(tenants.folder, {}))
    new = rotating.masters.add()
    await rewrap_all(plane.database, plane.changes, rotating)
    rotating.masters.forget_all_but(new.id)
    key = elsewhere.keys.for_call("org_a", "team_1", None, "openai", "m")
    assert key is not None
    assert key.secret == ALL[0]  # what it read before the rotation
    await elsewhere.keys.sync()
    key = elsewhere.keys.for_call("org_a", "team_2", None, "openai", "m")
    assert key is not None
    assert (key.master, key.secret) == (new.id, ALL[1])
    assert elsewhere.keys.state == "ok"


async def test_a_key_replaced_meanwhile_keeps_its_new_secret(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the reading of a batch and its transaction, somebody stores another secret."""
    plane = tenants.plane
    new = tenants.vault.masters.add()
    async with plane.database.reading() as session:
        first = (await session.execute(select(func.min(ProviderKeyRow.id)))).scalar_one()
    writing = plane.changes.writing
    entered = 0

    @asynccontextmanager
    async def racing() -> AsyncGenerator[AsyncSession]:
        nonlocal entered
        entered += 1
        if entered == 2:  # the first only notes which master key is in force
            await tenants.service.replace(first, "sk-replaced-0123456789", OPERATOR)
        async with writing() as session:
            yield session

    with monkeypatch.context() as patched:
        patched.setattr(plane.changes, "writing", racing)
        done = await rewrap_all(plane.database, plane.changes, Vault(MasterKeys(tenants.folder, {})))
    assert (done.moved, done.left) == (4, ())
    assert await under_others(plane.database, new.id) == 0
    assert "sk-replaced-0123456789" in await secrets(tenants, Vault(MasterKeys(tenants.folder, {})))


async def test_what_cannot_be_opened_is_named_and_stops_nothing(tenants: Tenants) -> None:
    plane = tenants.plane
    page = await tenants.service.list(OPERATOR)
    broken = page.data[1].id
    async with plane.database.writing() as session:
        await session.execute(
            update(ProviderKeyRow).where(ProviderKeyRow.id == broken).values(wrapped_key=b"\x01" + bytes(60))
        )
    new = tenants.vault.masters.add()
    done = await rewrap_all(plane.database, plane.changes, tenants.vault)
    assert (done.moved, done.left) == (4, (broken,))
    assert await under_others(plane.database, new.id) == 1
