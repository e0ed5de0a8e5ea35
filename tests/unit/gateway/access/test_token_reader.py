"""The token reader: tokens of ours and of issuers become callers, and stop being so within a second."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest

from gateway.access.token_reader import TokenReader
from gateway.database.tables import MembershipRow
from gateway.database.teams import TeamCreate, TeamPatch
from gateway.database.users import UserPatch
from inference.ir.errors import AspendosError, Unavailable
from policies.caller import OPERATOR
from policies.roles import Role
from policies.tokens import TokenRefused
from tests.control_plane import Plane
from tests.identity_provider import IdentityProvider, forged, public_jwk
from tests.login_world import LoginWorld, trusting


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: what differs between databases is tested where the statements are."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def provider() -> Generator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture
async def world(plane: Plane, tmp_path: Path, provider: IdentityProvider) -> AsyncGenerator[LoginWorld]:
    await plane.teams.create(OPERATOR, TeamCreate(name="research"))
    opened = LoginWorld(plane, tmp_path, trusting(provider, team="research"))
    opened.reader.start()
    await opened.reader.look()
    yield opened
    await opened.stop()


async def word(reader: TokenReader, token: str) -> str:
    try:
        await reader.caller(token)
    except AspendosError as error:
        return error.code
    return "in"


async def until(reader: TokenReader, token: str, wanted: str) -> None:
    """Ask until the answer is `wanted`; no more than the second that is promised, and some for a slow machine."""
    for _ in range(60):
        if await word(reader, token) == wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"still {await word(reader, token)} after three seconds")


async def test_a_token_of_ours_is_its_user(world: LoginWorld) -> None:
    user = await world.user(role=Role.ADMIN, team="team of ada")
    token = (await world.login()).access_token
    caller = await world.reader.caller(token)
    assert (caller.kind, caller.name, caller.user_id, caller.role) == (
        "user",
        "ada@example.com",
        user.id,
        Role.ADMIN,
    )
    principal = await world.reader.principal(token)
    assert (principal.key_id, principal.team_name) == (user.id, "team of ada")


async def test_a_token_of_an_issuer_is_its_user(world: LoginWorld, provider: IdentityProvider) -> None:
    token = provider.token(world.clock())
    principal = await world.reader.principal(token)
    assert (principal.team_name, principal.key_name) == ("research", "grace@example.com")
    assert (await world.reader.holder(token)).session is None


async def test_a_known_token_is_read_from_memory(world: LoginWorld, provider: IdentityProvider) -> None:
    token = provider.token(world.clock())
    assert world.reader.lookup(token) is None
    principal = await world.reader.principal(token)
    asked = len(provider.requests)
    assert world.reader.lookup(token) is principal
    assert await world.reader.principal(token) is principal
    assert len(provider.requests) == asked
    other = await world.reader.principal(provider.token(world.clock(), jti="another"))
    assert other is principal, "tokens of one user share what is kept for them"


async def test_it_is_forgotten_when_it_ends(world: LoginWorld, provider: IdentityProvider) -> None:
    ours = (await world.user(), await world.login())[1].access_token
    theirs = provider.token(world.clock())
    assert {await word(world.reader, ours), await word(world.reader, theirs)} == {"in"}
    world.clock.now += 629
    assert await word(world.reader, theirs) == "in", "thirty seconds of leeway"
    world.clock.now += 1
    assert await word(world.reader, theirs) == "token_expired"
    world.clock.now += 300
    assert await word(world.reader, ours) == "token_expired"


@pytest.mark.parametrize("kind", ["ours", "theirs"])
async def test_a_disabled_user_is_out_within_a_second(
    world: LoginWorld, provider: IdentityProvider, kind: str
) -> None:
    if kind == "ours":
        await world.user(role=Role.MEMBER)
        token = (await world.login()).access_token
    else:
        token = provider.token(world.clock())
    user = (await world.reader.caller(token)).user_id or ""
    assert len(world.reader) == 1
    await world.users.update(OPERATOR, user, UserPatch(disabled=True))
    await until(world.reader, token, "token_revoked" if kind == "ours" else "holder_disabled")
    await world.users.update(OPERATOR, user, UserPatch(disabled=False))
    world.ticks.now += 2
    await until(world.reader, token, "token_revoked" if kind == "ours" else "in")


async def test_a_logout_is_heard_by_every_process(world: LoginWorld) -> None:
    await world.user()
    login, other = await world.login(), await world.login()
    elsewhere = world.another_reader()
    elsewhere.start()
    await elsewhere.look()
    try:
        assert {await word(elsewhere, login.access_token), await word(elsewhere, other.access_token)} == {
            "in"
        }
        assert len(elsewhere) == 2
        holder = await world.reader.holder(login.access_token)
        await world.logins.logout_session(holder.caller, holder.session or "")
        await until(elsewhere, login.access_token, "token_revoked")
        assert await word(elsewhere, other.access_token) == "in"
        assert len(elsewhere) == 1, "the other one was remembered all along"
    finally:
        await elsewhere.stop()


async def test_a_changed_role_and_team_are_heard_of(world: LoginWorld) -> None:
    user = await world.user(role=Role.MEMBER, team="old")
    token = (await world.login()).access_token
    assert (await world.reader.caller(token)).role is Role.MEMBER
    await world.users.update(OPERATOR, user.id, UserPatch(role=Role.VIEWER))
    await world.plane.teams.update(OPERATOR, "old", TeamPatch(name="new"))
    await world.reader.look()
    assert (await world.reader.caller(token)).role is Role.VIEWER
    assert (await world.reader.principal(token)).team_name == "new"


async def test_what_was_read_before_the_news_is_not_kept(
    world: LoginWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user is disabled, and heard to be, while the reader is still busy with what it read before."""
    user = await world.user()
    token = (await world.login()).access_token
    of_login = world.holders.of_login

    async def slow(subject: Any) -> Any:
        found = await of_login(subject)
        await world.users.update(OPERATOR, user.id, UserPatch(disabled=True))
        await world.reader.look()
        return found

    monkeypatch.setattr(world.holders, "of_login", slow)
    await world.reader.holder(token)
    assert len(world.reader) == 0
    monkeypatch.undo()
    assert await word(world.reader, token) == "token_revoked"


