"""Credit desk: what people do with accounts, at the management API and the command line.

Owns the bridge from people's words (a team's name, dollars) to the ledger, and the audit log of what they change.
Refuses to show or touch what is another organisation's.
"""

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from msgspec import Struct
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.drain import Drain
from billing.ledger import tables
from billing.ledger.accounts import Account, Kind, Reason, account_id
from billing.ledger.amounts import nano_of
from billing.ledger.grants import Balance, Grant, Posting
from billing.ledger.history import Page
from billing.ledger.ledger import DEFAULT_PRIORITY, Ledger
from billing.ledger.reading import account_of
from billing.ledger.statement import Statement
from billing.pricing import usd
from gateway.database import audit
from gateway.database.engine import Database, away_as_unavailable
from gateway.database.tables import OrganisationRow, TeamRow, UserRow
from gateway.database.validity import searchable
from inference.ir.errors import InvalidField, NotFound
from policies.caller import Caller

MOST_LISTED = 500
_FLUSH_SECONDS = 2.0


class AccountView(Struct, frozen=True, kw_only=True):
    """An account as it stands. `available` is what is not spent, less what is owed; `held` of it is held by requests
    under way. `fresh`: all that this machine's requests cost is in it."""

    id: str
    owner: str
    kind: Kind
    available_nano: int
    available_usd: str
    held_nano: int
    debt_nano: int
    floor_nano: int
    grants: list[Grant]
    fresh: bool


class AccountLine(Struct, frozen=True, kw_only=True):
    """An account in a list."""

    id: str
    owner: str
    kind: Kind
    available_nano: int
    available_usd: str
    debt_nano: int
    floor_nano: int


class AccountPage(Struct, frozen=True, kw_only=True):
    """Accounts, by id. When `has_more`, ask again with `after` set to `last_id`."""

    data: list[AccountLine]
    has_more: bool
    last_id: str | None


class Amount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either `amount_nano`, whole nano-USD, or `amount_usd`, dollars as a decimal text; and what it is for.

    `reference` names the posting for ever: the same one again changes nothing, so that a retry is safe.
    """

    amount_nano: int | None = None
    amount_usd: str | None = None
    reference: str | None = None
    memo: str | None = None


class GrantOrder(Amount, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credit to be given. It burns before grants of higher `priority`, later `expires_at`, or lesser age."""

    reason: Reason = Reason.BONUS
    priority: int = DEFAULT_PRIORITY
    expires_at: datetime | None = None


