"""`aspendos credits`: accounts at the terminal, straight on the ledger. Running servers hear of it in seconds."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import App, Parameter

from billing.drain import Drain
from billing.ledger.accounts import Reason
from billing.ledger.amounts import nano_of
from billing.ledger.grants import Posting
from billing.ledger.ledger import DEFAULT_PRIORITY, Ledger
from billing.ledger.proof import Proof, prove
from billing.ledger.sheet import statement_lines, transaction_lines
from billing.ledger.statement import Statement
from billing.pricing import usd
from gateway.cli.answer import paged
from gateway.cli.control import Control, as_json, record, run, table
from gateway.cli.options import Csv, Json
from gateway.credit_desk import AccountView, Amount, CreditDesk, GrantOrder, TakeBackOrder
from gateway.database.engine import away_as_unavailable
from gateway.database.holders import HolderService
from inference.ir.errors import Internal, InvalidField

app = App(name="credits", help="Credit: accounts, grants, statements, and the proof that the books add up.")

Owner = Annotated[str, Parameter(help="Id or name of an organisation or team, or id of a user.")]
Usd = Annotated[str, Parameter(help="Dollars, such as 12.50; at most nine places.")]
Reference = Annotated[
    str | None, Parameter(help="Names this posting for ever; the same again changes nothing.")
]
Memo = Annotated[str | None, Parameter(help="What it is for; the account's owner reads it.")]


@app.command
def show(
    owner: Annotated[
        str | None, Parameter(help="Id or name of an organisation or team, or id of a user; left out: all.")
    ] = None,
    /,
    *,
    json: Json = False,
) -> int:
    """Show one account: what is available, held and owed, and its grants as they burn. Or list all accounts."""

    async def work(control: Control, desk: CreditDesk) -> str:
        if owner is not None:
            account = await desk.show(control.caller, owner)
            return as_json(account) if json else _card(account)
        page = await desk.list(control.caller, limit=500)
        if json:
            return as_json(page)
        rows = [
            (a.owner, a.kind.value, a.available_usd, usd(a.debt_nano), usd(a.floor_nano)) for a in page.data
        ]
        return table(("OWNER", "KIND", "AVAILABLE USD", "OWED USD", "FLOOR USD"), rows)

    return _run(work)


@app.command(name="open")
def open_(
    owner: Owner,
    /,
    *,
    credit_line: Annotated[str, Parameter(help="Dollars the account may go below zero.")] = "0",
    json: Json = False,
) -> int:
    """Open an account, or change its credit line: from now on it pays for its owner's requests."""

    async def work(control: Control, desk: CreditDesk) -> str:
        account = await desk.open(control.caller, owner, -nano_of(credit_line, "--credit-line"))
        return as_json(account) if json else _card(account)

    return _run(work)


@app.command
def grant(
    owner: Owner,
    amount: Usd,
    /,
    *,
    reason: Annotated[Reason, Parameter(help="Why.")] = Reason.BONUS,
    priority: Annotated[int, Parameter(help="Lower burns first.")] = DEFAULT_PRIORITY,
    expires: Annotated[str | None, Parameter(help="ISO 8601 date or time, UTC by default.")] = None,
    reference: Reference = None,
    memo: Memo = None,
    json: Json = False,
) -> int:
    """Give credit. What the account owes is paid with it first."""

    async def work(control: Control, desk: CreditDesk) -> str:
        order = GrantOrder(
            amount_nano=nano_of(amount, "amount"),
            reason=reason,
            priority=priority,
            expires_at=None if expires is None else _moment(expires),
            reference=reference,
            memo=memo,
        )
        return _posted(await desk.grant(control.caller, owner, order), json=json)

    return _run(work)


@app.command
def take_back(
    owner: Owner,
    amount: Usd,
    /,
    *,
    reason: Annotated[Reason, Parameter(help="Why.")] = Reason.CORRECTION,
    of_grant: Annotated[str | None, Parameter(help="Of the grant of this reference first.")] = None,
    reference: Reference = None,
    memo: Memo = None,
    json: Json = False,
) -> int:
    """Take credit back. What is not there any more becomes debt."""

    async def work(control: Control, desk: CreditDesk) -> str:
        order = TakeBackOrder(
            amount_nano=nano_of(amount, "amount"),
            reason=reason,
            grant_reference=of_grant,
            reference=reference,
            memo=memo,
        )
        return _posted(await desk.take_back(control.caller, owner, order), json=json)

    return _run(work)


@app.command
def adjust(
    owner: Owner,
    amount: Annotated[str, Parameter(help="Dollars, signed: -0.25 takes.", allow_leading_hyphen=True)],
    /,
    *,
    memo: Annotated[str, Parameter(help="Why; the account's owner reads it.")],
    reference: Reference = None,
    json: Json = False,
) -> int:
    """Correct a balance by hand."""

    async def work(control: Control, desk: CreditDesk) -> str:
        order = Amount(amount_nano=nano_of(amount, "amount"), memo=memo, reference=reference)
        return _posted(await desk.adjust(control.caller, owner, order), json=json)

    return _run(work)


