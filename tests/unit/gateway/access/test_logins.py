"""Logins: passwords proven, tokens given, everything audited, guessing slowed down, nothing told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gateway.access.logins import LoginRefused, Tokens
from gateway.database.organisations import OrganisationCreate, OrganisationPatch, OrganisationService
from gateway.database.sessions import Lengths, RefreshRefused
from gateway.database.users import UserCreate, UserPatch
from inference.ir.errors import (
    AspendosError,
    Forbidden,
    InvalidField,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from policies import tokens
from policies.caller import OPERATOR, Caller
from policies.roles import Role
from tests.control_plane import Plane
from tests.login_world import HERE, PASSWORD, LoginWorld, refused

OTHER = "another good password"


@pytest.fixture
def world(plane: Plane, tmp_path: Path) -> LoginWorld:
    return LoginWorld(plane, tmp_path)


async def code(work: Callable[[], Any]) -> str:
    return await refused(work, AspendosError)


async def caller(world: LoginWorld, login: Tokens) -> Caller:
    return (await world.reader.holder(login.access_token)).caller


async def test_a_login_gives_tokens_that_stand_for_the_user(world: LoginWorld) -> None:
    user = await world.user(role=Role.ADMIN)
    login = await world.login("  ADA@example.com ")
    claims = tokens.read(login.access_token).claims
    assert (claims["sub"], claims["org"], claims["role"]) == (user.id, "org_default", "admin")
    assert (login.expires_in, login.refresh_expires_in, login.token_type) == (900, 7 * 86400, "Bearer")
    assert login.access_token not in repr(login)
    assert login.refresh_token not in repr(login)
    found = await world.users.get(OPERATOR, user.id)
    assert found.last_login_at is not None
    entry = (await world.audited("login.success"))[0]
    assert (entry.actor, entry.actor_id, entry.ip, entry.request_id) == (
        "ada@example.com",
        user.id,
        "192.0.2.7",
        "req-test",
    )
    assert entry.subject_id == claims["sid"]


async def test_all_wrong_logins_look_alike(world: LoginWorld) -> None:
    user = await world.user()
    await world.users.create(OPERATOR, UserCreate(email="no-password@example.com"))
    messages: set[str] = set()
    for email, password in (
        ("ada@example.com", "wrong password"),
        ("nobody@example.com", PASSWORD),
        ("no-password@example.com", PASSWORD),
        ("ada@example.com", ""),
        ("' OR 1=1 --", "' OR 1=1 --"),
    ):
        with pytest.raises(LoginRefused) as caught:
            await world.login(email, password)
        messages.add(caught.value.message)
    await world.users.update(OPERATOR, user.id, UserPatch(disabled=True))
    with pytest.raises(LoginRefused) as caught:
        await world.login()
    messages.add(caught.value.message)
    assert len(messages) == 1
    entries = await world.audited("login.refused")
    assert len(entries) == 6
    assert [entry.actor for entry in entries].count("ada@example.com") == 3
    unknown = [entry for entry in entries if entry.actor == "somebody"]
    assert len(unknown) == 2
    assert not any("nobody" in str(entry) for entry in unknown), "it may have been a password"


async def test_nothing_secret_is_in_the_database(world: LoginWorld) -> None:
    user = await world.user()
    login = await world.login()
    invitation = await world.logins.invite(OPERATOR, user.id)
    secrets = (PASSWORD, login.access_token, login.refresh_token, invitation.token)
    names = (
        "users",
        "sessions",
        "refresh_tokens",
        "one_time_tokens",
        "login_throttle",
        "audit_log",
        "changes",
    )
    async with world.plane.database.reading() as session:
        for name in names:
            rows = str((await session.execute(text(f"SELECT * FROM {name}"))).all())
            assert not any(secret in rows or secret[-40:] in rows for secret in secrets), name


async def test_guessing_is_slowed_down_and_then_let_in_again(world: LoginWorld) -> None:
    await world.user()
    for _ in range(10):
        assert await code(lambda: world.login(password="wrong password")) == "login_refused"
    with pytest.raises(RateLimited) as caught:
        await world.login()
    assert caught.value.retry_after is not None
    assert await code(lambda: world.login("grace@example.com")) == "login_refused", "others are not"
    world.clock.now += caught.value.retry_after
    await world.login()
    await world.login()


async def test_refreshing_gives_the_role_of_now(world: LoginWorld) -> None:
    user = await world.user(role=Role.MEMBER)
    login = await world.login()
    await world.users.update(OPERATOR, user.id, UserPatch(role=Role.VIEWER))
    fresh = await world.logins.refresh(login.refresh_token, HERE)
    assert tokens.read(fresh.access_token).claims["role"] == "viewer"
    assert fresh.refresh_token != login.refresh_token


async def test_reuse_ends_the_login_and_is_audited(plane: Plane, tmp_path: Path) -> None:
    world = LoginWorld(plane, tmp_path, lengths=Lengths(grace=0))
    await world.user()
    login = await world.login()
    fresh = await world.logins.refresh(login.refresh_token, HERE)
    plane.clock.now += 1
    assert await code(lambda: world.logins.refresh(login.refresh_token, HERE)) == "refresh_token_reused"
    assert await code(lambda: world.logins.refresh(fresh.refresh_token, HERE)) == "session_ended"
    assert await code(lambda: world.reader.caller(fresh.access_token)) == "token_revoked"
    entry = (await world.audited("login.refresh_reused"))[0]
    assert entry.actor == "ada@example.com"


async def test_a_disabled_user_gets_no_fresh_tokens(world: LoginWorld) -> None:
    user = await world.user()
    login = await world.login()
    await world.users.update(OPERATOR, user.id, UserPatch(disabled=True))
    assert await code(lambda: world.logins.refresh(login.refresh_token, HERE)) == "session_ended"
    await world.users.update(OPERATOR, user.id, UserPatch(disabled=False))
    assert await code(lambda: world.logins.refresh(login.refresh_token, HERE)) == "session_ended"


async def test_a_disabled_organisation_gets_no_fresh_tokens(world: LoginWorld) -> None:
    organisations = OrganisationService(world.plane.database, world.plane.changes)
    await world.user()
    login = await world.login()
    await organisations.update(OPERATOR, "org_default", OrganisationPatch(disabled=True))
    assert await code(lambda: world.logins.refresh(login.refresh_token, HERE)) == "holder_disabled"
    assert await code(world.login) == "login_refused"


async def test_logging_out_ends_one_login(world: LoginWorld) -> None:
    await world.user()
    login, other = await world.login(), await world.login()
    await world.logins.logout(login.refresh_token, HERE)
    await world.logins.logout(login.refresh_token, HERE)
    await world.logins.logout("nonsense", HERE)
    assert await code(lambda: world.logins.refresh(login.refresh_token, HERE)) == "session_ended"
    await world.logins.refresh(other.refresh_token, HERE)
    assert len(await world.audited("login.logout")) == 1


async def test_logging_out_everywhere_ends_all_and_nobody_elses(world: LoginWorld) -> None:
    await world.user()
    await world.user("grace@example.com")
    logins = [await world.login() for _ in range(3)]
    other = await world.login("grace@example.com")
    assert await world.logins.logout_everywhere(await caller(world, logins[0])) == 3
    for login in logins:
        assert (
            await code(lambda login=login: world.logins.refresh(login.refresh_token, HERE)) == "session_ended"
        )
    await world.logins.refresh(other.refresh_token, HERE)
    entry = (await world.audited("login.logout_all"))[0]
    assert entry.after == {"sessions_ended": 3}


async def test_an_invitation_sets_a_password_once(world: LoginWorld) -> None:
    user = await world.users.create(OPERATOR, UserCreate(email="ada@example.com"))
    first = await world.logins.invite(OPERATOR, "ADA@example.com")
    second = await world.logins.invite(OPERATOR, user.id)
    assert second.token not in repr(second)

    async def accept(token: str, password: str = PASSWORD) -> str:
        try:
            await world.logins.accept(token, password, HERE)
        except AspendosError as error:
            return error.code
        return "set"

    assert await accept(first.token) == "invalid_one_time_token", "the later one made it void"
    assert await accept(second.token, "short") == "invalid_value"
    assert await accept(second.token) == "set"
    assert await accept(second.token) == "invalid_one_time_token"
    assert await accept("aot-" + "0" * 64) == "invalid_one_time_token"
    await world.login()
    late = await world.logins.invite(OPERATOR, user.id, lifetime=60)
    world.clock.now += 60
    assert await accept(late.token) == "invalid_one_time_token"
    assert [entry.action for entry in await world.audited("password.")] == [
        "password.invite",
        "password.set",
        "password.invite",
        "password.invite",
    ]


@pytest.mark.parametrize("lifetime", [0, -1, 59, 31 * 86400, float("nan"), float("inf")])
async def test_an_invitation_lives_neither_moments_nor_for_ever(world: LoginWorld, lifetime: float) -> None:
    with pytest.raises(InvalidField):
        await world.logins.invite(OPERATOR, "ada@example.com", lifetime=lifetime)


async def test_an_invitation_is_no_way_to_more_power(world: LoginWorld) -> None:
    """Whoever may invite somebody can become them."""
    organisations = OrganisationService(world.plane.database, world.plane.changes)
    await organisations.create(OPERATOR, OrganisationCreate(name="acme", owner_email="o@acme.example"))
    await world.user("owner@example.com", role=Role.OWNER)
    await world.user("admin@example.com", role=Role.ADMIN)
    await world.user("member@example.com", role=Role.MEMBER)
    admin = await caller(world, await world.login("admin@example.com"))
    await world.logins.invite(admin, "member@example.com")
    with pytest.raises(Forbidden):
        await world.logins.invite(admin, "owner@example.com")
    with pytest.raises(Forbidden):
        await world.logins.end_all_of(admin, "owner@example.com")
    for reference in ("o@acme.example", "nobody@example.com"):
        with pytest.raises(NotFound) as caught:
            await world.logins.invite(admin, reference)
        assert reference in caught.value.message
    await world.logins.invite(OPERATOR, "o@acme.example")


async def test_changing_the_password_takes_the_old_one_and_ends_every_login(world: LoginWorld) -> None:
    await world.user()
    login, other = await world.login(), await world.login()
    me = await caller(world, login)
    assert await code(lambda: world.logins.change_password(me, "wrong password", OTHER)) == "wrong_password"
    assert await code(lambda: world.logins.change_password(me, PASSWORD, "short")) == "invalid_value"
    await world.logins.change_password(me, PASSWORD, OTHER)
    for token in (login.refresh_token, other.refresh_token):
        assert (
            await refused(lambda token=token: world.logins.refresh(token, HERE), RefreshRefused)
            == "session_ended"
        )
    assert await refused(world.login, Unauthenticated) == "login_refused"
    await world.login(password=OTHER)
    assert (await world.audited("password.change"))[0].after == {"sessions_ended": 2}


async def test_guessing_the_old_password_is_slowed_down_too(world: LoginWorld) -> None:
    await world.user()
    me = await caller(world, await world.login())
    for _ in range(10):
        await code(lambda: world.logins.change_password(me, "wrong password", OTHER))
    assert await code(lambda: world.logins.change_password(me, PASSWORD, OTHER)) == "too_many_logins"
    assert await code(world.login) == "too_many_logins", "it is the same account"


async def test_an_administrator_ends_logins(world: LoginWorld) -> None:
    await world.user()
    login = await world.login()
    assert await world.logins.end_all_of(OPERATOR, "ada@example.com") == 1
    assert await code(lambda: world.logins.refresh(login.refresh_token, HERE)) == "session_ended"
    assert (await world.audited("login.logout_all"))[0].actor == OPERATOR.name
