"""A provider key's life: tested on entry, never seen again, touched only by who may, bound to its owner."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from gateway.database.master_keys import FILE, VARIABLE
from gateway.database.provider_key_owners import Reach
from gateway.database.provider_key_rows import ProviderKeyRow
from gateway.database.provider_key_views import ProviderKey, ProviderKeyCreate, ProviderKeyPatch
from inference.ir.errors import (
    AspendosError,
    Conflict,
    Forbidden,
    InvalidField,
    NotFound,
    ProviderKeyRefused,
    ProviderKeyUnreadable,
    UpstreamUnreachable,
)
from inference.key_check import Checked
from tests.control_plane import Plane
from tests.tenants import OPERATOR, SECRET, Tenants, reach

ADMIN_A, ADMIN_B = reach("a"), reach("b")
MEMBER_1, MEMBER_2 = reach("a", "user_1", own=True), reach("a", "user_2", own=True)


@pytest.fixture
async def tenants(plane: Plane, tmp_path: Path) -> AsyncGenerator[Tenants]:
    made = Tenants(plane, tmp_path)
    await made.settle()
    yield made


async def row_of(tenants: Tenants, key: ProviderKey) -> ProviderKeyRow:
    async with tenants.plane.database.reading() as session:
        return (await session.execute(select(ProviderKeyRow).where(ProviderKeyRow.id == key.id))).scalar_one()


async def test_a_keys_life(tenants: Tenants) -> None:
    made = await tenants.store(team="t1", models=("gpt-*",), fallback=True, expires="30d")
    assert tenants.check.asked == [("openai", SECRET)]
    assert (made.scope, made.organisation, made.team, made.user) == ("team", "org_a", "team_1", None)
    assert (made.status, made.proven, made.hint) == ("active", True, "…cdef")
    assert await tenants.service.get(made.id, OPERATOR) == made
    assert (await tenants.service.list(OPERATOR)).data == (made,)
    changed = await tenants.service.update(
        made.id, ProviderKeyPatch(disabled=True, expires=None, fallback=False, models=()), OPERATOR
    )
    assert (changed.status, changed.expires_at, changed.fallback, changed.models) == (
        "disabled",
        None,
        False,
        (),
    )
    assert (
        await tenants.service.update(made.id, ProviderKeyPatch(disabled=False), OPERATOR)
    ).status == "active"
    replaced = await tenants.service.replace(made.id, "sk-another-canary-0123456789", OPERATOR)
    assert replaced.hint == "…6789"
    assert replaced.fingerprint != made.fingerprint
    assert replaced.replaced_at is not None
    row = await row_of(tenants, made)
    assert tenants.vault.open(row.sealed, row.binding) == "sk-another-canary-0123456789"
    await tenants.service.delete(made.id, OPERATOR)
    with pytest.raises(NotFound):
        await tenants.service.get(made.id, OPERATOR)


async def test_nothing_that_is_said_holds_the_secret(tenants: Tenants) -> None:
    made = await tenants.store(team="t1")
    row = await row_of(tenants, made)
    said = [
        msgspec.json.encode(made),
        repr(made).encode(),
        repr(row).encode(),
        row.ciphertext,
        row.wrapped_key,
    ]
    said.append(repr(ProviderKeyCreate(provider="openai", key=SECRET)).encode())
    for text in said:
        assert SECRET.encode() not in text
        assert SECRET[3:-4].encode() not in text


async def test_the_same_key_has_the_same_fingerprint_and_a_short_one_shows_no_end(tenants: Tenants) -> None:
    first, second = await tenants.store(team="t1"), await tenants.store(team="t2")
    assert first.fingerprint == second.fingerprint
    assert (await tenants.store(user="user_1", secret="short-12345")).hint == "…"


async def test_a_key_the_provider_refuses_is_not_stored(tenants: Tenants) -> None:
    tenants.check.says = ProviderKeyRefused("The provider says no: expired.")
    with pytest.raises(InvalidField, match="says no: expired") as refused:
        await tenants.store(team="t1")
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (
        400,
        "provider_key_refused",
        "key",
    )
    assert (await tenants.service.list(OPERATOR)).data == ()
    assert not (tenants.folder / FILE).exists()


async def test_a_key_nobody_could_test_is_stored_only_when_that_is_meant(tenants: Tenants) -> None:
    tenants.check.says = UpstreamUnreachable("It cannot be reached now.")
    with pytest.raises(UpstreamUnreachable, match="untested=true") as failed:
        await tenants.store(team="t1")
    assert failed.value.http_status == 502
    assert (await tenants.service.list(OPERATOR)).data == ()
    made = await tenants.service.create(
        ProviderKeyCreate(provider="openai", key=SECRET, team="t1"), OPERATOR, untested=True
    )
    assert (made.status, made.tested_at, made.proven) == ("untested", None, False)
    assert len(tenants.check.asked) == 1
    tenants.check.says = Checked(proven=False)
    tested = await tenants.service.test(made.id, OPERATOR)
    assert (tested.status, tested.proven) == ("active", False)
    assert tenants.check.asked[-1] == ("openai", SECRET)


async def test_a_failed_replacement_leaves_the_old_one(tenants: Tenants) -> None:
    made = await tenants.store(team="t1")
    tenants.check.says = ProviderKeyRefused("no")
    with pytest.raises(InvalidField):
        await tenants.service.replace(made.id, "sk-bad-0123456789", OPERATOR)
    row = await row_of(tenants, made)
    assert tenants.vault.open(row.sealed, row.binding) == SECRET


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"provider": "opnai"}, InvalidField, "the catalogue has keyless, off, openai"),
        ({"provider": "off"}, InvalidField, "ADDRESS is not set"),
        ({"secret": "short"}, InvalidField, "8 to 4096"),
        ({"secret": "x" * 4097}, InvalidField, "8 to 4096"),
        ({"secret": "sk-with space-012345"}, InvalidField, "without spaces"),
        ({"secret": "sk-line\r\nx-evil: 1"}, InvalidField, "printable"),
        ({"secret": "sk-ünïcode-0123456789"}, InvalidField, "ASCII"),
        ({"models": ("a b",)}, InvalidField, "models"),
        ({"expires": "yesterday"}, InvalidField, "expires"),
        ({"team": "nobody"}, NotFound, "no team"),
        ({"team": None, "user": "nobody"}, NotFound, "no user"),
        ({"team": None, "organisation": "nobody"}, NotFound, "no organisation"),
        ({"team": None}, InvalidField, "whose key"),
        ({"user": "user_1"}, InvalidField, "not several"),
    ],
)
async def test_what_cannot_be_stored(
    tenants: Tenants, fields: dict[str, Any], error: type[AspendosError], words: str
) -> None:
    with pytest.raises(error, match=words) as refused:
        await tenants.store(**{"team": "t1", **fields})
    if "secret" in fields:
        assert fields["secret"] not in refused.value.message
    assert tenants.check.asked == []


async def test_a_provider_the_operator_has_no_key_for_takes_a_tenants(tenants: Tenants) -> None:
    assert (await tenants.store(provider="keyless", team="t1")).provider == "keyless"


async def test_one_key_for_each_owner_and_provider(tenants: Tenants) -> None:
    await tenants.store(team="t1")
    with pytest.raises(Conflict, match="replace it"):
        await tenants.store(team="t1")
    assert len(tenants.check.asked) == 1  # refused before the provider was bothered
    for owner in ({"team": "t2"}, {"user": "user_1"}, {"organisation": "a"}):
        await tenants.store(**owner)
    await tenants.store(team="t1", provider="keyless")


async def test_two_at_once_for_the_same_owner(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both pass the first look; the database lets one in."""

    async def late(provider: object, secret: str) -> Checked:
        monkeypatch.setattr(tenants.check, "ask", type(tenants.check).ask.__get__(tenants.check))
        await tenants.store(team="t1", secret="sk-the-faster-0123456789")
        return Checked(proven=True)

    monkeypatch.setattr(tenants.check, "ask", late)
    with pytest.raises(Conflict):
        await tenants.store(team="t1")
    [kept] = (await tenants.service.list(OPERATOR)).data
    assert kept.hint == "…6789"


