"""Signing keys: the key pairs our own tokens are signed with, newest first, and their public halves.

They come from the variable ASPENDOS_TOKEN_KEY (several separated by commas) and from the file
`<data_dir>/token_key` (one a line, mode 0600), which is made when first needed if there is neither. The first
signs; every one verifies. So a rotation is: put a new key in front, and take the old one away once the last
token it signed has expired. A key is 32 random bytes, the seed of an Ed25519 pair (RFC 8032), in hex or base64.
"""

import base64
import fcntl
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from gateway.key_bytes import SIZE, read_key
from inference.ir.errors import InvalidField
from policies.api_keys import Entropy

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VARIABLE = "ASPENDOS_TOKEN_KEY"
FILE = "token_key"
ALGORITHM = "EdDSA"
_LOOK_SECONDS = 1.0


class PublicKey(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The half anybody may have, as a JSON Web Key (RFC 8037)."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    use: str = "sig"
    alg: str = ALGORITHM


class SigningKey(Struct, frozen=True, kw_only=True):
    """A key pair and the public half that verifies it; its representation hides the secret."""

    public: PublicKey
    private: "Ed25519PrivateKey"
    seed: bytes

    def __repr__(self) -> str:
        return f"SigningKey({self.public.kid})"

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


class SigningKeys:
    """Every key of this gateway; the file is looked at again at most once a second."""

    def __init__(
        self,
        data_dir: Path,
        env: Mapping[str, str],
        *,
        entropy: Entropy = secrets.token_bytes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises InvalidField for a key in the variable that is not 32 bytes in hex or base64. Reads no file yet."""
        self._path = data_dir / FILE
        self._entropy = entropy
        self._monotonic = monotonic
        texts = [text for text in env.get(VARIABLE, "").split(",") if text.strip()]
        self._given = tuple(_seed(text, f"the variable {VARIABLE}") for text in texts)
        self._keys: tuple[SigningKey, ...] = ()
        self._stamp: tuple[int, int] | None = None
        self._looked_at: float | None = None

    @property
    def from_variable(self) -> bool:
        """Whether the keys are the operator's to change, in the environment."""
        return bool(self._given)

    def newest(self) -> SigningKey:
        """The key that signs, made now in the file if there never was one. Raises OSError or InvalidField."""
        keys = self.all()
        return keys[0] if keys else self._add(keep=0, only_first=True)

    def find(self, key_id: str) -> SigningKey | None:
        """The key a token names. For one not known the file is looked at at once: another process may just have
        made it."""
        found = self._named(key_id)
        if found is None:
            self._read()
            found = self._named(key_id)
        return found

    def all(self) -> tuple[SigningKey, ...]:
        """Newest first; empty before the first was made."""
        now = self._monotonic()
        if self._looked_at is None or now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._read()
        return self._keys

    def rotate(self, *, keep: int = 1) -> SigningKey:
        """A fresh key in front; of the older ones the `keep` newest stay to verify. Raises InvalidField, OSError."""
        if self._given:
            raise InvalidField(
                f"The signing key comes from {VARIABLE}: put a new one before the old, separated by a comma "
                "(`openssl rand -hex 32` makes one), restart every gateway, and take the old one away later.",
                param=VARIABLE,
            )
        return self._add(keep=keep, only_first=False)

    def _named(self, key_id: str) -> SigningKey | None:
        return next((key for key in self.all() if key.public.kid == key_id), None)

    def _add(self, *, keep: int, only_first: bool) -> SigningKey:
        """Whoever holds the lock first makes the key; the others find it there."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self._path.with_name(f"{FILE}.lock")):
            self._read()
            if not (only_first and self._keys):
                older = [key.seed for key in self._keys[:keep]]
                _write(self._path, [self._entropy(SIZE), *older])
                self._read()
            return self._keys[0]

    def _read(self) -> None:
        stamp: tuple[int, int] | None = None
        with suppress(FileNotFoundError):
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
        if stamp == self._stamp and (self._keys or (stamp is None and not self._given)):
            return
        filed: list[bytes] = []
        if stamp is not None:
            lines = self._path.read_text().splitlines()
            filed = [_seed(line, f"the file {self._path}") for line in lines if line.strip()]
        seeds = dict.fromkeys((*self._given, *filed))
        self._keys = tuple(_pair(seed) for seed in seeds)
        self._stamp = stamp


def thumbprint(members: Mapping[str, str]) -> str:
    """A key's name made from the key itself (RFC 7638): the required members, sorted, SHA-256, base64url."""
    encoded = msgspec.json.encode(dict(sorted(members.items())))
    return _base64url(hashlib.sha256(encoded).digest())


def _pair(seed: bytes) -> SigningKey:
    # Imported here: OpenSSL's bindings take a while, and an installation without logins never needs them.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(seed)
    x = _base64url(private.public_key().public_bytes_raw())
    kid = thumbprint({"crv": "Ed25519", "kty": "OKP", "x": x})
    return SigningKey(public=PublicKey(kid=kid, x=x), private=private, seed=seed)


def _seed(text: str, where: str) -> bytes:
    return read_key(text, what="signing key", where=where, param=VARIABLE)


def _write(path: Path, seeds: Iterable[bytes]) -> None:
    """Whole and on the disk before it takes the old one's name."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE}-")
    try:
        with os.fdopen(handle, "w") as file:
            file.writelines(f"{seed.hex()}\n" for seed in seeds)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """An exclusive lock between processes; the kernel frees it if we die."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
