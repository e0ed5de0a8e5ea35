"""Monthly grants: gives every holder of a tier the credits it has each month. Refuses to decide how many are due.

A pass looks at who has which tier, notes where that gives other credits than before, and posts what is due and not
posted. Each grant has a reference that no second one can have, so passes may overlap, over processes too, and one
that was killed is simply made again. What a processor of payments gives with a paid month is left to it.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from msgspec import Struct
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from billing.ledger import tables as ledger_tables
from billing.ledger.accounts import Reason
from billing.ledger.grants import Posting
from billing.ledger.ledger import Ledger
from billing.processors.processor import Status
from billing.processors.tables import payment_customers, payment_subscriptions
from gateway.database import audit
from gateway.database.changes import Changes, Kind
from gateway.database.engine import Database
from gateway.database.tables import OrganisationRow, TeamRow, UserRow
from gateway.database.tier_terms import TierTermRow
from gateway.tasks import spawn
from inference.ir.errors import AspendosError, Unavailable
from inference.ir.tiers import Tier
from policies.allowance import Due, Term, due

GRANT_PRIORITY = 10
"""Before what was bought (50): monthly credits expire, bought ones need not."""

_ROWS: tuple[tuple[Kind, type[OrganisationRow | TeamRow | UserRow], InstrumentedAttribute[str]], ...] = (
    ("org", OrganisationRow, OrganisationRow.id),
    ("team", TeamRow, TeamRow.org_id),
    ("user", UserRow, UserRow.org_id),
)
_SUBJECTS: Mapping[Kind, str] = {"org": "organisation", "team": "team", "user": "user"}
_ASKED_AT_ONCE = 500
_PAUSE_SECONDS = 1.0
"""Between two looks at the news, which a busy gateway makes all the time."""
_log = structlog.stdlib.get_logger("monthly_grants")


class Funds(Protocol):
    """Posts credit: `gateway.credit.Credit`, so that requests can use it at once, or a ledger alone."""

    async def grant(
        self,
        account: str,
        amount_nano: int,
        *,
        reason: Reason,
        reference: str,
        priority: int = ...,
        expires_at: datetime | None = None,
        metadata: Mapping[str, str] = ...,
    ) -> Posting:
        """Once per reason and reference, for ever."""
        ...


class _Holder(Struct, frozen=True):
    """Who has, or had, a tier with credits."""

    kind: Kind
    id: str
    org_id: str
    tier: str | None
    account: str | None


class MonthlyGrants:
    """`tiers` are the catalogue's as they are now; `clock` gives unix seconds."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        ledger: Ledger,
        funds: Funds,
        tiers: Callable[[], Mapping[str, Tier]],
        *,
        clock: Callable[[], float] = time.time,
        interval: float = 60.0,
    ) -> None:
        self._database = database
        self._changes = changes
        self._ledger = ledger
        self._funds = funds
        self._tiers = tiers
        self._clock = clock
        self._interval = interval
        self._posted: set[str] = set()
        self._unknown: frozenset[str] = frozenset()
        self._woken = asyncio.Event()
        self._seen: int | None = None
        self._stopping = False

    async def run(self) -> None:
        """Pass after pass, until cancelled: one when a tier may have changed, and one each interval.

        A pass that fails is logged, and costs nobody a grant: the next one posts it. One that is under way when
        this is cancelled ends the posting it is at.
        """
        async with self._changes.ringing(self._woken.set):
            await self._whole(self._changed())
            while True:
                await self._whole(self._pass())
                await self._until_due()

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._interval
        while (left := end - loop.time()) > 0:
            try:
                async with asyncio.timeout(left):  # `wait_for` loses a cancellation that comes as a bell does
                    await self._woken.wait()
            except TimeoutError:
                return
            self._woken.clear()
            if await self._whole(self._changed()):
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _whole(self, doing: Coroutine[Any, Any, bool]) -> bool:
        """What it says, False where it failed. It is never cut off within a transaction."""
        task = spawn(doing, name="monthly grants: a pass")
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            self._stopping = True
            await asyncio.wait({task})
            raise
        return task.exception() is None and task.result()

    async def _changed(self) -> bool:
        """Whether anybody's tier may be another since this was last asked. Bells also ring for other news."""
        try:
            news = await self._changes.since(self._seen)
        except Unavailable:
            return False
        self._seen = news.seq
        return news.everything or bool(news.orgs or news.teams or news.users)

    async def _pass(self) -> bool:
        try:
            return await self.pass_once() > 0
        except Unavailable as error:
            _log.warning("monthly grants wait for the database", reason=error.message)
            return False

    async def pass_once(self) -> int:
        """How many grants were posted. Raises Unavailable when the database is away."""
        now = int(self._clock())
        paid = await self._paid()
        holders = await self._holders()
        for org_id, given in (await self._paid()).items():
            paid[org_id] |= given  # what was paid before or after the holders were looked at
        terms = await self._noted(holders, paid, now)
        wanted = [(holder, one) for holder in holders for one in due(holder.id, terms[holder.id], now)]
        self._posted &= {one.reference for _, one in wanted}
        fresh = [(holder, one) for holder, one in wanted if one.reference not in self._posted]
        for at in range(0, len(fresh), _ASKED_AT_ONCE):
            self._posted |= await self._known([one.reference for _, one in fresh[at : at + _ASKED_AT_ONCE]])
        posted = 0
        for holder, one in fresh:
            if one.reference not in self._posted and not self._stopping:
                posted += await self._post(holder, one)
        return posted

    async def _holders(self) -> list[_Holder]:
        """Everybody with a tier, or with a term from when they had one, but not who is disabled."""
        noted = select(TierTermRow.holder_id)
        found: list[_Holder] = []
        async with self._database.reading() as session:
            for kind, row, org_id in _ROWS:
                query = select(row.id, org_id, row.tier, row.account).where(
                    or_(row.tier.is_not(None), row.id.in_(noted)), row.disabled.is_(False)
                )
                found += [_Holder(kind, *columns) for columns in await session.execute(query)]
        return found

    async def _paid(self) -> defaultdict[str, set[str]]:
        """The tiers that each organisation's subscriptions give, and with them their credits.

        A subscription is seen before its tier is set and seen to end before that is taken away, so both a running
        one and the tier noted last count: at no moment are credits given a second time.
        """
        customers, subscriptions = payment_customers.c, payment_subscriptions.c
        found: defaultdict[str, set[str]] = defaultdict(set)
        async with self._database.reading() as session:
            for query in (
                select(customers.org_id, customers.tier).where(customers.tier.is_not(None)),
                select(subscriptions.org_id, subscriptions.tier).where(
                    subscriptions.tier.is_not(None), subscriptions.status != Status.ENDED
                ),
            ):
                for org_id, tier in await session.execute(query):
                    found[org_id].add(tier)
        return found

    async def _noted(
        self, holders: Sequence[_Holder], paid: Mapping[str, set[str]], now: int
    ) -> dict[str, list[Term]]:
        """The terms of each, with a new one where the tier gives other credits than the last says."""
        terms: dict[str, list[Term]] = defaultdict(list)
        async with self._database.reading() as session:
            rows = await session.execute(
                select(TierTermRow.holder_id, TierTermRow.since, TierTermRow.credits).order_by(
                    TierTermRow.holder_id, TierTermRow.seq
                )
            )
            for holder_id, since, credits in rows:
                terms[holder_id].append(Term(since=since, credits=credits))
        tiers = self._tiers()
        self._report({holder.tier for holder in holders if holder.tier is not None} - set(tiers))
        for holder in holders:
            past = terms[holder.id]
            credits = _credits(holder, tiers, paid)
            if credits is None or credits == (past[-1].credits if past else 0):
                continue
            if await self._note(holder, len(past) + 1, now, credits):
                past.append(Term(since=now, credits=credits))
        return terms

    async def _note(self, holder: _Holder, seq: int, now: int, credits: int) -> bool:
        """Whether the term was added; another process may just have done it."""
        try:
            async with self._database.writing() as session:
                session.add(
                    TierTermRow(holder_id=holder.id, seq=seq, since=now, tier=holder.tier, credits=credits)
                )
        except IntegrityError:
            return False
        return True

    async def _known(self, references: list[str]) -> set[str]:
        """Which of these the ledger has."""
        columns = ledger_tables.transactions.c
        query = select(columns.reference).where(
            columns.reason == Reason.PROMOTION, columns.reference.in_(references)
        )
        async with self._database.reading() as session:
            return {row[0] for row in await session.execute(query)}

    async def _post(self, holder: _Holder, one: Due) -> int:
        try:
            account = await self._account(holder)
            await self._funds.grant(
                account,
                one.amount_nano,
                reason=Reason.PROMOTION,
                reference=one.reference,
                priority=GRANT_PRIORITY,
                expires_at=datetime.fromtimestamp(one.expires_at, UTC),
                metadata={"tier": holder.tier or "", "month": one.month},
            )
        except Unavailable:
            raise
        except AspendosError as error:
            _log.error("a monthly grant was refused", reference=one.reference, reason=error.message)
            return 0
        self._posted.add(one.reference)
        _log.info("monthly grant", reference=one.reference, nano=one.amount_nano)
        return 1

    async def _account(self, holder: _Holder) -> str:
        """The holder's own account, opened if there is none: from then on it pays for the holder's requests."""
        if holder.account is not None:
            return holder.account
        account = await self._ledger.open_account(holder.id)
        row_type = next(row for kind, row, _ in _ROWS if kind == holder.kind)
        async with self._changes.writing() as session:
            row = await session.get(row_type, holder.id, with_for_update=True)
            if row is not None and row.account is None:
                row.account = account.id
                await self._changes.record(session, holder.kind, holder.id)
                await audit.record(
                    session,
                    "monthly grants",
                    f"{_SUBJECTS[holder.kind]}.account",
                    _SUBJECTS[holder.kind],
                    holder.id,
                    {"account": None},
                    {"account": account.id},
                    org_id=holder.org_id,
                )
        return account.id

    def _report(self, unknown: set[str]) -> None:
        """A tier the catalogue does not have gives nothing; said once, not each pass."""
        for name in sorted(unknown - self._unknown):
            _log.error("a tier that somebody has is not in the catalogue", tier=name)
        self._unknown = frozenset(unknown)


def _credits(holder: _Holder, tiers: Mapping[str, Tier], paid: Mapping[str, set[str]]) -> int | None:
    """What the holder's tier gives a month; 0 where a payment gives it. None: nobody knows, so nothing changes."""
    given = paid.get(holder.id, ())
    if holder.tier is None or holder.tier in given:
        return 0
    tier = tiers.get(holder.tier)
    return None if tier is None else tier.credits_per_month