async def test_a_withdrawn_key_ends_the_tokens_it_signed(
    world: LoginWorld, provider: IdentityProvider
) -> None:
    token = provider.token(world.clock())
    await world.reader.caller(token)
    await world.reader.look()  # the news that this user was made
    assert await word(world.reader, token) == "in"
    assert len(world.reader) == 1
    provider.rotate("second")
    world.ticks.now += 601
    await until(world.reader, token, "token_unknown_key")
    assert await word(world.reader, provider.token(world.clock())) == "in"


async def test_an_issuer_away_is_503_for_new_keys_and_nothing_for_known_ones(
    world: LoginWorld, provider: IdentityProvider
) -> None:
    await world.reader.caller(provider.token(world.clock()))
    provider.broken = True
    world.ticks.now += 3600
    assert await word(world.reader, provider.token(world.clock(), jti="new token, known key")) == "in"
    provider.rotate("second", keep=True)
    assert await word(world.reader, provider.token(world.clock())) == "issuer_unavailable"
    world.ticks.now += 86400
    with pytest.raises(Unavailable):
        await world.reader.caller(provider.token(world.clock(), kid="first"))


async def test_each_forgery_is_refused(world: LoginWorld, provider: IdentityProvider) -> None:
    now = world.clock()
    key = provider.keys["first"]
    header = {"alg": "ES256", "kid": "first"}
    good = provider.claims(now)
    with IdentityProvider() as thief:
        thiefs = thief.keys["first"]
        stolen_name = forged(header, good, thiefs)
        another_issuer = thief.token(now)
    own = {**good, "iss": "us", "org": "org_default", "role": "owner", "sid": "sess_x", "jti": "1"}
    cases = {
        stolen_name: "token_signature",
        another_issuer: "token_issuer",
        provider.token(now, iss=None): "token_issuer",
        provider.token(now, aud="somebody"): "token_audience",
        provider.token(now, aud=None): "token_audience",
        provider.token(now - 10_000): "token_expired",
        provider.token(now, nbf=now + 600): "token_not_yet_valid",
        provider.token(now, iat=now + 600): "token_not_yet_valid",
        provider.token(now, sub=None): "token_claim_missing",
        forged({"alg": "none"}, good): "token_algorithm",
        forged({"alg": "HS256", "kid": "first"}, good, b"x" * 32): "token_algorithm",
        forged({"alg": "RS256", "kid": "first"}, good): "token_algorithm",
        forged({"alg": "ES256", "kid": "invented"}, good, key): "token_unknown_key",
        forged(header, own, key): "token_algorithm",
        forged({"alg": "EdDSA", "typ": "at+jwt", "kid": "first"}, own): "token_unknown_key",
        forged(header, good): "token_signature",
        "a.b.c": "token_malformed",
    }
    assert {token: await word(world.reader, token) for token in cases} == cases
    assert await word(world.reader, forged(header, good, key)) == "in"


