"""An invoice as a PDF of A4 pages, its font embedded. Refuses texts its font cannot show rather than show boxes.

The font that comes along has Latin, Turkish, Greek and Cyrillic letters and the signs of currencies, the lira's too.
For Chinese, Japanese or Korean text the operator names a TrueType font that has it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from billing.invoices.document import Document, amount, percent
from billing.invoices.html import issued, party_lines, rate, title
from inference.ir.errors import InvalidField

if TYPE_CHECKING:
    from fpdf import FPDF
    from fpdf.fonts import TTFFont

FONT = Path(__file__).parent / "DejaVuSans.ttf"
"""DejaVu Sans 2.35, cut down to the letters named above; free to embed (see its licence beside it)."""

_WIDTHS = (88, 20, 27, 18, 27)
_GREY = 110


def pdf(document: Document, *, font: Path | None = None) -> bytes:
    """The same bytes for the same document and font. Raises InvalidField for letters the font does not have."""
    from fpdf import FPDF

    paper = FPDF(format="A4")
    paper.set_creation_date(datetime.fromtimestamp(document.issued_at, UTC))
    paper.set_title(f"{title(document)} {document.number}")
    paper.add_font("text", "", font or FONT)
    letters = cast("TTFFont", paper.fonts["text"])
    try:
        _check_letters(letters, document)
        paper.set_margins(15, 18)
        paper.set_auto_page_break(True, margin=20)
        paper.add_page()
        _head(paper, document)
        _table(paper, document)
        _foot(paper, document)
        return bytes(paper.output())
    finally:
        letters.close()


def _head(paper: "FPDF", document: Document) -> None:
    paper.set_font("text", size=17)
    paper.cell(0, 9, f"{title(document)} {document.number}", new_x="LMARGIN", new_y="NEXT")
    paper.set_font("text", size=10)
    corrects = f" · corrects {document.corrects_number}" if document.corrects_number else ""
    paper.cell(0, 6, issued(document) + corrects, new_x="LMARGIN", new_y="NEXT")
    top, lowest = paper.get_y() + 6, 0.0
    for column, (label, party) in enumerate((("Seller", document.seller), ("Buyer", document.buyer))):
        paper.set_xy(15 + column * 90, top)
        paper.set_text_color(_GREY)
        paper.cell(85, 5, label)
        paper.set_text_color(0)
        paper.set_xy(15 + column * 90, top + 5)
        paper.multi_cell(85, 5, "\n".join(party_lines(party)), align="L")
        lowest = max(lowest, paper.get_y())
    paper.set_y(lowest + 8)


def _table(paper: "FPDF", document: Document) -> None:
    def money(minor: int) -> str:
        return amount(minor, document.currency)

    _row(paper, ("Description", "Quantity", "Unit", "VAT", "Net"), grey=True)
    for line in document.lines:
        cells = (
            line.description,
            str(line.quantity),
            money(line.unit_minor),
            percent(line.vat_basis_points),
            money(line.net_minor),
        )
        _row(paper, cells)
    paper.ln(2)
    _sum(paper, "Net", money(document.net_minor))
    for one in document.vat:
        _sum(paper, f"VAT {percent(one.basis_points)} of {money(one.net_minor)}", money(one.vat_minor))
    paper.set_font("text", size=11)
    _sum(paper, "Total", money(document.total_minor))
    paper.set_font("text", size=10)


def _row(paper: "FPDF", cells: Sequence[str], *, grey: bool = False) -> None:
    paper.set_text_color(_GREY if grey else 0)
    lines = cast("list[str]", paper.multi_cell(_WIDTHS[0], 5, cells[0], dry_run=True, output="LINES"))
    height = 5 * len(lines)
    if paper.will_page_break(height):
        paper.add_page()
    top = paper.get_y()
    paper.multi_cell(_WIDTHS[0], 5, cells[0], align="L")
    left = 15 + _WIDTHS[0]
    for width, text in zip(_WIDTHS[1:], cells[1:], strict=True):
        paper.set_xy(left, top)
        paper.cell(width, 5, text, align="R")
        left += width
    paper.set_draw_color(210)
    paper.line(15, top + height + 1, 195, top + height + 1)
    paper.set_y(top + height + 2)
    paper.set_text_color(0)


def _sum(paper: "FPDF", label: str, text: str) -> None:
    paper.cell(140, 6, label, align="R")
    paper.cell(40, 6, text, align="R", new_x="LMARGIN", new_y="NEXT")


def _foot(paper: "FPDF", document: Document) -> None:
    text = "\n".join(filter(None, (rate(document), document.note)))
    if text:
        paper.ln(8)
        paper.set_text_color(_GREY)
        paper.multi_cell(0, 5, text, align="L")
        paper.set_text_color(0)


def _check_letters(font: "TTFFont", document: Document) -> None:
    texts = [
        *party_lines(document.seller),
        *party_lines(document.buyer),
        *(line.description for line in document.lines),
        document.note,
    ]
    known = set(font.cmap)
    missing = sorted(
        {letter for text in texts for letter in text if ord(letter) not in known and letter != "\n"}
    )
    if missing:
        raise InvalidField(
            f"The PDF's font has no {' '.join(missing[:10])}. The operator sets ASPENDOS_INVOICE_FONT to a TrueType "
            "font that has these letters; the HTML page shows them without.",
            code="font_lacks_letters",
        )
