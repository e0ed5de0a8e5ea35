"""`aspendos billing`: payments and invoices at the terminal. Asks the processor only where a command says so."""

import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from billing.currency import parsed, written
from billing.invoices.document import amount
from billing.invoices.html import page
from billing.invoices.pdf import pdf
from billing.ledger.ledger import Ledger
from billing.pricing import usd
from billing.processors.payments import Payments
from gateway.cli.control import Control, as_json, record, run, table
from gateway.cli.options import Json
from gateway.database.audit import record as audit
from gateway.database.engine import away_as_unavailable
from gateway.payments import Tenants, build_invoices, build_payments
from inference.ir.errors import InvalidField, NotFound
from inference.ir.tiers import Tier

app = App(name="billing", help="Payments: what was bought, refunds, webhooks received, our own invoices.")

Org = Annotated[str, Parameter(help="The organisation's id or name.")]
Which = Annotated[str | None, Parameter(name="--processor", help="Which processor, where there are several.")]
Most = Annotated[int, Parameter(name="--limit", help="At most so many.")]


@app.command
def show(organisation: Org, /, *, processor: Which = None, json: Json = False) -> int:
    """Show an organisation's customer, subscription and auto top-up."""

    async def work(control: Control, desk: Payments) -> str:
        found = await desk.standing(await _org(control, organisation))
        if json:
            return as_json(found)
        row, wish = found.subscription, found.top_up
        ends = "ends" if row and row.ends_at_period_end else "renews"
        return record(
            [
                ("processor", found.processor),
                ("customer", found.customer or "none yet"),
                (
                    "subscription",
                    f"{row.tier}, {row.status}, {ends} {_day(row.period_end)}" if row else "none",
                ),
                (
                    "top-up",
                    f"{wish.pack} below {usd(wish.threshold_nano)} USD" if wish and wish.enabled else "off",
                ),
            ]
        )

    return _desk(work, processor)


@app.command
def offers(*, processor: Which = None, json: Json = False) -> int:
    """List the credit packs and tiers that are for sale."""

    async def work(_: Control, desk: Payments) -> str:
        sold = desk.offers()
        rows = [
            *(("pack", one.name, usd(one.credit_nano), one.prices) for one in sold.packs.values()),
            *(
                ("tier", name, usd(one.credits_per_month * 10_000_000), one.price)
                for name, one in sold.tiers.items()
                if any(one.price.values())
            ),
        ]
        if json:
            return as_json(
                [{"kind": r[0], "name": r[1], "credit_usd": r[2], "prices_minor": r[3]} for r in rows]
            )
        shown = [
            (kind, name, worth, ", ".join(f"{written(minor, code)} {code}" for code, minor in prices.items()))
            for kind, name, worth, prices in rows
        ]
        return table(("KIND", "NAME", "CREDIT USD", "PRICE"), shown)

    return _desk(work, processor)


@app.command
def payments(organisation: Org, /, *, limit: Most = 20, processor: Which = None, json: Json = False) -> int:
    """List what an organisation paid, newest first, and what of it was given back."""

    async def work(control: Control, desk: Payments) -> str:
        found = await desk.book.list(await _org(control, organisation), limit=limit)
        if json:
            return as_json(found)
        rows = [
            (
                one.reference,
                one.kind,
                "paid" if one.paid else "open",
                f"{written(one.amount_minor, one.currency)} {one.currency}",
                written(one.refunded_minor + one.disputed_minor, one.currency),
                usd(one.moved_nano),
                _day(one.created_at),
            )
            for one in found
        ]
        return table(("REFERENCE", "KIND", "STATE", "AMOUNT", "GIVEN BACK", "CREDIT USD", "DAY"), rows)

    return _desk(work, processor)


@app.command
def refund(
    organisation: Org,
    reference: Annotated[str, Parameter(help="The payment's reference, see `billing payments`.")],
    /,
    *,
    part: Annotated[
        str | None, Parameter(name="--amount", help="In the payment's currency, such as 2.50; else all.")
    ] = None,
    key: Annotated[str | None, Parameter(help="The same key refunds only once.")] = None,
    processor: Which = None,
) -> int:
    """Refund a payment at the processor. Its credit is taken back; what of it was spent becomes debt."""

    async def work(control: Control, desk: Payments) -> str:
        org_id = await _org(control, organisation)
        payment = await desk.book.get(org_id, reference)
        minor = None if part is None else parsed(part, payment.currency, param="--amount").minor
        await desk.refund(org_id, reference, minor, key=key or secrets.token_hex(16), spent_too=True)
        after = {"payment": reference, "amount_minor": minor}
        async with control.database.writing() as session:
            await audit(
                session, control.caller, "billing.refund", "organisation", org_id, after=after, org_id=org_id
            )
        done = await desk.worker.step()
        later = "" if done else " A running server takes the credit back in a moment."
        return f"Refunded {reference}.{later}"

    return _desk(work, processor)