class TakeBackOrder(Amount, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credit to be taken back, of the grant posted as `grant_reference` first. What is not there becomes debt."""

    reason: Reason = Reason.CORRECTION
    grant_reference: str | None = None


class _Owner(Struct, frozen=True):
    id: str
    org_id: str


class CreditDesk:
    """`tell` is awaited after every posting, so that running requests hear of it; `attach` makes an account pay."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        drain: Drain,
        *,
        attach: Callable[[str, str, Caller], Awaitable[None]],
        tell: Callable[[], Awaitable[object]],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._drain = drain
        self._tell = tell
        self._attach = attach

    async def list(self, caller: Caller, *, limit: int = 50, after: str | None = None) -> AccountPage:
        """The accounts of the caller's organisation, its teams and its users; the operator's are all."""
        if not 1 <= limit <= MOST_LISTED:
            raise InvalidField(f"limit is {limit}; 1 to {MOST_LISTED} were expected.", param="limit")
        a, b = tables.accounts.c, tables.balances.c
        query = (
            select(tables.accounts, b.balance_nano, b.debt_nano)
            .join(tables.balances, b.account_id == a.id)
            .where(a.kind != Kind.SYSTEM, a.id > (after or ""))
            .order_by(a.id)
            .limit(limit + 1)
        )
        if not caller.is_operator:
            org = caller.org_id or ""
            teams = select(TeamRow.id).where(TeamRow.org_id == org)
            users = select(UserRow.id).where(UserRow.org_id == org)
            query = query.where(or_(a.owner == org, a.owner.in_(teams), a.owner.in_(users)))
        async with self._database.reading() as session:
            rows = (await session.execute(query)).all()
        data = [
            AccountLine(
                id=row.id,
                owner=row.owner,
                kind=Kind(row.kind),
                available_nano=row.balance_nano,
                available_usd=usd(row.balance_nano),
                debt_nano=row.debt_nano,
                floor_nano=row.floor_nano,
            )
            for row in rows[:limit]
        ]
        return AccountPage(data=data, has_more=len(rows) > limit, last_id=data[-1].id if data else None)

    async def show(self, caller: Caller, owner: str) -> AccountView:
        """How an account stands, everything journaled on this machine included. Raises NotFound."""
        account = await self._account(caller, owner)
        fresh = await self._drain.flush(timeout=_FLUSH_SECONDS)
        with away_as_unavailable():
            return _view(account, await self._ledger.balance(account.id), fresh=fresh)

    async def open(self, caller: Caller, owner: str, floor_nano: int) -> AccountView:
        """Open an account, which from then on pays for its owner's requests, or change how far down it may be spent."""
        async with self._database.writing() as session:
            found = await _owner(session, caller, owner)
            connection = await session.connection()
            before = await _stored(session, found.id)
            account = await self._ledger.open_account(found.id, floor_nano=floor_nano, within=connection)
            if account.floor_nano != floor_nano:
                account = await self._ledger.set_floor(account.id, floor_nano, within=connection)
            if before is None or before.floor_nano != floor_nano:
                await audit.record(
                    session,
                    caller,
                    "credits.open" if before is None else "credits.floor",
                    "account",
                    account.id,
                    None if before is None else {"floor_nano": before.floor_nano},
                    {"floor_nano": floor_nano},
                    org_id=found.org_id,
                )
        await self._attach(found.id, account.id, caller)
        return await self.show(caller, found.id)

    async def grant(self, caller: Caller, owner: str, order: GrantOrder) -> Posting:
        """Give credit to an account that is open. Raises NotFound, InvalidField and Conflict."""
        amount = _positive(order)
        if order.expires_at is not None and order.expires_at.tzinfo is None:
            raise InvalidField(
                "expires_at: expected a time with its zone, such as 2026-12-31T00:00:00Z", param="expires_at"
            )
        if order.expires_at is not None and order.expires_at <= datetime.now(UTC):
            raise InvalidField(
                f"expires_at: expected a time to come; {order.expires_at.isoformat()} is past",
                param="expires_at",
            )

        async def post(session: AsyncSession, account: str, reference: str) -> Posting:
            return await self._ledger.grant(
                account,
                amount,
                reason=order.reason,
                reference=reference,
                priority=order.priority,
                expires_at=order.expires_at,
                actor=caller.name,
                metadata=_memo(order),
                within=await session.connection(),
            )

        return await self._post(caller, owner, order, "credits.grant", post)

    async def take_back(self, caller: Caller, owner: str, order: TakeBackOrder) -> Posting:
        """Take credit back. Raises NotFound, InvalidField and Conflict."""
        amount = _positive(order)

        async def post(session: AsyncSession, account: str, reference: str) -> Posting:
            return await self._ledger.take_back(
                account,
                amount,
                reason=order.reason,
                reference=reference,
                grant_reference=order.grant_reference,
                actor=caller.name,
                metadata=_memo(order),
                within=await session.connection(),
            )

        return await self._post(caller, owner, order, "credits.take_back", post)

    async def adjust(self, caller: Caller, owner: str, order: Amount) -> Posting:
        """Correct a balance by a signed amount. Raises NotFound, InvalidField and Conflict."""
        amount = _nano(order)
        if not order.memo:
            raise InvalidField("memo: say why the balance is adjusted; its owner reads it", param="memo")
        memo = order.memo

        async def post(session: AsyncSession, account: str, reference: str) -> Posting:
            return await self._ledger.adjust(
                account,
                amount,
                reference=reference,
                memo=memo,
                actor=caller.name,
                within=await session.connection(),
            )

        return await self._post(caller, owner, order, "credits.adjust", post)

    async def transactions(
        self, caller: Caller, owner: str, *, limit: int = 50, after: str | None = None
    ) -> Page:
        """What changed the balance, newest first."""
        if not 1 <= limit <= MOST_LISTED:
            raise InvalidField(f"limit is {limit}; 1 to {MOST_LISTED} were expected.", param="limit")
        account = await self._account(caller, owner)
        await self._drain.flush(timeout=_FLUSH_SECONDS)
        with away_as_unavailable():
            return await self._ledger.transactions(account.id, limit=limit, after=after)

    async def statement(self, caller: Caller, owner: str, month: str) -> Statement:
        """A month in UTC, such as 2026-02."""
        account = await self._account(caller, owner)
        await self._drain.flush(timeout=_FLUSH_SECONDS)
        with away_as_unavailable():
            return await self._ledger.statement(account.id, month)

    async def _post(
        self,
        caller: Caller,
        owner: str,
        order: Amount,
        action: str,
        post: Callable[[AsyncSession, str, str], Awaitable[Posting]],
    ) -> Posting:
        """The posting and its line in the audit log, in one transaction; then the news of it."""
        reference = order.reference or f"manual_{secrets.token_hex(12)}"
        async with self._database.writing() as session:
            found = await _owner(session, caller, owner)
            account = await _stored(session, found.id)
            if account is None:
                raise _not_open(owner)
            posting = await post(session, account.id, reference)
            if not posting.repeated:
                await audit.record(
                    session,
                    caller,
                    action,
                    "account",
                    account.id,
                    {"balance_nano": posting.balance_nano - posting.amount_nano},
                    {
                        "balance_nano": posting.balance_nano,
                        "reason": posting.reason.value,
                        "reference": reference,
                        "memo": order.memo,
                    },
                    org_id=found.org_id,
                )
        await self._tell()
        return posting

    async def _account(self, caller: Caller, owner: str) -> Account:
        async with self._database.reading() as session:
            found = await _owner(session, caller, owner)
            account = await _stored(session, found.id)
        if account is None:
            raise _not_open(owner)
        return account


async def _owner(session: AsyncSession, caller: Caller, named: str) -> _Owner:
    """An organisation, team or user by id; organisations and teams also by name. Raises NotFound."""
    named = searchable(named)
    for row, query in (
        (TeamRow, select(TeamRow.id, TeamRow.org_id).where(or_(TeamRow.id == named, TeamRow.name == named))),
        (UserRow, select(UserRow.id, UserRow.org_id).where(UserRow.id == named)),
        (
            OrganisationRow,
            select(OrganisationRow.id, OrganisationRow.id.label("org_id")).where(
                or_(OrganisationRow.id == named, OrganisationRow.name == named)
            ),
        ),
    ):
        found = [each for each in (await session.execute(query)).all() if caller.sees(each.org_id)]
        found.sort(key=lambda each: each.id != named)
        if len(found) > 1 and found[0].id != named:
            raise InvalidField(
                f"{named!r} names several {row.__tablename__}; use an id: {', '.join(each.id for each in found)}",
                param="owner",
            )
        if found:
            return _Owner(found[0].id, found[0].org_id)
    raise NotFound(f"There is no organisation, team or user {named[:64]!r} here, or none that you may see.")


async def _stored(session: AsyncSession, owner: str) -> Account | None:
    query = select(tables.accounts).where(tables.accounts.c.id == account_id(owner))
    row = (await session.execute(query)).one_or_none()
    return None if row is None else account_of(row)


def _view(account: Account, balance: Balance, *, fresh: bool) -> AccountView:
    return AccountView(
        id=account.id,
        owner=account.owner,
        kind=account.kind,
        available_nano=balance.available_nano,
        available_usd=usd(balance.available_nano),
        held_nano=balance.open_holds_nano,
        debt_nano=balance.debt_nano,
        floor_nano=balance.floor_nano,
        grants=balance.grants,
        fresh=fresh,
    )


def _nano(order: Amount) -> int:
    if (order.amount_nano is None) == (order.amount_usd is None):
        raise InvalidField(
            "amount_nano: give this, whole nano-USD, or amount_usd, a decimal text", param="amount_nano"
        )
    return order.amount_nano if order.amount_nano is not None else nano_of(order.amount_usd or "")


def _positive(order: Amount) -> int:
    amount = _nano(order)
    if amount <= 0:
        raise InvalidField(
            f"amount_nano: expected more than 0; got {amount}. Credit is taken with take-backs or adjustments.",
            param="amount_nano" if order.amount_nano is not None else "amount_usd",
        )
    return amount


def _memo(order: Amount) -> dict[str, str]:
    return {} if order.memo is None else {"memo": order.memo}


def _not_open(owner: str) -> NotFound:
    return NotFound(
        f"{owner[:64]!r} has no account, so nobody pays for its requests. Open one: "
        "PUT /admin/v1/credits/{owner} or `aspendos credits open`.",
        code="account_not_found",
    )
