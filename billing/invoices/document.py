"""Documents: what an invoice or credit note says, and its sums. Pure; refuses floats and amounts that overflow.

A line's net is its unit price times its quantity, exactly. VAT is reckoned once for each rate, on the sum of that
rate's lines, half a minor unit rounded away from zero: so the VAT shown is the VAT of the sums shown. A credit note
holds the same figures below zero.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from billing.currency import MOST, Money, known, to_nano, written
from inference.ir.errors import InvalidField

INVOICE, CREDIT_NOTE = "invoice", "credit_note"
_LONG = Annotated[str, Meta(min_length=1, max_length=400)]
_SHORT = Annotated[str, Meta(max_length=120)]


class Party(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seller or buyer. `country` is an ISO 3166 code, `tax_id` a VAT or tax number."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    address: Annotated[tuple[_SHORT, ...], Meta(max_length=8)] = ()
    country: Annotated[str, Meta(pattern="^([A-Z]{2})?$")] = ""
    tax_id: _SHORT = ""
    tax_office: _SHORT = ""
    email: _SHORT = ""


class LineOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line as it is asked for. `unit_minor` in minor units; `vat_basis_points`: 2000 is 20 %."""

    description: _LONG
    unit_minor: Annotated[int, Meta(ge=-MOST, le=MOST)]
    quantity: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1
    vat_basis_points: Annotated[int, Meta(ge=0, le=10_000)] = 0


class Line(Struct, frozen=True, kw_only=True):
    """One line as it was issued."""

    description: str
    quantity: int
    unit_minor: int
    net_minor: int
    vat_basis_points: int


class Vat(Struct, frozen=True, kw_only=True):
    """The VAT of one rate."""

    basis_points: int
    net_minor: int
    vat_minor: int


class Document(Struct, frozen=True, kw_only=True):
    """An invoice or credit note as it was issued. `number` is its name for people, such as `INV-2026-000042`.

    `issued_at` is unix seconds; `fx` is dollars for one unit of the currency, `total_nano_usd` the total at it.
    """

    id: str
    kind: str
    number: str
    org_id: str
    issued_at: int
    seller: Party
    buyer: Party
    currency: str
    fx: str
    lines: tuple[Line, ...]
    vat: tuple[Vat, ...]
    net_minor: int
    vat_minor: int
    total_minor: int
    total_nano_usd: int
    corrects: str | None = None
    corrects_number: str | None = None
    note: str = ""


def summed(
    lines: Sequence[LineOrder], currency: str, dollars: str, *, sign: int = 1
) -> tuple[tuple[Line, ...], tuple[Vat, ...], int, int]:
    """Lines, VAT by rate (lowest first), net and VAT totals; `sign` -1 for a credit note. Raises InvalidField."""
    if not lines or len(lines) > 500:
        raise InvalidField("lines: 1 to 500 lines were expected.", param="lines")
    known(currency)
    issued = tuple(
        Line(
            description=line.description,
            quantity=line.quantity,
            unit_minor=sign * line.unit_minor,
            net_minor=sign * line.unit_minor * line.quantity,
            vat_basis_points=line.vat_basis_points,
        )
        for line in lines
    )
    rates = sorted({line.vat_basis_points for line in issued})
    vat = tuple(
        _vat(rate, sum(line.net_minor for line in issued if line.vat_basis_points == rate)) for rate in rates
    )
    net, tax = sum(one.net_minor for one in vat), sum(one.vat_minor for one in vat)
    if max(abs(net + tax), abs(to_nano(Money(minor=net + tax, currency=currency), dollars))) > MOST:
        raise InvalidField("The total is more than can be counted.", param="lines")
    if sign * (net + tax) < 0:
        raise InvalidField("The total is below zero: what is given back needs a credit note.", param="lines")
    return issued, vat, net, tax


def amount(minor: int, currency: str) -> str:
    """For people: `1,234.50 TRY`, and the sign where one is known: `₺1,234.50`."""
    text = written(abs(minor), currency)
    whole, point, part = text.partition(".")
    shown = f"{int(whole):,}{point}{part}"
    sign = _SIGNS.get(currency)
    return (
        f"{'-' if minor < 0 else ''}{sign}{shown}"
        if sign
        else f"{'-' if minor < 0 else ''}{shown} {currency}"
    )


def percent(basis_points: int) -> str:
    """2000 is `20 %`, 850 is `8.5 %`."""
    whole, part = divmod(basis_points, 100)
    return f"{whole}.{part:02d}".rstrip("0").rstrip(".") + " %"


_SIGNS = {"USD": "$", "EUR": "€", "TRY": "₺", "GBP": "£", "CNY": "CN¥", "JPY": "¥", "KRW": "₩"}


def _vat(rate: int, net: int) -> Vat:
    magnitude = (abs(net) * rate + 5_000) // 10_000
    return Vat(basis_points=rate, net_minor=net, vat_minor=magnitude if net >= 0 else -magnitude)
