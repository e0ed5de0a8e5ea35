"""API keys: their form, their proof, and the rules that make one valid now.

Refuses I/O, and clocks and randomness of its own.

A key reads `ask-<public id>-<secret>`: 12 base62 characters that name it, then 46 that prove it. The last
six of the secret are the CRC-32 of everything before them, so a mistyped or invented key is refused
without asking any store. Neither part can hold a `-`, so there is one way to read a key. What is stored is
HMAC-SHA256(pepper, secret) (RFC 2104): without the pepper a stolen table verifies nothing.
"""

import hashlib
import hmac
import shlex
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf

from msgspec import Struct

from inference.ir.errors import DisabledKey, ExpiredKey, UnknownKey
from inference.ir.tiers import Limits

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = "ask-"
_ID_LENGTH = 12
_RANDOM_LENGTH = 40
_CHECK_LENGTH = 6
_ID_END = len(_PREFIX) + _ID_LENGTH
_SECRET_START = _ID_END + 1
KEY_LENGTH = _SECRET_START + _RANDOM_LENGTH + _CHECK_LENGTH
"""Characters in a whole key."""

_BLOCK = 64

Entropy = Callable[[int], bytes]
"""Random bytes fit for secrets, so many at a call: `secrets.token_bytes`."""


class Principal(Struct, frozen=True, kw_only=True):
    """Who a call acts for. `models` and `team_models` are allow-lists of globs; an empty one allows all.

    `tier` is that of `tier_holder`, the nearest of user, team and organisation that has one; `account`, which
    pays, is found the same way. `limits` are those set on any of them: what it is (`key`, `user`, `team`, `org`),
    its id, and how much. `features` are what the key may be used for, none: everything. `tags` are merged, the
    nearest winning.
    """

    key_id: str
    key_name: str
    team_id: str
    team_name: str
    org_id: str | None = None
    org_name: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    models: tuple[str, ...] = ()
    team_models: tuple[str, ...] = ()
    tier: str | None = None
    tier_holder: str | None = None
    account: str | None = None
    limits: tuple[tuple[str, str, Limits], ...] = ()
    features: tuple[str, ...] = ()
    tags: dict[str, str] = {}


class NewKey(Struct, frozen=True, kw_only=True):
    """A key just made. `token` is the whole of it, to be shown once; its representation hides it."""

    public_id: str
    token: str

    @property
    def secret(self) -> str:
        return self.token[_SECRET_START:]

    def __repr__(self) -> str:
        return f"NewKey({display(self.public_id)})"


class Credential(Struct, frozen=True, kw_only=True):
    """What proves a key and what limits it. Times are seconds since 1970 UTC; digests are raw bytes."""

    principal: Principal
    digest: bytes
    previous_digest: bytes | None = None
    previous_until: float = 0.0
    expires_at: float = inf
    disabled: bool = False
    team_disabled: bool = False
    user_disabled: bool = False
    org_disabled: bool = False

    def __repr__(self) -> str:
        return f"Credential({display(self.principal.key_id)})"


class Proof(Struct):
    """What a token was last found to prove, kept by whoever hears the same token again and again.

    It holds for as long as the credential is the one that stands in memory: any change makes another.
    """

    credential: Credential | None = None


class Pepper:
    """The server's half of every proof. The keyed states are made once, which halves the cost of a digest.

    `file` is where it was read from if only this machine has it; None: it was given, as it is to all of them.
    """

    __slots__ = ("_inner", "_outer", "file")

    def __init__(self, pepper: bytes, file: str | None = None) -> None:
        self.file = file
        key = pepper if len(pepper) <= _BLOCK else hashlib.sha256(pepper).digest()
        key = key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def digest(self, secret: str) -> bytes:
        """HMAC-SHA256 of the secret, 32 bytes (RFC 2104)."""
        inner = self._inner.copy()
        inner.update(secret.encode("utf-8", "surrogatepass"))
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def check_value(self) -> str:
        """Kept beside the keys so that another pepper is noticed; tells nothing of the pepper itself."""
        return self.digest("aspendos pepper check").hex()


def new_key(entropy: Entropy, public_id: str | None = None) -> NewKey:
    """A fresh key, or a fresh secret for the key named `public_id`."""
    name = public_id or _base62(entropy(24), _ID_LENGTH)
    body = f"{_PREFIX}{name}-{_base62(entropy(48), _RANDOM_LENGTH)}"
    return NewKey(public_id=name, token=body + _check(body))


def display(public_id: str) -> str:
    """The part of a key that may be shown: `ask-<public id>-…`."""
    return f"{_PREFIX}{public_id}-…"


