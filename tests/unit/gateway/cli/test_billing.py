"""`aspendos billing` on a database file and the emulated Stripe, as an operator types it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from billing.invoices.document import LineOrder, Party
from billing.invoices.invoices import InvoiceOrder
from gateway.cli import app
from gateway.database.engine import Database
from gateway.payments import build_invoices
from gateway.settings import Settings
from tests.payments_world import BACK, PACK, World
from tests.stripe_emulator.server import StripeEmulator

ORG = "org_default"


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, stripe: StripeEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("ASPENDOS_DATABASE_URL", raising=False)
    monkeypatch.setenv("ASPENDOS_STRIPE_KEY", stripe.key)
    monkeypatch.setenv("ASPENDOS_STRIPE_API_BASE", stripe.url)
    monkeypatch.setenv("ASPENDOS_CREDIT_PACKS", "ten=1000:10USD")
    yield
    structlog.reset_defaults()  # the command sends logs to a standard error that ends with the test


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = app(["billing", *words], exit_on_error=False, result_action="return_value")
    out = capsys.readouterr()
    return code or 0, out.out, out.err


def _bought(folder: Path, stripe: StripeEmulator) -> str:
    """A pack, bought and credited; the payment's reference."""

    async def buy() -> str:
        database = Database(f"sqlite:///{folder / 'aspendos.db'}")
        await database.migrate()
        world = World(database, stripe)
        page = await world.processor.checkout(await world.customer(ORG), PACK, back=BACK, key="k")
        stripe.complete(page.id)
        await world.settle()
        await world.worker.close()
        (payment,) = await world.book.list(ORG, limit=1)
        world.processor.close()
        await database.close()
        return payment.reference

    return asyncio.run(buy())


def test_what_is_for_sale_and_how_somebody_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ten" in _run(capsys, "offers")[1]
    assert {"kind": "pack", "name": "ten", "credit_usd": "10", "prices_minor": {"USD": 1000}} in json.loads(
        _run(capsys, "offers", "--json")[1]
    )
    code, out, _ = _run(capsys, "show", "default")
    assert (code, "none yet" in out) == (0, True)
    code, _, error = _run(capsys, "show", "default", "--processor", "none")
    assert (code, "'none'" in error) == (1, True)


def test_a_payment_is_listed_and_refunded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, stripe: StripeEmulator
) -> None:
    reference = _bought(tmp_path, stripe)
    capsys.readouterr()  # what migrating said
    (row,) = json.loads(_run(capsys, "payments", "default", "--json")[1])
    assert (row["reference"], row["moved_nano"]) == (reference, PACK.credit_nano)
    code, out, error = _run(capsys, "refund", "default", reference, "--amount", "2.50", "--key", "one")
    assert (code, "Refunded" in out) == (0, True), error
    assert _run(capsys, "refund", "default", reference, "--amount", "2.50", "--key", "one")[0] == 0
    (row,) = json.loads(_run(capsys, "payments", "default", "--json")[1])
    assert (row["refunded_minor"], row["moved_nano"]) == (250, PACK.credit_nano * 3 // 4)
    assert "2.50" in _run(capsys, "payments", "default")[1]
    assert "done" in _run(capsys, "events")[1]
    for wrong in ("-1", "0", "1e3", "2.505", "99"):
        code, _, error = _run(capsys, "refund", "default", reference, f"--amount={wrong}")
        assert code == 1, wrong
        assert error


def test_invoices_are_listed_and_saved(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    async def issue() -> str:
        database = Database(f"sqlite:///{tmp_path / 'aspendos.db'}")
        await database.migrate()
        desk = build_invoices(Settings(), database.engine)
        order = InvoiceOrder(
            buyer=Party(name="Örnek"), lines=(LineOrder(description="x", unit_minor=500),), reference="a"
        )
        issued = await desk.issue(ORG, order)
        await database.close()
        return issued.id

    invoice = asyncio.run(issue())
    assert "$5.00" in _run(capsys, "invoices", "default")[1]
    for name, begin in (("a.pdf", b"%PDF-"), ("a.html", b"<!doctype html>")):
        assert _run(capsys, "save-invoice", invoice, str(tmp_path / name))[0] == 0
        assert (tmp_path / name).read_bytes().startswith(begin)
    assert _run(capsys, "save-invoice", invoice, str(tmp_path / "a.doc"))[0] == 1
    assert _run(capsys, "save-invoice", invoice, str(tmp_path / "none" / "a.pdf"))[0] == 1
    assert _run(capsys, "save-invoice", "inv_none", str(tmp_path / "b.pdf"))[0] == 1
