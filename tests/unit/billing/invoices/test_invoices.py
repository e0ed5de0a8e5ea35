"""Numbers without gaps under concurrency and failure, credit notes that never exceed, nothing issued twice."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.currency import rates
from billing.invoices.document import Document, LineOrder, Party
from billing.invoices.invoices import CreditOrder, InvoiceOrder, Invoices
from billing.invoices.tables import invoices
from gateway.database.engine import Database
from inference.ir.errors import Conflict, InvalidField, NotFound
from tests.control_plane import Clock

ORG = "org_00000000000000aa"
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
BUYER = Party(name="Örnek A.Ş.", country="TR", tax_id="1234567890")
LINES = (LineOrder(description="Inference, July", unit_minor=12_345, quantity=2, vat_basis_points=2000),)


def order(reference: str, **fields: object) -> InvoiceOrder:
    known = {"buyer": BUYER, "lines": LINES, "reference": reference, **fields}
    return InvoiceOrder(**known)  # pyright: ignore[reportArgumentType]  # the fields a test varies


class Office:
    """Where documents are issued."""

    def __init__(self, database: Database) -> None:
        self.clock = Clock(NEW_YEAR - 86400)
        self.database = database
        self.invoices = self.new()

    def new(self) -> Invoices:
        return Invoices(
            self.database.engine,
            seller=lambda: Party(name="Aspendos", country="TR"),
            rates=lambda: rates("TRY=0.029,EUR=1.08,JPY=0.0067"),
            clock=self.clock,
        )

    async def numbers(self, series: str = "INV", year: int = 2026) -> list[int]:
        query = select(invoices.c.number).where(invoices.c.series == series, invoices.c.year == year)
        async with self.database.engine.connect() as connection:
            return sorted((await connection.execute(query)).scalars())


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


async def test_numbers_have_no_gaps_when_many_issue_at_once(office: Office) -> None:
    # As many at once as the pool has connections: who has waited for one for 3 seconds is refused.
    turns = asyncio.Semaphore(10)

    async def issue(number: int) -> Document:
        async with turns:
            return await office.new().issue(
                ORG, order(f"{number % 15}", series="INV" if number % 2 else "TR")
            )

    found = await asyncio.gather(*map(issue, range(30)), return_exceptions=True)
    issued = [one for one in found if isinstance(one, Document)]
    assert len({one.id for one in issued}) == 15, "each reference once, whichever series asked first"
    assert len(issued) == 30
    both = await office.numbers("INV"), await office.numbers("TR")
    assert sum(map(len, both)) == 15
    for numbers in both:
        assert numbers == list(range(1, len(numbers) + 1))


async def test_a_document_that_is_not_stored_takes_no_number(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.invoices.issue(ORG, order("1"))
    real: Any = AsyncConnection.execute

    async def failing(self: AsyncConnection, statement: object, *args: object, **kwargs: object) -> object:
        if str(statement).startswith("INSERT INTO invoices "):
            raise ConnectionError
        return await real(self, statement, *args, **kwargs)

    monkeypatch.setattr(AsyncConnection, "execute", failing)
    with pytest.raises(ConnectionError):
        await office.invoices.issue(ORG, order("2"))
    monkeypatch.undo()
    assert (await office.invoices.issue(ORG, order("3"))).number == "INV-2026-000002"


async def test_years_and_series_count_for_themselves(office: Office) -> None:
    first = await office.invoices.issue(ORG, order("1"))
    office.clock.now = NEW_YEAR
    second = await office.invoices.issue(ORG, order("2"))
    third = await office.invoices.issue(ORG, order("3", series="EU"))
    assert [one.number for one in (first, second, third)] == [
        "INV-2026-000001",
        "INV-2027-000001",
        "EU-2027-000001",
    ]


async def test_a_document_says_what_it_said_for_ever(office: Office) -> None:
    issued = await office.invoices.issue(ORG, order("1", currency="TRY"))
    assert (issued.net_minor, issued.vat_minor, issued.total_minor) == (24_690, 4_938, 29_628)
    assert (issued.fx, issued.total_nano_usd) == ("0.029", 8_592_120_000)
    assert await office.invoices.get(ORG, issued.id) == issued
    assert await office.invoices.issue(ORG, order("1", currency="TRY")) == issued
    with pytest.raises(Conflict):
        await office.invoices.issue(ORG, order("1", currency="EUR"))
    with pytest.raises(NotFound):
        await office.invoices.get("org_00000000000000bb", issued.id)
    assert await office.invoices.list("org_00000000000000bb", limit=5) == []
    assert await office.invoices.list(None, limit=5) == [issued]


async def test_credit_notes_never_exceed_the_invoice(office: Office) -> None:
    invoice = await office.invoices.issue(ORG, order("1"))
    part = (LineOrder(description="half", unit_minor=12_345, vat_basis_points=2000),)
    wanted = [
        office.new().credit(ORG, invoice.id, CreditOrder(reference=f"c{n}", lines=part)) for n in range(5)
    ]
    found = await asyncio.gather(*wanted, return_exceptions=True)
    notes = [one for one in found if isinstance(one, Document)]
    assert len(notes) == 2
    assert sum(isinstance(one, Conflict) for one in found) == 3
    assert sum(note.total_minor for note in notes) == -invoice.total_minor
    assert {note.corrects_number for note in notes} == {invoice.number}
    assert await office.numbers("CN") == [1, 2]
    with pytest.raises(Conflict):
        await office.invoices.credit(ORG, invoice.id, CreditOrder(reference="all"))
    with pytest.raises(InvalidField):
        await office.invoices.credit(ORG, notes[0].id, CreditOrder(reference="note of a note"))
    with pytest.raises(NotFound):
        await office.invoices.credit("org_00000000000000bb", invoice.id, CreditOrder(reference="x"))


async def test_a_whole_invoice_is_credited_once(office: Office) -> None:
    invoice = await office.invoices.issue(ORG, order("1"))
    note = await office.invoices.credit(ORG, invoice.id, CreditOrder(reference="back"))
    assert note.total_minor == -invoice.total_minor
    assert await office.invoices.credit(ORG, invoice.id, CreditOrder(reference="back")) == note
    assert [one.id for one in await office.invoices.list(ORG, limit=1)]
    assert len(await office.invoices.list(ORG, limit=9)) == 2


async def test_pages_go_on_where_the_last_one_ended(office: Office) -> None:
    for number in range(5):
        office.clock.now += number
        await office.invoices.issue(ORG, order(str(number)))
    first = await office.invoices.list(ORG, limit=3)
    rest = await office.invoices.list(ORG, limit=3, after=first[-1].id)
    assert len({one.id for one in [*first, *rest]}) == 5
