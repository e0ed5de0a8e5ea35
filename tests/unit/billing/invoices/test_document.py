"""The sums on a document: whole, rounded once for each rate, equal to what their parts show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.document import LineOrder, amount, percent, summed
from inference.ir.errors import InvalidField

LINES = st.lists(
    st.builds(
        LineOrder,
        description=st.just("x"),
        unit_minor=st.integers(0, 10**6),
        quantity=st.integers(1, 1000),
        vat_basis_points=st.sampled_from([0, 100, 850, 1000, 1900, 2000]),
    ),
    min_size=1,
    max_size=12,
)


@given(LINES)
def test_the_figures_shown_add_up(orders: list[LineOrder]) -> None:
    lines, vat, net, tax = summed(orders, "EUR", "1.08")
    assert net == sum(line.net_minor for line in lines) == sum(one.net_minor for one in vat)
    assert tax == sum(one.vat_minor for one in vat)
    for one in vat:
        assert abs(one.vat_minor * 10_000 - one.net_minor * one.basis_points) <= 5_000
    noted, mirrored, credit_net, credit_tax = summed(orders, "EUR", "1.08", sign=-1)
    assert (credit_net, credit_tax) == (-net, -tax)
    assert [one.vat_minor for one in mirrored] == [-one.vat_minor for one in vat]
    assert len(noted) == len(lines)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [LineOrder(description="x", unit_minor=1)] * 501,
        [LineOrder(description="x", unit_minor=2**62, quantity=4)],
        [LineOrder(description="x", unit_minor=-1)],
    ],
)
def test_documents_that_make_no_sense_are_refused(lines: list[LineOrder]) -> None:
    with pytest.raises(InvalidField):
        summed(lines, "USD", "1")


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123_456_789, "TRY", "₺1,234,567.89"), (5, "EUR", "€0.05"), (-1_000, "JPY", "-¥1,000"),
        (1_999, "CNY", "CN¥19.99"), (1_234, "KWD", "1.234 KWD"), (-100, "CHF", "-1.00 CHF"),
    ],
)  # fmt: skip
def test_amounts_as_people_write_them(minor: int, currency: str, text: str) -> None:
    assert amount(minor, currency) == text


def test_percentages() -> None:
    assert [percent(rate) for rate in (0, 100, 850, 1925, 2000, 10_000)] == [
        "0 %",
        "1 %",
        "8.5 %",
        "19.25 %",
        "20 %",
        "100 %",
    ]
