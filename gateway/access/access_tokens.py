"""Access tokens of our own: JWTs (RFC 9068) that live for minutes, signed with Ed25519.

Refuses to decide whether a login still holds: that is asked of the database, by the token reader.
"""

import secrets
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from gateway.access.signing_keys import ALGORITHM, PublicKey, SigningKeys
from policies import tokens
from policies.api_keys import Entropy
from policies.tokens import Expected, Unverified

_TYPE = "at+jwt"
_LEEWAY = 5.0


class Subject(Struct, frozen=True, kw_only=True):
    """Whom a token of ours is for: a user, in an organisation, by a login."""

    user_id: str
    org_id: str
    role: str
    session: str


class AccessToken(Struct, frozen=True, kw_only=True):
    """A token just made; `expires_in` in seconds. Its representation hides it."""

    token: str
    expires_in: int

    def __repr__(self) -> str:
        return f"AccessToken(expires_in={self.expires_in})"


class KeySet(Struct, frozen=True, kw_only=True):
    """The public halves of our signing keys, newest first (RFC 7517 §5)."""

    keys: tuple[PublicKey, ...]


class _Claims(Struct, frozen=True, kw_only=True):
    iss: str
    aud: str
    sub: str
    org: str
    role: str
    sid: str
    jti: str
    iat: int
    nbf: int
    exp: int


class AccessTokens:
    """Makes and checks them. `lifetime` in seconds; `clock` gives epoch seconds."""

    def __init__(
        self,
        keys: SigningKeys,
        *,
        issuer: str,
        audience: str,
        lifetime: float = 900.0,
        entropy: Entropy = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._expected = Expected(
            issuer=issuer, audiences=(audience,), leeway=_LEEWAY, needs=("org", "role", "sid", "jti")
        )
        self._audience = audience
        self._lifetime = int(lifetime)
        self._entropy = entropy
        self._clock = clock

    @property
    def issuer(self) -> str:
        return self._expected.issuer

    def issue(self, subject: Subject) -> AccessToken:
        """Sign a token for `subject`, good from now. Raises OSError where no key can be made."""
        now = int(self._clock())
        claims = _Claims(
            iss=self._expected.issuer,
            aud=self._audience,
            sub=subject.user_id,
            org=subject.org_id,
            role=subject.role,
            sid=subject.session,
            jti=self._entropy(12).hex(),
            iat=now,
            nbf=now,
            exp=now + self._lifetime,
        )
        key = self._keys.newest()
        header = {"alg": ALGORITHM, "typ": _TYPE, "kid": key.public.kid}
        signed = f"{tokens.part(msgspec.json.encode(header))}.{tokens.part(msgspec.json.encode(claims))}"
        return AccessToken(
            token=f"{signed}.{tokens.part(key.sign(signed.encode()))}", expires_in=self._lifetime
        )

    def check(self, token: Unverified) -> tuple[Subject, float]:
        """Whose it is, and when it ends (epoch seconds). Raises TokenRefused."""
        from cryptography.exceptions import InvalidSignature

        if token.algorithm != ALGORITHM:
            raise tokens.wrong_algorithm(token.algorithm, (ALGORITHM,))
        if token.type != _TYPE:
            raise tokens.wrong_type(_TYPE)
        key = self._keys.find(token.key_id) if token.key_id is not None else None
        if key is None:
            raise tokens.unknown_key(token.key_id)
        try:
            key.private.public_key().verify(token.signature, token.signed)
        except InvalidSignature:
            raise tokens.wrong_signature() from None
        tokens.check(token.claims, self._expected, self._clock())
        claims = token.claims
        subject = Subject(
            user_id=claims["sub"], org_id=claims["org"], role=claims["role"], session=claims["sid"]
        )
        return subject, float(claims["exp"])

    def key_set(self) -> KeySet:
        """What stands at /.well-known/jwks.json; a first key is made if there is none."""
        self._keys.newest()
        return KeySet(keys=tuple(key.public for key in self._keys.all()))