def public_id_of(token: str) -> str:
    """The public id of a key whose form and check are right.

    Raises UnknownKey, without asking anyone, for everything else; the message never repeats the secret.
    """
    if not token.startswith(_PREFIX):
        raise UnknownKey(
            "The API key sent is not one of this gateway's: they read ask-<id>-<secret>. "
            "Check that the client's base URL and key belong together; `aspendos keys create` makes a key."
        )
    well_formed = (
        len(token) == KEY_LENGTH
        and token.isascii()
        and token[_ID_END] == "-"
        and token[len(_PREFIX) : _ID_END].isalnum()
        and token[_SECRET_START:].isalnum()
    )
    if not well_formed:
        raise UnknownKey(
            f"The API key sent is not whole: it must be {KEY_LENGTH} letters, digits and hyphens "
            f"(ask-<id>-<secret>), and it has {len(token)} characters or strange ones. Copy it again."
        )
    if token[-_CHECK_LENGTH:] != _check(token[:-_CHECK_LENGTH]):
        raise UnknownKey(
            "The API key sent has a mistyped character: its check does not add up. Copy it again."
        )
    return token[len(_PREFIX) : _ID_END]


def claimed_id(token: str) -> str:
    """The characters where a public id stands, whatever they are: enough to look one up, proof of nothing."""
    return token[len(_PREFIX) : _ID_END]


def unknown(public_id: str) -> UnknownKey:
    """The error for a well-formed key that no store has, or whose secret is another."""
    return UnknownKey(
        f"The API key {display(public_id)} is not known to this gateway: it was deleted, its secret was "
        "replaced, or it belongs to another gateway. Ask its administrator for a new one."
    )


def verify(credential: Credential, token: str, now: float, pepper: Pepper) -> Principal:
    """Who `token` is, if it proves `credential` and nothing stands against it at `now` (epoch seconds).

    The secret is judged first, in constant time, so only its holder learns that a key is disabled or
    expired. Raises UnknownKey, DisabledKey or ExpiredKey.
    """
    principal = credential.principal
    if len(token) != KEY_LENGTH or token[:4] != _PREFIX or token[_ID_END] != "-":
        public_id_of(token)
        raise unknown(principal.key_id)
    digest = pepper.digest(token[_SECRET_START:])
    if not hmac.compare_digest(digest, credential.digest):
        public_id_of(token)  # a slip in copying is told as one, though the id is known
        _accept_previous(credential, digest, now)
    return standing(credential, now)


def standing(credential: Credential, now: float) -> Principal:
    """Whose a key is, if nothing stands against it at `now` (epoch seconds). Raises DisabledKey or ExpiredKey."""
    principal = credential.principal
    if credential.disabled or credential.user_disabled or credential.team_disabled or credential.org_disabled:
        raise _disabled(credential)
    if now >= credential.expires_at:
        raise ExpiredKey(
            f"The API key {display(principal.key_id)} ({principal.key_name!r}) expired at "
            f"{_instant(credential.expires_at)}. Its administrator can prolong it with "
            f"`aspendos keys update {principal.key_id} --expires 30d`, or make a new one."
        )
    return principal


def _accept_previous(credential: Credential, digest: bytes, now: float) -> None:
    """Return if the secret is the one before the last rotation, within its overlap; raise otherwise."""
    previous = credential.previous_digest
    principal = credential.principal
    if previous is None or not hmac.compare_digest(digest, previous):
        raise unknown(principal.key_id)
    if now >= credential.previous_until:
        raise ExpiredKey(
            f"The API key {display(principal.key_id)} ({principal.key_name!r}) was rotated, and the old "
            f"secret ended at {_instant(credential.previous_until)}. Use the new one, shown at the rotation."
        )


def _disabled(credential: Credential) -> DisabledKey:
    principal = credential.principal
    shown = display(principal.key_id)
    if credential.disabled:
        return DisabledKey(
            f"The API key {shown} ({principal.key_name!r}) is disabled. Its administrator can enable it with "
            f"`aspendos keys enable {principal.key_id}`."
        )
    if credential.user_disabled:
        return DisabledKey(
            f"The user {principal.user_name!r}, whose the API key {shown} is, is disabled. Their administrator can "
            f"enable them with `aspendos users update {principal.user_id} --enable`.",
            code="disabled_user",
        )
    if credential.team_disabled:
        return DisabledKey(
            f"The team {principal.team_name!r} of the API key {shown} is disabled. Its administrator can "
            f"enable it with `aspendos teams update {shlex.quote(principal.team_name)} --enable`."
        )
    return DisabledKey(
        f"The organisation {principal.org_name!r} of the API key {shown} is disabled. Whoever runs the gateway can "
        f"enable it with `aspendos organisations update {principal.org_id} --enable`.",
        code="disabled_organisation",
    )


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _base62(random: bytes, length: int) -> str:
    # 8 x 24 and 8 x 48 bits over 71 and 238 used: the bias of the remainder is below 2^-120.
    number = int.from_bytes(random)
    return _encode(number, length)


def _check(body: str) -> str:
    return _encode(zlib.crc32(body.encode()), _CHECK_LENGTH)


def _encode(number: int, length: int) -> str:
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(digits)
