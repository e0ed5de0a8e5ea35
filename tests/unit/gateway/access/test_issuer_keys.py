"""An issuer's keys over real sockets: found, renewed, withdrawn, and what happens while it is away."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest

from gateway.access.issuer_keys import IssuerKeys
from inference.ir.errors import Unavailable
from inference.transport import Transport
from policies.tokens import TokenRefused
from tests.control_plane import Clock
from tests.identity_provider import IdentityProvider, new_key, public_jwk
from tests.login_world import trusting

DISCOVERY = "/realm/.well-known/openid-configuration"
KEYS = "/realm/keys?v=1"


@pytest.fixture
def provider() -> Generator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncGenerator[Transport]:
    opened = Transport()
    yield opened
    await opened.close()


@pytest.fixture
def ticks() -> Clock:
    return Clock(100.0)


@pytest.fixture
async def keys(provider: IdentityProvider, transport: Transport, ticks: Clock) -> AsyncGenerator[IssuerKeys]:
    opened = IssuerKeys(trusting(provider), transport, monotonic=ticks)
    yield opened
    await opened.close()


async def names(keys: IssuerKeys, key_id: str | None) -> list[str | None]:
    return [key.key_id for key in await keys.find(key_id, "ES256")]


async def settled(keys: IssuerKeys) -> None:
    """Until a fetch in the background is over."""
    for _ in range(500):
        if keys._flight is None:  # pyright: ignore[reportPrivateUsage]  # nothing else says when it is over
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the fetch never ended")


async def test_keys_are_found_by_discovery_when_first_needed(
    keys: IssuerKeys, provider: IdentityProvider
) -> None:
    assert provider.requests == []
    assert await names(keys, "first") == ["first"]
    assert await names(keys, "first") == ["first"]
    assert await names(keys, None) == ["first"]
    assert provider.requests == [DISCOVERY, KEYS]


async def test_an_address_given_is_asked_at_once(provider: IdentityProvider, transport: Transport) -> None:
    keys = IssuerKeys(trusting(provider, jwks_uri=f"{provider.issuer}/keys?v=1"), transport)
    assert await names(keys, "first") == ["first"]
    assert provider.requests == [KEYS]


async def test_many_waiting_tokens_make_one_request(keys: IssuerKeys, provider: IdentityProvider) -> None:
    found = await asyncio.gather(*(names(keys, "first") for _ in range(100)))
    assert found == [["first"]] * 100
    assert provider.requests == [DISCOVERY, KEYS]


async def test_a_new_key_is_found_at_once_and_an_invented_one_asked_for_seldom(
    keys: IssuerKeys, provider: IdentityProvider, ticks: Clock
) -> None:
    await names(keys, "first")
    provider.rotate("second", keep=True)
    ticks.now += 11
    assert await names(keys, "second") == ["second"]
    assert len(provider.requests) == 4
    for number in range(50):
        with pytest.raises(TokenRefused) as caught:
            await keys.find(f"invented-{number}", "ES256")
        assert caught.value.code == "token_unknown_key"
    assert len(provider.requests) == 4, "not again within ten seconds, whatever is asked"
    assert keys.generation == 0, "nothing was withdrawn"


async def test_old_keys_are_renewed_in_the_background_and_withdrawn_ones_forgotten(
    keys: IssuerKeys, provider: IdentityProvider, ticks: Clock
) -> None:
    await names(keys, "first")
    provider.rotate("second")
    ticks.now += 601
    assert keys.good()
    assert await names(keys, "first") == ["first"], "nobody waits for it"
    await settled(keys)
    assert keys.generation == 1
    assert await names(keys, "second") == ["second"]
    with pytest.raises(TokenRefused):
        await keys.find("first", "ES256")


async def test_known_keys_outlive_their_issuer_for_a_day_and_then_nobody_can_tell(
    keys: IssuerKeys, provider: IdentityProvider, ticks: Clock
) -> None:
    await names(keys, "first")
    provider.broken = True
    for _ in range(23):
        ticks.now += 3600
        assert await names(keys, "first") == ["first"]
        await settled(keys)
    with pytest.raises(Unavailable) as caught:
        await keys.find("unknown", "ES256")
    assert caught.value.http_status == 503, "perhaps it has such a key: nobody can tell"
    ticks.now += 3601
    assert not keys.good()
    with pytest.raises(Unavailable) as caught:
        await keys.find("first", "ES256")
    assert caught.value.code == "issuer_unavailable"
    provider.broken = False
    ticks.now += 11
    assert await names(keys, "first") == ["first"]


async def test_an_issuer_that_was_never_there_makes_503_and_is_not_hammered(
    keys: IssuerKeys, provider: IdentityProvider, ticks: Clock
) -> None:
    provider.broken = True
    for _ in range(20):
        with pytest.raises(Unavailable):
            await keys.find("first", "ES256")
    assert len(provider.requests) == 1
    provider.broken = False
    ticks.now += 11
    assert await names(keys, "first") == ["first"]


async def test_an_unreachable_issuer_is_unavailable(transport: Transport) -> None:
    with IdentityProvider() as gone:
        settings = trusting(gone)
    keys = IssuerKeys(settings, transport)
    with pytest.raises(Unavailable):
        await keys.find("first", "ES256")


@pytest.mark.parametrize(
    ("change"),
    [
        {"says_issuer": "https://evil.example"},
        {"published": [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}]},
        {"published": []},
    ],
)
async def test_an_issuer_that_answers_wrongly_vouches_for_nothing(
    keys: IssuerKeys, provider: IdentityProvider, change: dict[str, Any]
) -> None:
    for name, value in change.items():
        setattr(provider, name, value)
    with pytest.raises((Unavailable, TokenRefused)):
        await keys.find("first", "ES256")


async def test_one_unfit_key_does_not_spoil_the_others(keys: IssuerKeys, provider: IdentityProvider) -> None:
    good = public_jwk(provider.keys["first"], "ES256", kid="good")
    provider.published = [{"kty": "??"}, {"kid": "enc", **good, "use": "enc"}, good, {"kid": 7}]
    assert await names(keys, "good") == ["good"]


async def test_a_key_without_a_name_is_tried_for_any(keys: IssuerKeys, provider: IdentityProvider) -> None:
    provider.published = [public_jwk(provider.keys["first"], "ES256"), public_jwk(new_key("ES384"), "ES384")]
    assert await names(keys, "whatever") == [None]
    assert await names(keys, None) == [None]
