"""Each way a bearer token can be wrong, forged by hand, and the word it is refused with."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import tokens
from policies.tokens import Expected, TokenRefused
from tests.identity_provider import forged

NOW = 1_800_000_000.0
EXPECTED = Expected(issuer="https://id.example", audiences=("aspendos", "other"), leeway=30)
GOOD: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "aspendos",
    "sub": "u1",
    "exp": NOW + 60,
    "iat": NOW,
    "nbf": NOW,
}
HEADER = {"alg": "ES256", "typ": "JWT", "kid": "k"}


def refusal(token: str) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        tokens.read(token)
    assert caught.value.http_status == 401
    return caught.value


def claims_refusal(**changed: Any) -> str:
    claims = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    with pytest.raises(TokenRefused) as caught:
        tokens.check(claims, EXPECTED, NOW)
    return caught.value.code


def test_a_token_is_told_from_an_api_key() -> None:
    assert tokens.looks_like_one(forged(HEADER, GOOD))
    assert not tokens.looks_like_one("ask-0123456789ab-" + "x" * 46)
    assert not tokens.looks_like_one("an admin key. somebody chose")


def test_a_good_token_is_taken_apart() -> None:
    found = tokens.read(forged(HEADER, GOOD))
    assert (found.algorithm, found.key_id, found.type) == ("ES256", "k", "jwt")
    assert found.claims == GOOD
    assert found.signed.count(b".") == 1
    assert found.signature == b"unsigned"
    tokens.check(found.claims, EXPECTED, NOW)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_signature_is_refused(algorithm: str) -> None:
    error = refusal(forged({**HEADER, "alg": algorithm}, GOOD))
    assert error.code == "token_algorithm"
    assert "not signed" in error.message


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "hs256"])
def test_a_shared_secret_is_refused_before_any_key_is_looked_for(algorithm: str) -> None:
    error = refusal(forged({**HEADER, "alg": algorithm}, GOOD))
    assert error.code == "token_algorithm"
    assert "shared secret" in error.message


@pytest.mark.parametrize("algorithm", ["RS1", "", 7, None, ["ES256"], "ES256K", {"a": 1}])
def test_an_unknown_algorithm_is_refused(algorithm: Any) -> None:
    assert refusal(forged({**HEADER, "alg": algorithm}, GOOD)).code == "token_algorithm"


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"b64": False},
        {"zip": "DEF"},
        {"typ": "logout+jwt"},
        {"typ": 5},
        {"kid": 5},
        {"kid": ""},
        {"kid": "k" * 257},
    ],
)
def test_headers_that_are_not_understood_are_refused(header: dict[str, Any]) -> None:
    assert refusal(forged({**HEADER, **header}, GOOD)).code == "token_malformed"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "a.b.c.d.e",
        "..",
        f"{tokens.part(b'{}')}..",
        f"{tokens.part(b'[1]')}.{tokens.part(b'{}')}.AA",
        f"{tokens.part(b'not json')}.{tokens.part(b'{}')}.AA",
        forged(HEADER, b"[]"),
        forged(HEADER, b"not json"),
        forged(HEADER, b'{"exp": NaN}'),
        forged(HEADER, b"\xff\xfe"),
        forged(HEADER, b"[" * 9000),
        forged(HEADER, b'{"exp": ' + b"9" * 5000 + b"}"),
        forged(HEADER, GOOD) + "=",
        forged(HEADER, GOOD) + "\n",
        forged(HEADER, GOOD) + " ",
        forged(HEADER, GOOD).replace("e", "é"),
    ],
)
def test_what_is_no_jwt_is_refused(token: str) -> None:
    assert refusal(token).code in {"token_malformed", "token_algorithm"}


def test_there_is_one_way_to_write_a_token() -> None:
    """The last character of `AB` carries bits that are ignored: another spelling of the same bytes."""
    good = forged(HEADER, GOOD).rpartition(".")[0]
    assert tokens.read(f"{good}.AA").signature == b"\0"
    assert refusal(f"{good}.AB").code == "token_malformed"


def test_an_oversize_token_is_refused_unread() -> None:
    assert refusal("a" * (tokens.LONGEST + 1)).code == "token_too_large"
    assert refusal(forged(HEADER, {**GOOD, "groups": ["g" * 50] * 300})).code == "token_too_large"


@pytest.mark.parametrize(
    "body",
    [
        b'{"sub": "a", "sub": "b"}',
        b'{"sub": "a", "nested": {"role": "viewer", "role": "owner"}}',
    ],
)
def test_a_claim_said_twice_is_refused(body: bytes) -> None:
    assert refusal(forged(HEADER, body)).code == "token_duplicate_claim"


def test_a_header_said_twice_is_refused() -> None:
    header = base64.urlsafe_b64encode(b'{"alg": "ES256", "alg": "none"}').rstrip(b"=").decode()
    assert refusal(f"{header}.{tokens.part(b'{}')}.AA").code == "token_duplicate_claim"


@pytest.mark.parametrize(
    "issuer", [None, "https://id.example/", "https://evil.example", 5, ["https://id.example"]]
)
def test_another_issuer_is_refused(issuer: Any) -> None:
    assert claims_refusal(iss=issuer) == "token_issuer"


@pytest.mark.parametrize("audience", [None, "", "aspendo", "aspendos ", [], ["x"], 5, [5], {"aspendos": 1}])
def test_another_audience_is_refused(audience: Any) -> None:
    assert claims_refusal(aud=audience) == "token_audience"


@pytest.mark.parametrize("audience", ["aspendos", "other", ["x", "aspendos"]])
def test_one_of_the_audiences_is_enough(audience: Any) -> None:
    tokens.check({**GOOD, "aud": audience}, EXPECTED, NOW)


@pytest.mark.parametrize("subject", [None, "", "s" * 256, 5, ["u"]])
def test_a_token_for_nobody_is_refused(subject: Any) -> None:
    assert claims_refusal(sub=subject) == "token_claim_missing"


@pytest.mark.parametrize("expires", [None, "soon", True, -1, 1e300, [], {}])
def test_a_token_without_an_end_is_refused(expires: Any) -> None:
    assert claims_refusal(exp=expires) == "token_claim_missing"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"exp": NOW - 29}, None),
        ({"exp": NOW - 29.5}, None),
        ({"exp": NOW - 30}, "token_expired"),
        ({"exp": 0}, "token_expired"),
        ({"iat": NOW + 30}, None),
        ({"iat": NOW + 31}, "token_not_yet_valid"),
        ({"nbf": NOW + 30}, None),
        ({"nbf": NOW + 31}, "token_not_yet_valid"),
        ({"iat": None, "nbf": None}, None),
        ({"iat": "yesterday"}, "token_claim_missing"),
        ({"nbf": 2**53}, "token_not_yet_valid"),
    ],
)
def test_clocks_may_differ_by_the_leeway_and_no_more(changed: dict[str, Any], code: str | None) -> None:
    if code is not None:
        assert claims_refusal(**changed) == code
        return
    tokens.check(
        {name: value for name, value in {**GOOD, **changed}.items() if value is not None}, EXPECTED, NOW
    )


def test_refusals_repeat_nothing_that_could_hurt_a_header_or_a_log() -> None:
    hostile = 'x"\r\nset-cookie: a=b\u2028é' + "y" * 500
    for error in (
        tokens.unknown_issuer(hostile),
        tokens.unknown_key(hostile),
        tokens.wrong_algorithm(hostile, ["ES256"]),
        refusal(forged(HEADER, json.dumps({}).encode()[:-1] + b'"a\\r\\n": 1, "a\\r\\n": 2}')),
    ):
        assert error.message.isascii()
        assert error.message.isprintable()
        assert len(error.message) < 300


def test_texts_are_found_by_name_and_by_path() -> None:
    claims = {"https://example.com/roles": ["a", 5, ""], "realm": {"roles": ["b", "c"], "one": "d"}, "x": 7}
    assert tokens.text_at(claims, "https://example.com/roles") == ("a",)
    assert tokens.text_at(claims, "realm.roles") == ("b", "c")
    assert tokens.text_at(claims, "realm.one") == ("d",)
    assert tokens.text_at(claims, "realm.one.more") == ()
    assert tokens.text_at(claims, "x") == ()
    assert tokens.text_at(claims, "absent") == ()


@given(
    st.text(max_size=300)
    | st.binary(max_size=200).map(lambda raw: f"{tokens.part(raw)}.{tokens.part(raw)}.AA")
)
def test_nothing_but_a_refusal_comes_of_any_text(text: str) -> None:
    try:
        tokens.read(text)
    except TokenRefused as error:
        assert error.code.startswith("token_")


@given(
    st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat"]),
        st.none() | st.floats() | st.text() | st.integers() | st.lists(st.text()),
    )
)
def test_nothing_but_a_refusal_comes_of_any_claims(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        tokens.check(claims, EXPECTED, NOW)