@app.command
def events(
    *,
    state: Annotated[str | None, Parameter(help="Only `pending`, `stuck`, `done` or `ignored` ones.")] = None,
    limit: Most = 20,
    processor: Which = None,
    json: Json = False,
) -> int:
    """List the webhooks received, newest first. Stuck ones failed often and go on being tried."""

    async def work(_: Control, desk: Payments) -> str:
        found = await desk.inbox.recent(limit=limit, state=state)
        if json:
            return as_json(found)
        rows = [
            (one.id, one.type, one.state, str(one.attempts), _day(one.received_at), one.problem or "")
            for one in found
        ]
        return table(("ID", "TYPE", "STATE", "ATTEMPTS", "RECEIVED", "PROBLEM"), rows)

    return _desk(work, processor)


@app.command
def invoices(organisation: Org, /, *, limit: Most = 20, json: Json = False) -> int:
    """List our own invoices and credit notes of an organisation, newest first."""

    async def work(control: Control) -> str:
        desk = build_invoices(control.settings, control.database.engine)
        org_id = await _org(control, organisation)
        with away_as_unavailable():
            found = await desk.list(org_id, limit=limit)
        if json:
            return as_json(found)
        rows = [
            (one.id, one.number, amount(one.total_minor, one.currency), _day(one.issued_at)) for one in found
        ]
        return table(("ID", "NUMBER", "TOTAL", "ISSUED"), rows)

    return run(work)


@app.command
def save_invoice(
    invoice: Annotated[str, Parameter(help="Its id, `inv_…`.")],
    file: Annotated[Path, Parameter(help="Where to: a name ending in .pdf or .html.")],
    /,
) -> int:
    """Write an invoice or credit note to a file, as PDF or HTML by the file's name."""

    async def work(control: Control) -> str:
        desk = build_invoices(control.settings, control.database.engine)
        with away_as_unavailable():
            document = await desk.get(None, invoice)
        if file.suffix == ".pdf":
            data = pdf(document, font=control.settings.invoice_font)
        elif file.suffix == ".html":
            data = page(document).encode()
        else:
            raise InvalidField(f"{file} ends neither in .pdf nor in .html.", param="file")
        try:
            file.write_bytes(data)
        except OSError as error:
            raise InvalidField(f"{file} cannot be written: {error.strerror}.", param="file") from error
        return f"{document.number} is in {file}."

    return run(work)


def _desk(work: Callable[[Control, Payments], Awaitable[str]], processor: str | None) -> int:
    """Run a command with one processor's payments, and let them go after."""

    async def with_desk(control: Control) -> str:
        ledger = Ledger(control.database.engine)
        tenants = Tenants(control.changes, ledger, fallback=control.settings.fallback_tier)
        desks = build_payments(
            control.settings, control.database.engine, ledger, tenants, _tiers(control.settings.config_path)
        )
        if not desks:
            raise NotFound(
                "No payment processor is configured: set ASPENDOS_STRIPE_KEY or ASPENDOS_POLAR_TOKEN."
            )
        name = processor or next(iter(desks))
        if name not in desks:
            raise InvalidField(
                f"There is no processor {name!r}; there is {', '.join(desks)}.", param="processor"
            )
        try:
            with away_as_unavailable():
                return await work(control, desks[name])
        finally:
            for desk in desks.values():
                await desk.close()

    return run(with_desk)


def _tiers(path: Path) -> Callable[[], Mapping[str, Tier]]:
    """The catalogue's tiers, read when they are asked for."""

    def read() -> Mapping[str, Tier]:
        from inference.catalog import CatalogError, read_catalog

        try:
            return read_catalog(path, os.environ).tiers
        except CatalogError as error:
            raise InvalidField(f"The catalogue {path} has mistakes: {error}", param="tier") from None

    return read


async def _org(control: Control, reference: str) -> str:
    return (await control.organisations.get(control.caller, reference)).id


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
