"""Keys fit and unfit for verifying, and signatures that hold or do not."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from gateway.access.signatures import UnfitKey, verify, verifying_key
from policies import tokens
from policies.tokens import ALGORITHMS, TokenRefused
from tests.identity_provider import PrivateKey, forged, new_key, public_jwk

CLAIMS = {"sub": "somebody"}


@pytest.fixture(scope="module")
def keys() -> dict[str, PrivateKey]:
    rsa = new_key("RS256")
    shared = {name: rsa for name in ALGORITHMS if name[:2] in {"RS", "PS"}}
    return shared | {name: new_key(name) for name in ALGORITHMS - shared.keys()}


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_verifies_what_pyjwt_signs(algorithm: str, keys: dict[str, PrivateKey]) -> None:
    token = tokens.read(jwt.encode(CLAIMS, keys[algorithm], algorithm=algorithm))
    verify(token, verifying_key(public_jwk(keys[algorithm], algorithm)))


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_changed_token_is_refused(algorithm: str, keys: dict[str, PrivateKey]) -> None:
    key = verifying_key(public_jwk(keys[algorithm], algorithm))
    header, claims, signature = jwt.encode(CLAIMS, keys[algorithm], algorithm=algorithm).split(".")
    changed = tokens.part(b'{"sub":"somebody else"}')
    cut = signature[: len(signature) // 8 * 4]
    for forgery in (f"{header}.{changed}.{signature}", f"{header}.{claims}.{cut}", f"{header}.{claims}.AAAA"):
        with pytest.raises(TokenRefused) as caught:
            verify(tokens.read(forgery), key)
        assert caught.value.code == "token_signature"


def test_a_key_for_one_algorithm_verifies_no_other(keys: dict[str, PrivateKey]) -> None:
    token = tokens.read(jwt.encode(CLAIMS, keys["PS256"], algorithm="PS256"))
    with pytest.raises(TokenRefused) as caught:
        verify(token, verifying_key(public_jwk(keys["RS256"], "RS256", alg="RS256")))
    assert caught.value.code == "token_algorithm"
    verify(token, verifying_key(public_jwk(keys["RS256"], "RS256")))
    with pytest.raises(TokenRefused):
        verify(token, verifying_key(public_jwk(keys["ES256"], "ES256")))


def test_hs256_with_the_public_key_as_secret_is_refused(keys: dict[str, PrivateKey]) -> None:
    """The classic confusion: whoever has the public key, and that is everybody, could sign."""
    pem = (
        keys["RS256"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(TokenRefused) as caught:
        tokens.read(forged({"alg": "HS256"}, CLAIMS, pem))
    assert caught.value.code == "token_algorithm"


def test_an_elliptic_signature_of_zeroes_is_refused(keys: dict[str, PrivateKey]) -> None:
    """CVE-2022-21449: r = s = 0 once passed for anything."""
    signed = forged({"alg": "ES256"}, CLAIMS).rpartition(".")[0]
    with pytest.raises(TokenRefused):
        verify(
            tokens.read(f"{signed}.{tokens.part(bytes(64))}"),
            verifying_key(public_jwk(keys["ES256"], "ES256")),
        )


@pytest.mark.parametrize(
    ("algorithm", "changed"),
    [
        ("RS256", {"use": "enc"}),
        ("RS256", {"key_ops": ["encrypt"]}),
        ("RS256", {"alg": "RSA-OAEP"}),
        ("RS256", {"alg": "HS256"}),
        ("RS256", {"alg": ["RS256"]}),
        ("RS256", {"n": "AQAB"}),
        ("RS256", {"n": 5}),
        ("RS256", {"e": None}),
        ("RS256", {"kid": 5}),
        ("RS256", {"kty": "oct", "k": "c2VjcmV0"}),
        ("RS256", {"d": "AQAB"}),
        ("ES256", {"crv": "P-384"}),
        ("ES256", {"crv": "secp256k1"}),
        ("ES256", {"crv": {"a": 1}}),
        ("ES256", {"x": "AAAA"}),
        ("EdDSA", {"crv": "X25519"}),
        ("EdDSA", {"x": "AAAA"}),
        ("EdDSA", {"kty": None}),
    ],
)
def test_unfit_keys_are_not_taken(
    algorithm: str, changed: dict[str, Any], keys: dict[str, PrivateKey]
) -> None:
    with pytest.raises(UnfitKey):
        verifying_key(public_jwk(keys[algorithm], algorithm, **changed))


def test_a_weak_key_is_not_taken() -> None:
    with pytest.raises(UnfitKey, match="1024 bits"):
        verifying_key(public_jwk(new_key("RS256", bits=1024), "RS256"))
