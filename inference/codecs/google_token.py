"""Google's OAuth tokens for service accounts: the signed assertion, and what is answered to it. Pure.

(RFC 7523; https://developers.google.com/identity/protocols/oauth2/service-account#httprest)
"""

from urllib.parse import urlencode

import jwt
import msgspec
from msgspec import Struct

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFE = 3600
"""Seconds an assertion is good for; Google takes no more."""


class ServiceAccount(Struct, frozen=True, kw_only=True):
    """What is needed of a service account's key file."""

    client_email: str
    private_key: str
    private_key_id: str | None = None
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address

    def __repr__(self) -> str:
        """Without the private key."""
        return f"ServiceAccount({self.client_email!r})"


class Token(Struct, frozen=True, kw_only=True):
    """`expires_in` is in seconds."""

    access_token: str
    expires_in: int = _LIFE

    def __repr__(self) -> str:
        """Without the token."""
        return f"Token(expires_in={self.expires_in})"


_account = msgspec.json.Decoder(ServiceAccount)
_token = msgspec.json.Decoder(Token)


def read_account(text: str) -> ServiceAccount:
    """A key file's text. Raises ValueError, which tells nothing of what is in it."""
    try:
        return _account.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("it is no JSON of a service account's key") from None


def token_request(account: ServiceAccount, now: float) -> bytes:
    """The form that asks for a token; `now` in unix seconds. Raises ValueError for a key that cannot sign."""
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": int(now),
        "exp": int(now) + _LIFE,
    }
    headers = {"kid": account.private_key_id} if account.private_key_id else None
    try:
        assertion = jwt.encode(claims, account.private_key, algorithm="RS256", headers=headers)
    except (ValueError, TypeError, jwt.PyJWTError):
        raise ValueError("its private key cannot sign") from None
    return urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()


def read_token(body: bytes) -> Token:
    """The answer. Raises ValueError where it holds no token."""
    try:
        return _token.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("the answer holds no access token") from None
