"""The issuers this gateway trusts: the file ASPENDOS_OIDC_FILE, read once into frozen Structs.

Refuses to fetch anything, and to trust an issuer over plain HTTP, except on this machine itself.
"""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from inference.ir.errors import InvalidField
from policies.roles import Role
from policies.tokens import ALGORITHMS

_PARAM = "ASPENDOS_OIDC_FILE"
_LONGEST_LEEWAY = 300.0


class ClaimNames(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a token says what: names of claims, or dotted paths into them (`realm_access.roles`).

    Without `organisation`, `team`, `tier` or `role` the token decides nothing about them.
    """

    organisation: str | None = None
    team: str | None = None
    tier: str | None = None
    role: str | None = None
    email: str = "email"
    name: str = "name"


class Issuer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One OpenID Connect issuer, and what its word is worth here. Times in seconds.

    `organisation` is whose users its tokens are for, where no claim says it; `organisations`, `teams` and
    `roles` translate the words in its claims into ours. `provision`: users not seen before are made.
    """

    issuer: str
    audience: str | list[str]
    algorithms: tuple[str, ...] = ("ES256", "EdDSA", "PS256", "RS256")
    jwks_uri: str | None = None
    """Where its keys are; without it `<issuer>/.well-known/openid-configuration` is asked."""
    tls_ca: str | None = None
    leeway: float = 30.0
    claims: ClaimNames = ClaimNames()
    organisation: str | None = None
    team: str | None = None
    tier: str | None = None
    organisations: dict[str, str] = {}
    teams: dict[str, str] = {}
    tiers: dict[str, str] = {}
    roles: dict[str, Role] = {}
    default_role: Role = Role.MEMBER
    provision: bool = True
    cache: float = 600.0
    """How long its keys are believed before they are fetched again, in the background."""
    max_stale: float = 86400.0
    """How long they are used while it cannot be reached."""
    refetch: float = 10.0
    """At most once in so long is it asked for a key that is not known."""

    @property
    def audiences(self) -> tuple[str, ...]:
        return (self.audience,) if isinstance(self.audience, str) else tuple(self.audience)


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    issuers: list[Issuer]


def load_issuers(path: Path | None, own_issuer: str) -> tuple[Issuer, ...]:
    """The issuers in a YAML or JSON file; none without one. Raises InvalidField that names the place."""
    if path is None:
        return ()
    try:
        found = msgspec.yaml.decode(path.read_bytes(), type=_File, strict=True)
    except OSError as error:
        raise _wrong(path, f"cannot be read ({error.strerror})") from error
    except msgspec.ValidationError as error:
        raise _wrong(path, str(error)) from error
    except msgspec.DecodeError as error:
        raise _wrong(path, f"is neither YAML nor JSON: {error}") from error
    for place, issuer in enumerate(found.issuers):
        try:
            _check(issuer)
        except ValueError as error:
            raise _wrong(path, f"{error} - at `$.issuers[{place}]`") from error
    names = [issuer.issuer for issuer in found.issuers]
    if len(set(names)) < len(names):
        raise _wrong(path, "names an issuer twice")
    if own_issuer in names:
        raise _wrong(path, f"names {own_issuer!r}, which is this gateway itself (ASPENDOS_TOKEN_ISSUER)")
    return tuple(found.issuers)


def safe_url(url: str) -> bool:
    """Whether keys may be fetched from there: https, or http on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and _is_here(parts.hostname or "")


def _check(issuer: Issuer) -> None:
    """Raises ValueError."""
    if not safe_url(issuer.jwks_uri or issuer.issuer):
        raise ValueError("`issuer`, or `jwks_uri`, must be an https:// URL (http:// only on this machine)")
    if len(issuer.issuer) > 255:
        raise ValueError("`issuer` has more than 255 characters")
    if not issuer.audiences or not all(issuer.audiences):
        raise ValueError("`audience` is empty: a token for somebody else would pass")
    unfit = sorted(set(issuer.algorithms) - ALGORITHMS)
    if unfit or not issuer.algorithms:
        raise ValueError(f"`algorithms` holds {unfit}; possible are {', '.join(sorted(ALGORITHMS))}")
    if not 0 <= issuer.leeway <= _LONGEST_LEEWAY:
        raise ValueError(f"`leeway` is {issuer.leeway:g}; 0 to {_LONGEST_LEEWAY:g} seconds were expected")
    if issuer.cache <= 0 or issuer.max_stale < issuer.cache or issuer.refetch <= 0:
        raise ValueError("`cache` and `refetch` must be above 0, and `max_stale` not below `cache`")
    if issuer.organisation is None and issuer.claims.organisation is None:
        raise ValueError("say whose users these are: `organisation`, or `claims.organisation`")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _wrong(path: Path, how: str) -> InvalidField:
    return InvalidField(f"The file {path} ({_PARAM}): {how}", param=_PARAM)
