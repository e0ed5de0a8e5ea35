"""Signatures: whether a token was signed by the key it says. The only file that hands keys to PyJWT.

Refuses keys unfit for the algorithm: the confusion of one with another is how forged tokens pass (RFC 8725 §3.1).
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from policies import tokens
from policies.tokens import Unverified

_FAMILIES: dict[str, tuple[str, frozenset[str]]] = {
    "EdDSA": ("OKP", frozenset({"Ed25519"})),
    "ES256": ("EC", frozenset({"P-256"})),
    "ES384": ("EC", frozenset({"P-384"})),
    "ES512": ("EC", frozenset({"P-521"})),
    **{f"{family}{bits}": ("RSA", frozenset[str]()) for family in ("RS", "PS") for bits in (256, 384, 512)},
}
"""The type of key, and the curves, that each algorithm works with (RFC 7518 §6, RFC 8037)."""

_LEAST_RSA_BITS = 2048
_MOST_RSA_BITS = 8192


class UnfitKey(Exception):
    """A published key that cannot be used here; the message says why."""


class VerifyingKey(Struct, frozen=True, kw_only=True):
    """A public key and the algorithms it may verify."""

    key_id: str | None
    algorithms: frozenset[str]
    material: Any
    """What PyJWT's algorithms take."""


def verifying_key(jwk: Mapping[str, Any]) -> VerifyingKey:
    """The key in a JWK (RFC 7517). Raises UnfitKey for a secret, weak or broken one, or one not for signatures."""
    # Imported here and below: it takes a while, and most processes never see a token.
    from jwt import PyJWKError
    from jwt.algorithms import get_default_algorithms
    from jwt.exceptions import InvalidKeyError

    key_id, kind, curve, said = (_text(jwk, name) for name in ("kid", "kty", "crv", "alg"))
    if jwk.get("use", "sig") != "sig":
        raise UnfitKey("it is not for signatures")
    operations = jwk.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations:
        raise UnfitKey("it is not for verifying")
    if "d" in jwk or "k" in jwk:
        raise UnfitKey("it holds a secret, which an issuer must never publish")
    fit = frozenset(
        name
        for name, (family, curves) in _FAMILIES.items()
        if family == kind and (not curves or curve in curves)
    )
    algorithms = fit if said is None else fit & {said}
    if not algorithms:
        raise UnfitKey(f"its type {kind!r} and algorithm {said!r} are not usable here")
    by_name = get_default_algorithms()
    try:
        material = by_name[min(algorithms)].from_jwk(dict(jwk))
    except (InvalidKeyError, PyJWKError, ValueError, TypeError, KeyError) as error:
        raise UnfitKey(f"it is broken ({type(error).__name__})") from error
    bits = getattr(material, "key_size", 0) if kind == "RSA" else _LEAST_RSA_BITS
    if not _LEAST_RSA_BITS <= bits <= _MOST_RSA_BITS:
        raise UnfitKey(f"its {bits} bits are outside {_LEAST_RSA_BITS} to {_MOST_RSA_BITS}")
    return VerifyingKey(key_id=key_id, algorithms=algorithms, material=material)


def verify(token: Unverified, key: VerifyingKey) -> None:
    """Return if the signature holds. Raises TokenRefused."""
    from jwt.algorithms import get_default_algorithms

    if token.algorithm not in key.algorithms:
        raise tokens.wrong_algorithm(token.algorithm, sorted(key.algorithms))
    if not get_default_algorithms()[token.algorithm].verify(token.signed, key.material, token.signature):
        raise tokens.wrong_signature()


def _text(jwk: Mapping[str, Any], name: str) -> str | None:
    value = jwk.get(name)
    if value is not None and not isinstance(value, str):
        raise UnfitKey(f"its {name} is not a text")
    return value
