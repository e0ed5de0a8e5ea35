"""The throttle of guesses: how often a password may be tried, per account and per address, over all processes.

GCRA, the generic cell rate algorithm (ITU-T I.371): one number a subject, moved by one statement of the database,
so attempts that come at once are counted one after the other. Refuses to know what is guessed.
"""

import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from msgspec import Struct
from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.engine import Database
from gateway.database.session_tables import ThrottleRow
from inference.ir.errors import RateLimited
from policies.api_keys import Pepper


class Allowance(Struct, frozen=True, kw_only=True):
    """`burst` attempts at once, and one more every `seconds`."""

    burst: int
    seconds: float


_PRUNED_AT_ONCE = 200

ACCOUNT = Allowance(burst=10, seconds=60.0)
ADDRESS = Allowance(burst=60, seconds=10.0)


class Throttle:
    """Counts an attempt before it is made; a right one is given back."""

    def __init__(
        self,
        database: Database,
        pepper: Pepper,
        *,
        account: Allowance = ACCOUNT,
        address: Allowance = ADDRESS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._account = account
        self._address = address
        self._clock = clock

    async def take(self, account: str | None, address: str | None) -> None:
        """Count an attempt on `account` from `address`. Raises RateLimited, with when to come back; Unavailable.

        None is not counted. One refused for the account still counts for the address: there is no free guessing.
        """
        # In a transaction of its own: however the attempt ends, it was made.
        async with self._database.writing() as session:
            waits = [0.0]
            if address is not None:
                waits.append(await self._step(session, self._of_address(address), self._address))
            if account is not None:
                waits.append(await self._step(session, self._of_account(account), self._account))
        wait = max(waits)
        if wait > 0:
            raise RateLimited(
                f"There were too many attempts to log in; try again in {max(1, round(wait))} seconds.",
                code="too_many_logins",
                retry_after=wait,
            )

    async def succeeded(self, session: AsyncSession, account: str, address: str | None) -> None:
        """Forget the account's attempts, for its holder has come, and give the address this one back."""
        # In the order they are taken in, so that two transactions never wait for each other.
        if address is not None:
            given_back = ThrottleRow.arrival - int(self._address.seconds * 1000)
            of_address = ThrottleRow.subject == self._of_address(address)
            await session.execute(update(ThrottleRow).where(of_address).values(arrival=given_back))
        await session.execute(delete(ThrottleRow).where(ThrottleRow.subject == self._of_account(account)))
        # Whoever is no longer ahead of their allowance need not be remembered.
        old = select(ThrottleRow.subject).where(ThrottleRow.arrival < int(self._clock() * 1000))
        old = old.limit(_PRUNED_AT_ONCE).with_for_update(skip_locked=True)
        await session.execute(delete(ThrottleRow).where(ThrottleRow.subject.in_(old)))

    async def _step(self, session: AsyncSession, subject: str, allowed: Allowance) -> float:
        """Count one attempt; how many seconds too early it came, 0 for not at all."""
        now = int(self._clock() * 1000)
        step = int(allowed.seconds * 1000)
        ahead = step * allowed.burst
        insert = (postgresql.insert if self._database.is_postgres else sqlite.insert)(ThrottleRow)
        known = ThrottleRow.arrival
        latest = insert.values(subject=subject, arrival=now + step)
        # The later of the arrival known and now, and one step more; left alone where that is too far ahead.
        counted = latest.on_conflict_do_update(
            index_elements=[ThrottleRow.subject],
            set_={"arrival": case((known > now, known + step), else_=now + step)},
            where=known + step <= now + ahead,
        ).returning(known)
        if (await session.execute(counted)).scalar_one_or_none() is not None:
            return 0.0
        arrival = (await session.execute(select(known).where(ThrottleRow.subject == subject))).scalar_one()
        return max(1, arrival + step - ahead - now) / 1000

    def _of_account(self, account: str) -> str:
        # A digest: what is typed into a login form is not always an address, sometimes it is a password.
        return f"account:{self._pepper.digest(f'throttle {account}').hex()}"

    def _of_address(self, address: str) -> str:
        return f"address:{_network(address)}"[:80]


def _network(address: str) -> str:
    """Who an address belongs to: of IPv6 a subscriber has at least a /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
