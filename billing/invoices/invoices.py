"""Invoices: documents issued once, numbered without gaps, never changed; corrected only by credit notes.

The number is taken in the transaction that stores the document, from a row that everybody else waits for: a
document that is not stored takes no number. Refuses to credit more than an invoice's total, and to change anything.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.currency import Money, Rates, known, to_nano
from billing.invoices.document import CREDIT_NOTE, INVOICE, Document, LineOrder, Party, percent, summed
from billing.invoices.tables import invoice_numbers, invoices
from billing.invoices.usage_lines import usage_lines
from inference.ir.errors import Conflict, InvalidField, NotFound

_Reference = Annotated[str, Meta(min_length=1, max_length=128)]
_Series = Annotated[str, Meta(pattern="^[A-Z][A-Z0-9]{0,7}$")]
_i = invoices.c


class InvoiceOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invoice to be issued. The same `reference` of an organisation issues it only once."""

    buyer: Party
    lines: tuple[LineOrder, ...]
    reference: _Reference
    currency: str = "USD"
    series: _Series = "INV"
    note: Annotated[str, Meta(max_length=1000)] = ""


class CreditOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A credit note to be issued; without `lines` it gives back the whole invoice."""

    reference: _Reference
    lines: tuple[LineOrder, ...] | None = None
    series: _Series = "CN"
    note: Annotated[str, Meta(max_length=1000)] = ""


class Invoices:
    """The documents in `engine`'s database. `clock` returns unix seconds; a year is a year of UTC."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        seller: Callable[[], Party],
        rates: Callable[[], Rates],
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: f"inv_{secrets.token_hex(8)}",
    ) -> None:
        self._engine = engine
        self._writer = engine.execution_options(aspendos_writes=True)
        self._dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        self._seller = seller
        self._rates = rates
        self._clock = clock
        self._new_id = new_id

    async def issue(self, org_id: str, order: InvoiceOrder) -> Document:
        """Raises InvalidField, or Conflict for a reference that was used for something else."""
        currency = known(order.currency)
        fx = self._rates().of(currency)
        lines, vat, net, tax = summed(order.lines, currency, fx)
        total = net + tax
        draft = Document(
            id=self._new_id(),
            kind=INVOICE,
            number="",
            org_id=org_id,
            issued_at=int(self._clock()),
            seller=self._seller(),
            buyer=order.buyer,
            currency=currency,
            fx=fx,
            lines=lines,
            vat=vat,
            net_minor=net,
            vat_minor=tax,
            total_minor=total,
            total_nano_usd=to_nano(Money(minor=total, currency=currency), fx),
            note=order.note,
        )
        return await self._once(
            order.reference, draft, lambda connection: self._store(connection, draft, order)
        )

    async def credit(self, org_id: str, invoice_id: str, order: CreditOrder) -> Document:
        """Raises NotFound, InvalidField, or Conflict for more than the invoice still has."""
        invoice = await self.get(org_id, invoice_id)
        if invoice.kind != INVOICE:
            raise InvalidField(f"{invoice.number} is no invoice; only those are credited.", param="invoice")
        asked = _all_of(invoice) if order.lines is None else order.lines
        _same_rates(invoice, asked)
        lines, vat, net, tax = summed(asked, invoice.currency, invoice.fx, sign=-1)
        draft = msgspec.structs.replace(
            invoice,
            id=self._new_id(),
            kind=CREDIT_NOTE,
            issued_at=int(self._clock()),
            lines=lines,
            vat=vat,
            net_minor=net,
            vat_minor=tax,
            total_minor=net + tax,
            # At the invoice's own rate: what is given back is worth what it was worth then.
            total_nano_usd=to_nano(Money(minor=net + tax, currency=invoice.currency), invoice.fx),
            corrects=invoice.id,
            corrects_number=invoice.number,
            note=order.note,
        )

        async def store(connection: AsyncConnection) -> Document:
            await self._leave(connection, invoice, -(net + tax))
            return await self._store(connection, draft, order)

        return await self._once(order.reference, draft, store)

    async def usage(
        self, org_id: str, month: str, currency: str, vat_basis_points: int
    ) -> tuple[LineOrder, ...]:
        """What an organisation used in a month that is over, as lines; see `usage_lines`."""
        return await usage_lines(
            self._engine,
            org_id,
            month,
            currency=known(currency),
            dollars=self._rates().of(currency),
            vat_basis_points=vat_basis_points,
            now=self._clock(),
        )

    async def get(self, org_id: str | None, invoice_id: str) -> Document:
        """Raises NotFound, for another organisation's document too; None reads any."""
        query = select(_i.document).where(_i.id == invoice_id)
        if org_id is not None:
            query = query.where(_i.org_id == org_id)
        async with self._engine.connect() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        if found is None:
            raise NotFound(f"There is no invoice {invoice_id[:40]!r} here.", code="invoice_not_found")
        return msgspec.json.decode(found, type=Document)

    async def list(self, org_id: str | None, *, limit: int, after: str | None = None) -> list[Document]:
        """Newest first; None lists every organisation's. Raises NotFound for an unknown `after`."""
        query = select(_i.document)
        if org_id is not None:
            query = query.where(_i.org_id == org_id)
        if after is not None:
            last = await self.get(org_id, after)
            query = query.where(
                (_i.issued_at < last.issued_at) | ((_i.issued_at == last.issued_at) & (_i.id > last.id))
            )
        query = query.order_by(_i.issued_at.desc(), _i.id).limit(limit)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).scalars().all()
        return [msgspec.json.decode(row, type=Document) for row in rows]

    async def _once(
        self, reference: str, draft: Document, store: Callable[[AsyncConnection], Awaitable[Document]]
    ) -> Document:
        """Store a document, or return the one that has the reference already: then no number is taken."""
        before = await self._by_reference(draft.org_id, reference)
        if before is None:
            try:
                async with self._writer.begin() as connection:
                    return await store(connection)
            except IntegrityError:
                before = await self._by_reference(draft.org_id, reference)
                if before is None:
                    raise
        if (before.buyer, before.lines, before.currency, before.corrects) != (
            draft.buyer,
            draft.lines,
            draft.currency,
            draft.corrects,
        ):
            raise Conflict(
                f"The reference {reference!r} was used for {before.number}, which says something else.",
                code="reference_used",
                param="reference",
            )
        return before

    async def _leave(self, connection: AsyncConnection, invoice: Document, wanted: int) -> None:
        """Raises Conflict unless the invoice, locked from here on, has so much that was not credited."""
        await connection.execute(select(_i.id).where(_i.id == invoice.id).with_for_update())
        credited = select(func.coalesce(func.sum(_i.total_minor), 0)).where(_i.corrects == invoice.id)
        left = invoice.total_minor + int((await connection.execute(credited)).scalar_one())
        if wanted > left:
            raise Conflict(
                f"Of {invoice.number} {Money(minor=left, currency=invoice.currency)} are left to credit; "
                f"{Money(minor=wanted, currency=invoice.currency)} were asked for.",
                code="credited_already",
            )

    async def _store(
        self, connection: AsyncConnection, draft: Document, order: InvoiceOrder | CreditOrder
    ) -> Document:
        series, reference = order.series, order.reference
        year = datetime.fromtimestamp(draft.issued_at, UTC).year
        number = await self._next(connection, series, year)
        document = msgspec.structs.replace(draft, number=f"{series}-{year}-{number:06d}")
        row: Mapping[str, Any] = {
            "id": document.id,
            "series": series,
            "year": year,
            "number": number,
            "kind": document.kind,
            "org_id": document.org_id,
            "currency": document.currency,
            "total_minor": document.total_minor,
            "corrects": document.corrects,
            "reference": reference,
            "issued_at": document.issued_at,
            "document": msgspec.json.encode(document).decode(),
        }
        await connection.execute(insert(invoices).values(**row))
        return document

    async def _next(self, connection: AsyncConnection, series: str, year: int) -> int:
        first = self._dialect.insert(invoice_numbers).values(series=series, year=year, last=1)
        take = first.on_conflict_do_update(
            index_elements=["series", "year"], set_={"last": invoice_numbers.c.last + 1}
        )
        return (await connection.execute(take.returning(invoice_numbers.c.last))).scalar_one()

    async def _by_reference(self, org_id: str, reference: str) -> Document | None:
        query = select(_i.document).where(_i.org_id == org_id, _i.reference == reference)
        async with self._engine.connect() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return None if found is None else msgspec.json.decode(found, type=Document)


def _same_rates(invoice: Document, lines: Sequence[LineOrder]) -> None:
    """Raises InvalidField for a line whose VAT no line of the invoice has: none was charged to be given back."""
    charged = {line.vat_basis_points for line in invoice.lines}
    for place, line in enumerate(lines):
        if line.vat_basis_points not in charged:
            rates = ", ".join(f"{rate} ({percent(rate)})" for rate in sorted(charged))
            raise InvalidField(
                f"Line {place + 1} has `vat_basis_points` {line.vat_basis_points}; {invoice.number} was issued with "
                f"{rates}, and a credit note gives back what was charged.",
                param=f"lines[{place}].vat_basis_points",
            )


def _all_of(invoice: Document) -> tuple[LineOrder, ...]:
    return tuple(
        LineOrder(
            description=line.description,
            unit_minor=line.unit_minor,
            quantity=line.quantity,
            vat_basis_points=line.vat_basis_points,
        )
        for line in invoice.lines
    )