@pytest.mark.parametrize(
    "who", [ADMIN_B, MEMBER_1, MEMBER_2], ids=["other org", "owner's colleague", "member"]
)
async def test_what_is_out_of_reach_does_not_exist(tenants: Tenants, who: Reach) -> None:
    made = await tenants.store(team="t1")
    service = tenants.service
    assert (await service.list(who)).data == ()
    for act in (
        service.get(made.id, who),
        service.update(made.id, ProviderKeyPatch(disabled=True), who),
        service.replace(made.id, "sk-stolen-0123456789", who),
        service.test(made.id, who),
        service.delete(made.id, who),
    ):
        with pytest.raises(NotFound):
            await act
    assert (await service.get(made.id, ADMIN_A)).status == "active"


@pytest.mark.parametrize("owner", [{"team": "t1"}, {"user": "user_1"}, {"organisation": "org_a"}])
async def test_nobody_stores_a_key_for_another_organisation(tenants: Tenants, owner: dict[str, str]) -> None:
    wanted = ProviderKeyCreate(provider="openai", key=SECRET, **owner)  # pyright: ignore[reportArgumentType] - one of three fields, all of them text
    with pytest.raises(NotFound):
        await tenants.service.create(wanted, ADMIN_B)
    assert (await tenants.service.create(wanted, ADMIN_A)).organisation == "org_a"


