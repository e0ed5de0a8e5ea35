"""Bearer tokens (JWT, RFC 7519): how one is read, and what has to be true of its claims.

Refuses to verify signatures, for that takes keys; and I/O, and a clock of its own. Stricter than the RFCs where
they leave a choice (RFC 8725, *JWT Best Current Practices*): one way to write a token, no claim said twice, no
`crit`, and only the algorithms whose verifiers hold no secret: so a token signed with HS256 and a public key, or
with nothing, is refused before any key is looked for.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from msgspec import Struct

from inference.ir.errors import Unauthenticated

LONGEST = 16 * 1024
"""Characters of the longest token that is looked at."""

ALGORITHMS = frozenset(
    {"EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
)
"""Signatures by a private key, checked with a public one (RFC 7518, RFC 8037). Never HS*, never none."""

_PART = re.compile(r"[A-Za-z0-9_-]+")
_TYPES = frozenset({"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_LATEST = 2.0**53
_SHOWN = 60


class TokenRefused(Unauthenticated):
    """A bearer token that proves nothing here; `code` says why, the message never repeats the token."""

    default_code = "invalid_token"


class Unverified(Struct, frozen=True, kw_only=True):
    """A token taken apart. Nothing in it may be believed before `signature` was checked over `signed`."""

    algorithm: str
    key_id: str | None
    type: str
    """Lower case, empty where the token has none."""
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def __repr__(self) -> str:
        return f"Unverified({self.algorithm})"


class Expected(Struct, frozen=True, kw_only=True):
    """What a token's claims must say. `leeway` forgives clocks that differ by so many seconds."""

    issuer: str
    audiences: tuple[str, ...]
    leeway: float = 30.0
    needs: tuple[str, ...] = ()
    """Claims that have to be there beside iss, aud, sub and exp."""


def looks_like_one(token: str) -> bool:
    """Whether somebody meant this as a JWT: three parts; no API key holds a dot."""
    return token.count(".") == 2


def read(token: str) -> Unverified:
    """The token's parts. Raises TokenRefused for whatever is not one compact signed JWT (RFC 7515 §7.1)."""
    if len(token) > LONGEST:
        raise TokenRefused(
            f"The bearer token has {len(token)} characters; the most read here is {LONGEST}. "
            "Ask the issuer for one with fewer claims.",
            code="token_too_large",
        )
    parts = token.split(".")
    if len(parts) == 5:
        raise _malformed("is encrypted (JWE); a signed one (JWS) is needed")
    if len(parts) != 3:
        raise _malformed(f"has {len(parts)} parts where a JWT has three")
    header = _object(_bytes(parts[0], "header"), "header")
    algorithm = header.get("alg")
    _check_algorithm(algorithm)
    kind = header.get("typ", "")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise _malformed(f"is of type {_shown(kind)}, which is not an access or identity token")
    for extension in ("crit", "b64", "zip"):
        if extension in header:
            raise _malformed(f"asks for the extension `{extension}`, which is not understood here")
    key_id = header.get("kid")
    if key_id is not None and (not isinstance(key_id, str) or not 1 <= len(key_id) <= 256):
        raise _malformed("names its key (`kid`) with something that is not a short text")
    claims = _object(_bytes(parts[1], "claims"), "claims")
    return Unverified(
        algorithm=cast("str", algorithm),
        key_id=key_id,
        type=kind.lower().removeprefix("application/"),
        claims=claims,
        signed=f"{parts[0]}.{parts[1]}".encode(),
        signature=_bytes(parts[2], "signature"),
    )


def part(data: bytes) -> str:
    """Bytes as a part of a token: base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def issuer_of(token: Unverified) -> str:
    """Who claims to have issued it. Raises TokenRefused where nobody does."""
    issuer = token.claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise TokenRefused("The bearer token names no issuer (`iss`).", code="token_issuer")
    return issuer


def check(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    """Return if the claims of a token whose signature holds are good at `now` (epoch seconds).

    Raises TokenRefused: wrong issuer or audience, without subject or end, expired, or of the future.
    """
    if claims.get("iss") != expected.issuer:
        raise unknown_issuer(claims.get("iss"))
    _check_audience(claims.get("aud"), expected.audiences)
    for name in ("sub", *expected.needs):
        value = claims.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= 255:
            raise TokenRefused(
                f"The bearer token has no usable `{name}`: a text of 1 to 255 characters was expected.",
                code="token_claim_missing",
            )
    expires = _instant(claims, "exp", needed=True)
    if now >= expires + expected.leeway:
        raise TokenRefused(
            f"The bearer token expired at {_iso(expires)}. Get a new one from where it came.",
            code="token_expired",
        )
    for name, event in (("nbf", "is not valid before"), ("iat", "says it was issued at")):
        moment = _instant(claims, name)
        if moment > now + expected.leeway:
            raise TokenRefused(
                f"The bearer token {event} {_iso(moment)} (`{name}`), which is in the future here, where it "
                f"is {_iso(now)}. Wait, or set the clocks right.",
                code="token_not_yet_valid",
            )


def unknown_issuer(issuer: object) -> TokenRefused:
    """The error for a token of somebody who is not trusted here."""
    return TokenRefused(
        f"The bearer token was issued by {_shown(issuer)}, whom this gateway does not know. Its operator names "
        "the issuers it trusts in the file ASPENDOS_OIDC_FILE.",
        code="token_issuer",
    )


def unknown_key(key_id: str | None) -> TokenRefused:
    """The error for a token signed with a key its issuer does not publish."""
    named = f"the key {_shown(key_id)}" if key_id is not None else "a key it does not name"
    return TokenRefused(
        f"The bearer token was signed with {named}, which is not, or no longer, one of its issuer's. Get a new one.",
        code="token_unknown_key",
    )


def wrong_signature() -> TokenRefused:
    """The error for a token that was changed, or signed by somebody else."""
    return TokenRefused(
        "The bearer token's signature does not hold: it was changed on its way or made by somebody else.",
        code="token_signature",
    )


def wrong_algorithm(algorithm: str, allowed: Sequence[str]) -> TokenRefused:
    """The error for an algorithm the key or the issuer's settings do not allow."""
    return TokenRefused(
        f"The bearer token was signed with {_shown(algorithm)}; of this issuer only "
        f"{', '.join(sorted(allowed))} is accepted.",
        code="token_algorithm",
    )


