"""An invoice as a page: one file without scripts, pictures or anything fetched, fit to be printed."""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from billing.invoices.document import CREDIT_NOTE, Document, Party, amount, percent

if TYPE_CHECKING:
    from jinja2 import Template

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ title }} {{ d.number }}</title>
<style>
  body { font: 14px/1.45 system-ui, "DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", sans-serif; max-width: 48em;
         margin: 3em auto; padding: 0 1em; color: #111 }
  h1 { font-size: 1.5em; margin: 0 0 .2em }
  .parties { display: flex; gap: 3em; margin: 2em 0 }
  .parties > div { flex: 1; white-space: pre-line }
  .label { color: #666; font-size: .85em }
  table { border-collapse: collapse; width: 100% }
  th { text-align: left; font-weight: 600; border-bottom: 1px solid #111 }
  th, td { padding: .35em .5em .35em 0; vertical-align: top }
  .n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
  tfoot td { border-top: 1px solid #ccc }
  tfoot tr.total td { border-top: 1px solid #111; font-weight: 600 }
  footer { margin-top: 3em; color: #666; font-size: .85em; white-space: pre-line }
</style>
</head>
<body>
<h1>{{ title }} {{ d.number }}</h1>
<div>{{ issued }}{% if d.corrects_number %} · corrects {{ d.corrects_number }}{% endif %}</div>
<div class="parties">
{%- for label, party in (("Seller", d.seller), ("Buyer", d.buyer)) %}
<div><div class="label">{{ label }}</div>{{ lines(party) }}</div>
{%- endfor %}
</div>
<table>
<thead><tr><th>Description</th><th class="n">Quantity</th><th class="n">Unit</th><th class="n">VAT</th>
<th class="n">Net</th></tr></thead>
<tbody>
{%- for line in d.lines %}
<tr><td>{{ line.description }}</td><td class="n">{{ line.quantity }}</td>
<td class="n">{{ money(line.unit_minor) }}</td><td class="n">{{ percent(line.vat_basis_points) }}</td>
<td class="n">{{ money(line.net_minor) }}</td></tr>
{%- endfor %}
</tbody>
<tfoot>
<tr><td colspan="4">Net</td><td class="n">{{ money(d.net_minor) }}</td></tr>
{%- for one in d.vat %}
<tr><td colspan="4">VAT {{ percent(one.basis_points) }} of {{ money(one.net_minor) }}</td>
<td class="n">{{ money(one.vat_minor) }}</td></tr>
{%- endfor %}
<tr class="total"><td colspan="4">Total</td><td class="n">{{ money(d.total_minor) }}</td></tr>
</tfoot>
</table>
<footer>{{ rate }}{% if d.note %}
{{ d.note }}{% endif %}</footer>
</body>
</html>
"""


def page(document: Document) -> str:
    """The document as HTML; whatever its texts hold is text in the page too."""

    def money(minor: int) -> str:
        return amount(minor, document.currency)

    def lines(party: Party) -> str:
        return "\n".join(party_lines(party))

    return _template().render(
        d=document,
        title=title(document),
        issued=issued(document),
        rate=rate(document),
        money=money,
        percent=percent,
        lines=lines,
    )


def title(document: Document) -> str:
    return "Credit note" if document.kind == CREDIT_NOTE else "Invoice"


def issued(document: Document) -> str:
    """The day of issue, in UTC."""
    return datetime.fromtimestamp(document.issued_at, UTC).date().isoformat()


def rate(document: Document) -> str:
    """The exchange rate that was stored with it; nothing for dollars."""
    return (
        ""
        if document.currency == "USD"
        else f"1 {document.currency} = {document.fx} USD on the day of issue."
    )


def party_lines(party: Party) -> list[str]:
    """A seller or buyer, one fact a line."""
    office = f" ({party.tax_office})" if party.tax_office else ""
    tax = f"Tax no. {party.tax_id}{office}" if party.tax_id else ""
    return [line for line in (party.name, *party.address, party.country, tax, party.email) if line]


@cache
def _template() -> "Template":
    # Imported here: it takes longer than a start should, and most starts show no invoice.
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(_PAGE)