async def test_a_member_has_keys_of_their_own_only(tenants: Tenants) -> None:
    mine = await tenants.service.create(ProviderKeyCreate(provider="openai", key=SECRET), MEMBER_1)
    assert (mine.scope, mine.user, mine.created_by) == ("user", "user_1", "user_1@test")
    assert (await tenants.service.list(MEMBER_1)).data == (mine,)
    assert (await tenants.service.list(MEMBER_2)).data == ()
    assert (await tenants.service.list(ADMIN_A)).data == (mine,)
    for owner in ({"team": "t1"}, {"user": "user_2"}, {"organisation": "a"}):
        with pytest.raises(Forbidden):
            await tenants.service.create(
                ProviderKeyCreate(provider="keyless", key=SECRET, **owner),  # pyright: ignore[reportArgumentType] - one of three fields, all of them text
                MEMBER_1,
            )


async def test_without_an_owner_named_an_admins_key_is_the_organisations(tenants: Tenants) -> None:
    made = await tenants.service.create(ProviderKeyCreate(provider="openai", key=SECRET), ADMIN_A)
    assert (made.scope, made.organisation) == ("organisation", "org_a")


async def test_paging(tenants: Tenants) -> None:
    made = [await tenants.store(**owner) for owner in ({"team": "t1"}, {"team": "t2"}, {"user": "user_1"})]
    first = await tenants.service.list(OPERATOR, limit=2)
    assert first.has_more
    rest = await tenants.service.list(OPERATOR, limit=2, after=first.last_id)
    assert sorted(key.id for key in (*first.data, *rest.data)) == sorted(key.id for key in made)
    assert [key.id for key in (await tenants.service.list(OPERATOR, owner="team_2")).data] == [made[1].id]
    assert (await tenants.service.list(OPERATOR, provider="keyless")).data == ()
    with pytest.raises(InvalidField):
        await tenants.service.list(OPERATOR, after="pk_nothing")


async def test_a_row_moved_by_hand_to_another_tenant_does_not_open(tenants: Tenants) -> None:
    made = await tenants.store(team="t1")
    async with tenants.plane.database.writing() as session:
        await session.execute(
            update(ProviderKeyRow)
            .where(ProviderKeyRow.id == made.id)
            .values(team_id="team_3", owner_id="team_3", org_id="org_b")
        )
    with pytest.raises(ProviderKeyUnreadable):
        await tenants.service.test(made.id, OPERATOR)
    assert len(tenants.check.asked) == 1


async def test_another_machines_master_key_is_noticed_before_it_wraps(
    tenants: Tenants, tmp_path: Path
) -> None:
    await tenants.store(team="t1")
    elsewhere = Tenants(tenants.plane, tmp_path / "elsewhere", {VARIABLE: "ab" * 32})
    with pytest.raises(ProviderKeyUnreadable, match="every gateway the same"):
        await elsewhere.store(team="t2")
    [listed] = (await elsewhere.service.list(OPERATOR)).data
    assert listed.status == "unreadable"


async def test_keys_go_with_their_owner(tenants: Tenants) -> None:
    await tenants.store(team="t1")
    await tenants.delete_team("team_1")
    assert (await tenants.service.list(OPERATOR)).data == ()
