"""PDF and HTML of a document: its texts are there, markup in them is text, letters without a glyph are refused."""

import re
import zlib
from contextlib import suppress

import pytest

from billing.invoices.document import Document, LineOrder, Party, summed
from billing.invoices.html import page
from billing.invoices.pdf import pdf
from inference.ir.errors import InvalidField


def document(
    *, name: str = "Örnek Ağaçişleri Şti.", currency: str = "TRY", count: int = 2, kind: str = "invoice"
) -> Document:
    sign = -1 if kind == "credit_note" else 1
    orders = [
        LineOrder(description=f"Çıkarım №{number} — İğdır", unit_minor=1000 + number, vat_basis_points=2000)
        for number in range(count)
    ]
    lines, vat, net, tax = summed(orders, currency, "0.029", sign=sign)
    return Document(
        id="inv_1", kind=kind, number="INV-2026-000001", org_id="org_1", issued_at=1_790_000_000,
        seller=Party(name="Aspendos Ltd", address=("Serik", "07500 Antalya"), country="TR", tax_id="99",
                     tax_office="Serik"),
        buyer=Party(name=name, country="TR"), currency=currency, fx="0.029", lines=lines, vat=vat, net_minor=net,
        vat_minor=tax, total_minor=net + tax, total_nano_usd=1, note="Teşekkürler",
        corrects_number="INV-2026-000000" if kind == "credit_note" else None,
    )  # fmt: skip


def test_the_same_document_is_the_same_file() -> None:
    first = pdf(document())
    assert first == pdf(document())
    assert first.startswith(b"%PDF-")
    assert b"/FontFile2" in first, "the font is embedded"
    assert len(first) < 200_000


def test_long_invoices_take_several_pages() -> None:
    assert pdf(document(count=120)).count(b"/Type /Page\n") >= 3


@pytest.mark.parametrize("currency", ["TRY", "EUR", "USD", "CNY", "GBP", "JPY", "KRW"])
def test_every_currency_sign_has_a_glyph(currency: str) -> None:
    assert pdf(document(currency=currency))


def test_letters_without_a_glyph_are_refused_and_named() -> None:
    with pytest.raises(InvalidField, match="上"):
        pdf(document(name="上海公司"))
    assert "上海公司" in page(document(name="上海公司"))


def test_texts_are_texts_and_not_markup() -> None:
    shown = page(document(name="<script>alert(1)</script> & Co"))
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co" in shown


def test_the_page_says_all_of_it() -> None:
    shown = page(document())
    for text in ("INV-2026-000001", "Örnek Ağaçişleri Şti.", "₺20.01", "VAT 20 % of ₺20.01", "₺4.00", "₺24.01",
                 "1 TRY = 0.029 USD", "Teşekkürler", "Tax no. 99 (Serik)", "2026-09-21"):  # fmt: skip
        assert text in shown, text
    noted = page(document(kind="credit_note"))
    assert "Credit note" in noted
    assert "corrects INV-2026-000000" in noted
    assert "-₺24.01" in noted


def test_the_texts_are_in_the_file_for_readers_and_searches() -> None:
    """By the font's own map from glyphs to letters, which copying and searching use."""
    data = pdf(document())
    streams = data
    for body in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        with suppress(zlib.error):
            streams += zlib.decompress(body)
    for letter in "ÖğışŞ₺":
        assert f"{ord(letter):04X}".encode() in streams.upper(), letter
