"""Master keys: where the keys that wrap other keys come from, newest first. Refuses to encrypt anything itself.

They come from the variable ASPENDOS_MASTER_KEY (several separated by commas, newest first) and from the file
`<data_dir>/master_key` (one a line, newest first, mode 0600), which is made when first needed if there is
neither. Of both, the variable's first key wraps; every key known opens. A key is known by its id, a digest of
itself, so nothing has to be numbered by hand and a wrong key is never mistaken for the right one.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from gateway.key_bytes import SIZE, read_key
from inference.ir.errors import InvalidField, ProviderKeyUnreadable
from policies.api_keys import Entropy

VARIABLE = "ASPENDOS_MASTER_KEY"
FILE = "master_key"


class MasterKey(Struct, frozen=True, kw_only=True):
    """32 bytes for AES-256, and the id by which rows name it (16 hex digits)."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"MasterKey({self.id})"


class MasterKeys:
    """Every master key this process knows. One that was known stays known until the process ends."""

    def __init__(
        self, data_dir: Path, env: Mapping[str, str], *, entropy: Entropy = secrets.token_bytes
    ) -> None:
        """Reads both. Raises InvalidField for a variable that is not 32 bytes in hex or base64; a file that is not
        what it should be is told by `trouble`, for the gateway serves everybody else without it."""
        self._path = data_dir / FILE
        self._entropy = entropy
        self._given = tuple(
            _parsed(text, f"the variable {VARIABLE}")
            for text in env.get(VARIABLE, "").split(",")
            if text.strip()
        )
        self._filed: tuple[MasterKey, ...] = ()
        self._known: dict[str, MasterKey] = {key.id: key for key in self._given}
        self._seen: tuple[int, int] | None = None
        self._gone = False
        self.trouble: str | None = None
        """What is wrong with the file; None: nothing."""
        self._read()

    @property
    def newest(self) -> MasterKey | None:
        """The key that wraps, as variable and file say now; None where there is none yet."""
        self._read()
        return next(iter((*self._given, *self._filed)), None)

    @property
    def from_variable(self) -> bool:
        """Whether the key that wraps is the operator's to change, in the environment."""
        return bool(self._given)

    def find(self, key_id: str) -> MasterKey:
        """The key of that id, the file looked at again if need be. Raises ProviderKeyUnreadable."""
        found = self._known.get(key_id)
        if found is None:
            self._read()
            found = self._known.get(key_id)
        if found is None:
            raise missing(key_id)
        return found

    def knows(self, key_id: str) -> bool:
        """Whether a row that names this key can be opened, as far as one can tell without opening it."""
        if key_id not in self._known:
            self._read()
        return key_id in self._known

    def ensure(self) -> MasterKey:
        """The newest key, made now in the file if there never was one. Raises OSError, ProviderKeyUnreadable."""
        newest = self.newest
        if self.trouble is not None and not self._given:
            raise ProviderKeyUnreadable(f"No provider key can be stored now: {self.trouble}.")
        if newest is not None and self._gone and not self._given:
            raise missing(newest.id)
        return newest or self._add()

    def add(self) -> MasterKey:
        """A fresh key, put first in the file. Raises InvalidField while the variable decides which key wraps."""
        if self._given:
            raise InvalidField(
                f"The master key comes from {VARIABLE}: put a new one before the old, separated by a comma "
                "(`openssl rand -hex 32` makes one), restart every gateway, and run this again.",
                param=VARIABLE,
            )
        return self._add(again=True)

    def forget_all_but(self, key_id: str) -> int:
        """Take every other key out of the file, for good; how many there were. Raises OSError."""
        with self._locked():
            self._read()
            keep = [key for key in self._filed if key.id == key_id]
            gone = len(self._filed) - len(keep)
            if gone:
                self._write(keep)
            return gone

    def _add(self, *, again: bool = False) -> MasterKey:
        """Whoever holds the lock first makes the key; the others find it there."""
        with self._locked():
            self._read()
            if self._filed and not again:
                return self._filed[0]
            made = _named(self._entropy(SIZE))
            self._write([made, *self._filed])
            return made

    def _locked(self) -> "_Lock":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return _Lock(self._path.with_name(f"{FILE}.lock"))

    def _write(self, keys: Iterable[MasterKey]) -> None:
        """Whole and on the disk before it takes the old one's name. Never over a file that was not understood."""
        if self.trouble is not None:
            raise ProviderKeyUnreadable(f"The master keys stay as they are: {self.trouble}.")
        handle, draft = tempfile.mkstemp(dir=self._path.parent, prefix=f".{FILE}-")
        try:
            with os.fdopen(handle, "w") as file:
                file.writelines(f"{key.key.hex()}\n" for key in keys)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(self._path)
        finally:
            Path(draft).unlink(missing_ok=True)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._read()

    def _read(self) -> None:
        """Look at the file, if it is not the one already read. What was read stays known whatever it says now."""
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns)
            if seen == self._seen:
                self._gone = False
                return
            lines = [line.strip() for line in self._path.read_text().splitlines() if line.strip()]
            self._filed = tuple(_parsed(line, f"the file {self._path}") for line in lines)
        except FileNotFoundError:
            # Nothing more may be wrapped with what the next start will not find.
            self._gone = bool(self._filed)
        except OSError as error:
            self.trouble = f"the file {self._path} cannot be read ({error.strerror})"
        except (InvalidField, UnicodeDecodeError):
            self.trouble = f"the file {self._path} holds something that is no key"
        else:
            self._known.update((key.id, key) for key in self._filed)
            self._seen, self._gone, self.trouble = seen, False, None


def missing(key_id: str) -> ProviderKeyUnreadable:
    """The error for a row whose master key is not here."""
    return ProviderKeyUnreadable(
        f"This provider key was encrypted with the master key {key_id}, which this gateway does not have. Its "
        f"operator has to restore {VARIABLE} or the file `{FILE}` of the data directory; or store the key anew."
    )


class _Lock:
    """An exclusive lock between processes; the kernel frees it if we die."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def __enter__(self) -> None:
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def _named(key: bytes) -> MasterKey:
    return MasterKey(id=hmac.new(key, b"aspendos master key id", hashlib.sha256).hexdigest()[:16], key=key)


def _parsed(text: str, where: str) -> MasterKey:
    return _named(read_key(text, what="master key", where=where, param=VARIABLE))
