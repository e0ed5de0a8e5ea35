"""Passwords: how they are kept and checked. Refuses to keep one itself, or to say more than yes or no.

Argon2id (RFC 9106) through OpenSSL, with the least cost OWASP's Password Storage Cheat Sheet recommends: 19 MiB,
two passes, one lane. A hash carries its own costs, so they can be raised later and old hashes still check.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from inference.ir.errors import InvalidField, Unavailable
from policies.api_keys import Entropy

SHORTEST = 12
LONGEST = 256
_MEMORY_KIB = 19 * 1024
_PASSES = 2
_LANES = 1
_SALT = 16
_LENGTH = 32
_AT_ONCE = 2
"""How many are checked at a time in a process: each takes tens of milliseconds of a core and 19 MiB."""
_MOST_WAITING = 100


class Passwords:
    """Hashes and checks off the event loop, a few at a time."""

    def __init__(self, *, entropy: Entropy = secrets.token_bytes, passes: int = _PASSES) -> None:
        self._entropy = entropy
        self._passes = passes
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to keep, in PHC's form (`$argon2id$v=19$…`).

        Raises InvalidField for an unfit password, Unavailable where too many wait.
        """
        check_fit(password)
        async with self._turn():
            return await asyncio.to_thread(self._derive, password)

    async def verify(self, password: str, kept: str | None) -> bool:
        """Whether `password` is the one `kept` was made of. For None as much work is done, and the answer is no:
        the time taken does not tell whether there is such a user. Raises Unavailable where too many wait."""
        async with self._turn():
            if self._nobodys is None:
                self._nobodys = await asyncio.to_thread(self._derive, self._entropy(_SALT).hex())
            right = await asyncio.to_thread(_matches, password[: LONGEST + 1], kept or self._nobodys)
        return right and kept is not None

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        """A flood of logins must not pile up: whoever waits for seconds has gone away before their turn."""
        if self._waiting >= _MOST_WAITING:
            raise Unavailable(
                "Too many are logging in at this moment; try again.", code="logins_busy", retry_after=2.0
            )
        self._waiting += 1
        try:
            async with self._turns:
                yield
        finally:
            self._waiting -= 1

    def _derive(self, password: str) -> str:
        # Imported here: OpenSSL's bindings take a while, and an installation without logins never needs them.
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        derivation = Argon2id(
            salt=self._entropy(_SALT),
            length=_LENGTH,
            iterations=self._passes,
            lanes=_LANES,
            memory_cost=_MEMORY_KIB,
        )
        return derivation.derive_phc_encoded(_bytes(password))


def check_fit(password: str, param: str = "password") -> None:
    """Raises InvalidField for a password too short or long (NIST SP 800-63B: length counts, composition does not)."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidField(
            f"{param} has {len(password)} characters; {SHORTEST} to {LONGEST} were expected. Several words make a "
            "good one.",
            param=param,
        )
    if len(set(password)) < 4:
        raise InvalidField(f"{param} repeats the same few characters; choose another.", param=param)


def _matches(password: str, kept: str) -> bool:
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    try:
        Argon2id.verify_phc_encoded(_bytes(password), kept)
    except InvalidKey:
        return False
    return True


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
