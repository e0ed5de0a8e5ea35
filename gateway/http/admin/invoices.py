"""/admin/v1/invoices: our own invoices and credit notes. Refuses to change or delete one."""

import asyncio
from pathlib import Path
from typing import Annotated

from litestar import Controller, MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct

from billing.invoices.document import Document, LineOrder, Party
from billing.invoices.html import page
from billing.invoices.invoices import CreditOrder, InvoiceOrder, Invoices
from billing.invoices.pdf import pdf
from gateway.database.audit import record
from gateway.database.engine import Database, away_as_unavailable
from gateway.database.tables import OrganisationRow
from gateway.http.caller import Caller
from gateway.settings import Settings
from inference.ir.errors import InvalidField, NotFound
from policies.roles import Permission

READ = {"permission": Permission.BILLING_READ}
OPERATE = {"permission": Permission.OPERATE}
InvoiceId = Annotated[str, PathParameter(description="The document's id, `inv_…`.")]


class Issue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invoice of an organisation: of `lines`, or of what it used in `usage_month` (2026-07, of UTC).

    The same `reference` issues it only once. `vat_basis_points` is for the lines of usage, 2000 is 20 %; `lines` say
    their own.
    """

    organisation: Annotated[str, Meta(max_length=64)]
    buyer: Party
    reference: Annotated[str, Meta(min_length=1, max_length=128)]
    lines: tuple[LineOrder, ...] = ()
    usage_month: str | None = None
    vat_basis_points: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    currency: str = "USD"
    series: Annotated[str, Meta(pattern="^[A-Z][A-Z0-9]{0,7}$")] = "INV"
    note: Annotated[str, Meta(max_length=1000)] = ""


class DocumentPage(Struct, frozen=True, kw_only=True):
    """Documents, newest first. While `has_more`, ask again with `after` set to the last one's id."""

    data: tuple[Document, ...]
    has_more: bool


class InvoiceController(Controller):
    """Documents as they were issued."""

    path = "/admin/v1/invoices"
    tags = ["Payments"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="Invoices and credit notes", operation_id="listInvoices", opt=READ)
    async def list_invoices(
        self,
        *,
        invoices: NamedDependency[Invoices],
        caller: NamedDependency[Caller],
        organisation: Annotated[str | None, QueryParameter(description="Only of this organisation.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100, description="At most so many.")] = 20,
        after: Annotated[str | None, QueryParameter(description="Go on after this document.")] = None,
    ) -> DocumentPage:
        """Newest first."""
        if organisation is not None:
            caller.in_scope(organisation)
        with away_as_unavailable():
            found = await invoices.list(organisation or caller.org_id, limit=limit + 1, after=after)
        return DocumentPage(data=tuple(found[:limit]), has_more=len(found) > limit)

    @post("/", summary="Issue an invoice", operation_id="issueInvoice", opt=OPERATE)
    async def issue(
        self,
        *,
        invoices: NamedDependency[Invoices],
        database: NamedDependency[Database],
        caller: NamedDependency[Caller],
        data: JSONBody[Issue],
    ) -> Document:
        """It takes the next number of its series and year, and cannot be changed after; see credit notes."""
        if bool(data.lines) == (data.usage_month is not None):
            raise InvalidField("Send either `lines` or `usage_month`.", param="lines")
        if data.lines and data.vat_basis_points is not None:
            raise InvalidField(
                "`vat_basis_points` is for `usage_month`: of `lines` each says its own.",
                param="vat_basis_points",
            )
        async with database.reading() as session:
            if await session.get(OrganisationRow, data.organisation) is None:
                raise NotFound(
                    f"There is no organisation {data.organisation!r}.", code="organisation_not_found"
                )
        with away_as_unavailable():
            lines = data.lines
            if data.usage_month is not None:
                lines = await invoices.usage(
                    data.organisation, data.usage_month, data.currency, data.vat_basis_points or 0
                )
            order = InvoiceOrder(
                buyer=data.buyer,
                lines=lines,
                reference=data.reference,
                currency=data.currency,
                series=data.series,
                note=data.note,
            )
            document = await invoices.issue(data.organisation, order)
        await _audit(database, caller, "invoice.issue", document)
        return document

    @get("/{invoice:str}", summary="One document", operation_id="getInvoice", opt=READ)
    async def get_invoice(
        self, *, invoices: NamedDependency[Invoices], caller: NamedDependency[Caller], invoice: InvoiceId
    ) -> Document:
        """As it was issued."""
        with away_as_unavailable():
            return await invoices.get(caller.org_id, invoice)

    @get("/{invoice:str}/page", summary="As HTML", operation_id="getInvoicePage", opt=READ)
    async def get_page(
        self, *, invoices: NamedDependency[Invoices], caller: NamedDependency[Caller], invoice: InvoiceId
    ) -> Response[str]:
        """A page to be shown or printed, in one file without scripts."""
        with away_as_unavailable():
            document = await invoices.get(caller.org_id, invoice)
        headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(page(document), media_type=MediaType.HTML, headers=headers)

    @get("/{invoice:str}/pdf", summary="As PDF", operation_id="getInvoicePdf", opt=READ)
    async def get_pdf(
        self,
        *,
        invoices: NamedDependency[Invoices],
        caller: NamedDependency[Caller],
        settings: NamedDependency[Settings],
        invoice: InvoiceId,
    ) -> Response[bytes]:
        """The same file each time."""
        with away_as_unavailable():
            document = await invoices.get(caller.org_id, invoice)
        font: Path | None = settings.invoice_font
        headers = {"content-disposition": f'attachment; filename="{document.number}.pdf"'}
        return Response(
            await asyncio.to_thread(pdf, document, font=font), media_type="application/pdf", headers=headers
        )

    @post(
        "/{invoice:str}/credit-notes", summary="Credit an invoice", operation_id="creditInvoice", opt=OPERATE
    )
    async def credit(
        self,
        *,
        invoices: NamedDependency[Invoices],
        database: NamedDependency[Database],
        caller: NamedDependency[Caller],
        invoice: InvoiceId,
        data: JSONBody[CreditOrder],
    ) -> Document:
        """The whole of it or, with `lines`, part of it; never more than is left."""
        with away_as_unavailable():
            before = await invoices.get(None, invoice)
            document = await invoices.credit(before.org_id, invoice, data)
        await _audit(database, caller, "invoice.credit", document)
        return document


async def _audit(database: Database, caller: Caller, action: str, document: Document) -> None:
    after = {
        "number": document.number,
        "total_minor": document.total_minor,
        "currency": document.currency,
        "corrects": document.corrects_number,
    }
    async with database.writing() as session:
        await record(session, caller, action, "invoice", document.id, after=after, org_id=document.org_id)
