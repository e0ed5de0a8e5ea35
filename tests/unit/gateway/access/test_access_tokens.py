"""Our own access tokens: others can check them, and we check everything."""

from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest

from gateway.access.access_tokens import AccessTokens, Subject
from gateway.access.signing_keys import SigningKeys
from policies import tokens
from policies.tokens import TokenRefused
from tests.control_plane import Clock
from tests.identity_provider import forged

SUBJECT = Subject(user_id="user_1", org_id="org_1", role="admin", session="sess_1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys(tmp_path, {})


@pytest.fixture
def access(keys: SigningKeys, clock: Clock) -> AccessTokens:
    return AccessTokens(keys, issuer="https://gw.example", audience="aspendos", clock=clock)


def good(clock: Clock, **changed: Any) -> dict[str, Any]:
    claims = {
        "iss": "https://gw.example",
        "aud": "aspendos",
        "sub": "user_1",
        "org": "org_1",
        "role": "owner",
        "sid": "sess_1",
        "jti": "1",
        "iat": clock(),
        "nbf": clock(),
        "exp": clock() + 900,
        **changed,
    }
    return {name: value for name, value in claims.items() if value is not None}


def refusal(access: AccessTokens, token: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        access.check(tokens.read(token))
    return caught.value.code


def test_what_is_issued_is_accepted_until_it_ends(access: AccessTokens, clock: Clock) -> None:
    made = access.issue(SUBJECT)
    assert made.expires_in == 900
    assert made.token not in repr(made)
    assert access.check(tokens.read(made.token)) == (SUBJECT, clock() + 900)
    clock.now += 904
    access.check(tokens.read(made.token))
    clock.now += 1
    assert refusal(access, made.token) == "token_expired"


def test_anybody_can_check_a_token_with_the_published_keys(keys: SigningKeys) -> None:
    access = AccessTokens(keys, issuer="https://gw.example", audience="aspendos")
    token = access.issue(SUBJECT).token
    published = jwt.PyJWKSet.from_json(msgspec.json.encode(access.key_set()).decode())
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(
        token,
        published[header["kid"]],
        algorithms=["EdDSA"],
        audience="aspendos",
        issuer="https://gw.example",
    )
    assert header["typ"] == "at+jwt"
    assert (claims["sub"], claims["org"], claims["role"], claims["sid"]) == (
        "user_1",
        "org_1",
        "admin",
        "sess_1",
    )
    assert len({access.issue(SUBJECT).token for _ in range(20)}) == 20, "each has an id of its own"


def test_published_keys_hold_no_secret(access: AccessTokens, keys: SigningKeys) -> None:
    shown = msgspec.json.encode(access.key_set()).decode()
    assert '"d"' not in shown
    assert keys.newest().seed.hex() not in shown


def test_tokens_of_the_key_before_are_good_until_the_next_rotation(tmp_path: Path, clock: Clock) -> None:
    ticks = Clock(0.0)
    keys = SigningKeys(tmp_path, {}, monotonic=ticks)
    access = AccessTokens(keys, issuer="i", audience="a", clock=clock)
    old = access.issue(SUBJECT).token
    keys.rotate()
    ticks.now += 2
    new = access.issue(SUBJECT).token
    assert tokens.read(old).key_id != tokens.read(new).key_id
    access.check(tokens.read(old))
    access.check(tokens.read(new))
    assert [key.kid for key in access.key_set().keys] == [tokens.read(new).key_id, tokens.read(old).key_id]
    keys.rotate()
    ticks.now += 2
    assert refusal(access, old) == "token_unknown_key"


def test_each_forgery_is_refused_in_its_own_word(
    access: AccessTokens, keys: SigningKeys, clock: Clock
) -> None:
    key = keys.newest()
    header = {"alg": "EdDSA", "typ": "at+jwt", "kid": key.public.kid}

    def said(change: Any = None, **claims: Any) -> str:
        return refusal(access, forged({**header, **(change or {})}, good(clock, **claims), key.private))

    access.check(tokens.read(forged(header, good(clock), key.private)))
    assert said({"kid": "another"}) == "token_unknown_key"
    assert said({"kid": None}) == "token_unknown_key"
    assert said({"typ": "JWT"}) == "token_malformed"
    assert said(aud="somebody") == "token_audience"
    assert said(iss="https://gw.example.evil") == "token_issuer"
    assert said(exp=clock() - 5) == "token_expired"
    assert said(nbf=clock() + 6) == "token_not_yet_valid"
    assert said(iat=clock() + 6) == "token_not_yet_valid"
    for name in ("sub", "org", "role", "sid", "jti"):
        assert said(**{name: None}) == "token_claim_missing"
        assert said(**{name: ["x"]}) == "token_claim_missing"
    assert refusal(access, forged(header, good(clock))) == "token_signature"
    other = SigningKeys(Path(str(keys)), {"ASPENDOS_TOKEN_KEY": "ab" * 32}).newest()
    assert refusal(access, forged(header, good(clock), other.private)) == "token_signature"
    assert refusal(access, forged({**header, "alg": "RS256"}, good(clock))) == "token_algorithm"
    whole = access.issue(SUBJECT).token.split(".")
    richer = tokens.part(msgspec.json.encode(good(clock, role="owner")))
    assert refusal(access, f"{whole[0]}.{richer}.{whole[2]}") == "token_signature"