def wrong_type(wanted: str) -> TokenRefused:
    """The error for another kind of token of the right issuer (RFC 8725 §3.11)."""
    return TokenRefused(
        f"The bearer token is not of type {wanted!r} (`typ`), as this issuer's access tokens are.",
        code="token_malformed",
    )


def revoked() -> TokenRefused:
    """The error for a token whose login was ended."""
    return TokenRefused(
        "The login this bearer token belongs to has ended. Log in again at POST /auth/login.",
        code="token_revoked",
    )


def disabled(whom: str) -> TokenRefused:
    """The error for a token whose holder was turned away since."""
    return TokenRefused(
        f"The {whom} of this bearer token is disabled here, or gone. Ask an administrator of the organisation.",
        code="holder_disabled",
    )


def found_at(claims: Mapping[str, Any], path: str) -> object:
    """What is at a dotted path of claims (`realm_access.roles`); None where nothing is, or null.

    A claim whose whole name holds dots, as namespaced ones do, is looked for first. Raises ValueError where the
    path leads through something that is no object.
    """
    found: Any = claims.get(path)
    if found is None and "." in path:
        found = claims
        for step in path.split("."):
            if found is None:
                return None
            if not isinstance(found, Mapping):
                raise ValueError(f"{path!r} leads through a claim that is no object")
            found = cast("Mapping[str, Any]", found).get(step)
    return found


def text_at(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """The texts at a dotted path of claims: one, several in a list, or none, whatever else is there."""
    try:
        found = found_at(claims, path)
    except ValueError:
        return ()
    listed = cast("list[Any]", found) if isinstance(found, list) else [found]
    return tuple(item for item in listed if isinstance(item, str) and item)


def _check_algorithm(algorithm: object) -> None:
    if isinstance(algorithm, str) and algorithm in ALGORITHMS:
        return
    if isinstance(algorithm, str) and algorithm.lower() == "none":
        raise TokenRefused(
            "The bearer token is not signed (`alg` is none); such a token proves nothing.",
            code="token_algorithm",
        )
    if isinstance(algorithm, str) and algorithm.upper().startswith("HS"):
        raise TokenRefused(
            "The bearer token is signed with a shared secret (HS...); only signatures by a private key, such "
            "as RS256, ES256 or EdDSA, are accepted.",
            code="token_algorithm",
        )
    raise TokenRefused(
        f"The bearer token's algorithm, {_shown(algorithm)}, is not known here; accepted are "
        f"{', '.join(sorted(ALGORITHMS))}.",
        code="token_algorithm",
    )


def _check_audience(found: object, audiences: tuple[str, ...]) -> None:
    listed = cast("list[object]", found) if isinstance(found, list) else [found]
    if not any(isinstance(audience, str) and audience in audiences for audience in listed):
        said = _shown(listed[0] if len(listed) == 1 else listed)
        raise TokenRefused(
            f"The bearer token is meant for {said} (`aud`), not for this gateway, which is "
            f"{' or '.join(repr(audience) for audience in audiences)}.",
            code="token_audience",
        )


def _instant(claims: Mapping[str, Any], name: str, *, needed: bool = False) -> float:
    """A NumericDate in epoch seconds; 0 where it is absent and may be."""
    value = claims.get(name)
    if value is None and not needed:
        return 0.0
    # A comparison with NaN is false, so NaN is refused too; it cannot be written in JSON anyway.
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LATEST:
        return float(value)
    raise TokenRefused(
        f"The bearer token's `{name}` is not a moment in seconds since 1970.", code="token_claim_missing"
    )


def _bytes(part: str, what: str) -> bytes:
    """base64url without padding, written in the one canonical way."""
    if _PART.fullmatch(part) and len(part) % 4 != 1:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        if base64.urlsafe_b64encode(decoded).rstrip(b"=") == part.encode():
            return decoded
    raise _malformed(f"has a {what} that is not base64url")


def _object(encoded: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(encoded.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except TokenRefused:
        raise
    except (ValueError, RecursionError):
        raise _malformed(
            f"has {what} that are not JSON" if what == "claims" else "has a header that is not JSON"
        ) from None
    if not isinstance(found, dict):
        raise _malformed(f"has a {what} part that is not a JSON object")
    return cast("dict[str, Any]", found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice: two readers would believe different ones."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TokenRefused(
            f"The bearer token says {_shown(twice)} twice; which one is meant cannot be known.",
            code="token_duplicate_claim",
        )
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _malformed(how: str) -> TokenRefused:
    return TokenRefused(
        f"The bearer token cannot be read: it {how}. An API key (ask-...) or a signed JWT was expected.",
        code="token_malformed",
    )


def _shown(value: object) -> str:
    """Some of a claim, for an error: readable, short, and without anything a header or log could choke on."""
    text = repr(value)
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return text.encode("ascii", "backslashreplace").decode()


def _iso(seconds: float) -> str:
    if seconds > 253402300799:  # the last second of the year 9999
        return "a moment past the year 9999"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