@app.command
def transactions(
    owner: Owner,
    /,
    *,
    limit: Annotated[int, Parameter(help="At most so many, up to 500.")] = 20,
    after: Annotated[str | None, Parameter(help="Go on after an earlier page: its next_cursor.")] = None,
    json: Json = False,
    csv: Csv = False,
) -> int:
    """List what changed a balance, newest first."""

    async def work(control: Control, desk: CreditDesk) -> str:
        page = await desk.transactions(control.caller, owner, limit=limit, after=after)
        if json:
            return as_json(page)
        if csv:
            return transaction_lines(page.transactions).rstrip()
        rows = [
            (
                _time(each.at),
                each.reason.value,
                each.amount_usd,
                usd(each.balance_after_nano),
                _printable(each.model or each.metadata.get("memo") or "-"),
                _printable(each.reference or "-"),
            )
            for each in page.transactions
        ]
        text = table(("TIME", "REASON", "USD", "BALANCE USD", "FOR", "REFERENCE"), rows)
        return paged(text, page.next_cursor)

    return _run(work)


@app.command
def statement(
    owner: Owner,
    month: Annotated[str, Parameter(help="Such as 2026-02; in UTC.")],
    /,
    *,
    json: Json = False,
    csv: Csv = False,
) -> int:
    """Show a month: what it began with, what came and went, usage by model, and what was left."""

    async def work(control: Control, desk: CreditDesk) -> str:
        found = await desk.statement(control.caller, owner, month)
        if json:
            return as_json(found)
        return statement_lines(found).rstrip() if csv else _sheet(found)

    return _run(work)


@app.command
def check(*, json: Json = False) -> int:
    """Prove the books: every transaction sums to zero, every balance, debt and grant is what its entries say."""

    async def work(control: Control, desk: CreditDesk) -> str:
        with away_as_unavailable():
            proof = await prove(control.database.engine)
        if proof.sound:
            return as_json(proof) if json else _proved(proof)
        if json:
            print(as_json(proof))
        raise Internal(
            "\n".join(["The books do not add up:", *(f"{f.subject}: {f.what}" for f in proof.faults)])
        )

    return _run(work)


def _run(work: Callable[[Control, CreditDesk], Awaitable[str]]) -> int:
    async def with_desk(control: Control) -> str:
        drain = Drain(control.settings.data_dir / "journal", control.database.engine)
        return await work(
            control,
            CreditDesk(
                control.database,
                Ledger(control.database.engine),
                drain,
                attach=HolderService(control.changes).set_account,
                tell=_nobody,
            ),
        )

    return run(with_desk)


async def _nobody() -> None:
    """A running server looks for what was posted every few seconds."""


def _card(account: AccountView) -> str:
    head = record(
        (
            ("account", account.id),
            ("owner", account.owner),
            ("available", f"{account.available_usd} USD"),
            ("held", f"{usd(account.held_nano)} USD"),
            ("owed", f"{usd(account.debt_nano)} USD"),
            ("floor", f"{usd(account.floor_nano)} USD"),
        )
    )
    rows = [
        (
            str(grant.priority),
            usd(grant.remaining_nano),
            usd(grant.amount_nano),
            "never" if grant.expires_at is None else _time(grant.expires_at),
            grant.reason.value,
            _printable(grant.reference or "-"),
        )
        for grant in account.grants
    ]
    grants = table(("PRIORITY", "LEFT USD", "OF USD", "EXPIRES", "REASON", "REFERENCE"), rows) if rows else ""
    late = "" if account.fresh else "\nThe journal could not be drained; the latest requests may be missing."
    return f"{head}\n{grants}".rstrip() + late


def _sheet(found: Statement) -> str:
    rows = [("opening", "", found.opening_usd)]
    rows += [
        (each.reason.value, _printable(each.reference or each.metadata.get("memo") or ""), each.amount_usd)
        for each in found.other
    ]
    rows += [
        ("usage", f"{_printable(each.model or '-')}, {each.requests} requests", usd(-each.cost_nano))
        for each in found.usage
    ]
    rows.append(("closing", "", found.closing_usd))
    return table((found.month, "", "USD"), rows)


def _posted(posting: Posting, *, json: bool) -> str:
    if json:
        return as_json(posting)
    return record(
        (
            ("transaction", posting.id + (" (posted before)" if posting.repeated else "")),
            ("amount", f"{usd(posting.amount_nano)} USD"),
            ("balance", f"{usd(posting.balance_nano)} USD"),
            ("reference", _printable(posting.reference or "-")),
        )
    )


def _proved(proof: Proof) -> str:
    return f"The books add up: {proof.accounts} accounts, {proof.transactions} transactions, {proof.entries} entries."


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidField(f"--expires: expected an ISO 8601 date or time; got {text!r}") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def _printable(text: str) -> str:
    """A model's name may be any client's invention: no escape sequence reaches the terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
