"""Dollars as people write them, to exact nano-dollars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger.amounts import nano_of
from billing.pricing import usd
from inference.ir.errors import InvalidField

MOST = 2**63 - 1


@given(st.integers(-MOST, MOST))
def test_what_is_shown_can_be_read_again(nano: int) -> None:
    assert nano_of(usd(nano)) == nano


@pytest.mark.parametrize(
    ("text", "nano"), [("5", 5 * 10**9), ("0.50", 5 * 10**8), ("-0.000000001", -1), ("00.1", 10**8)]
)
def test_decimals_are_exact(text: str, nano: int) -> None:
    assert nano_of(text) == nano


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1e3",
        " 5",
        "5\n",
        "1,5",
        ".5",
        "5.",
        "+1",
        "1_000",
        "0x1",
        "NaN",
        "inf",
        "1.0000000001",
        "\u0661",
        "9223372036.854775808",
        "9" * 31,
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="amount_usd"):
        nano_of(text)