async def test_an_algorithm_the_issuers_settings_do_not_allow_is_refused(
    plane: Plane, tmp_path: Path
) -> None:
    """Its key would do: nothing says for which of its algorithms an RSA key is."""
    with IdentityProvider("RS256") as provider:
        key = provider.keys["first"]
        provider.published = [public_jwk(key, "RS256", kid="first")]
        world = LoginWorld(plane, tmp_path, trusting(provider))
        claims = provider.claims(world.clock())
        assert await word(world.reader, forged({"alg": "RS256", "kid": "first"}, claims, key)) == "in"
        other = forged({"alg": "PS256", "kid": "first"}, claims, key)
        assert await word(world.reader, other) == "token_algorithm"
        await world.stop()


async def test_refused_tokens_do_not_keep_the_database_busy(
    world: LoginWorld, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = provider.token(world.clock())
    user = (await world.reader.caller(token)).user_id or ""
    await world.users.update(OPERATOR, user, UserPatch(disabled=True))
    await world.reader.look()
    assert await word(world.reader, token) == "holder_disabled"

    async def never(*_: Any) -> Any:
        raise AssertionError("asked again")

    monkeypatch.setattr(world.holders, "of_issuer", never)
    assert [await word(world.reader, token) for _ in range(20)] == ["holder_disabled"] * 20
    monkeypatch.undo()
    await world.users.update(OPERATOR, user, UserPatch(disabled=False))
    world.ticks.now += 1.5
    assert await word(world.reader, token) == "in"


async def test_leaving_the_team_is_heard_of(world: LoginWorld) -> None:
    user = await world.user(team="only")
    token = (await world.login()).access_token
    await world.reader.principal(token)
    async with world.plane.changes.writing() as session:
        team = (await world.plane.teams.get(OPERATOR, "only")).id
        membership = await session.get(MembershipRow, (team, user.id))
        assert membership is not None
        await session.delete(membership)
        await world.plane.changes.record(session, "user", user.id)
    await world.reader.look()
    with pytest.raises(AspendosError) as caught:
        await world.reader.principal(token)
    assert caught.value.code == "no_team"


async def test_memory_is_bounded(world: LoginWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.access import token_reader

    monkeypatch.setattr(token_reader, "_MOST_KNOWN", 3)
    await world.user()
    tokens = [(await world.login()).access_token for _ in range(5)]
    for token in tokens:
        await world.reader.caller(token)
    assert len(world.reader) == 3
    assert [await word(world.reader, token) for token in tokens] == ["in"] * 5


async def test_no_token_is_kept_or_shown(world: LoginWorld) -> None:
    await world.user()
    login = await world.login()
    await world.reader.caller(login.access_token)
    assert login.access_token not in str(vars(world.reader))
    with pytest.raises(TokenRefused) as caught:
        await world.reader.caller(login.access_token[:-4] + "AAAA")
    assert login.access_token[:20] not in caught.value.message
