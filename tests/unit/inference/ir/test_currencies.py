"""Amounts of money, from text to whole smallest units and back."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.ir.currencies import decimal_text, decimals, known, minor_units


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("9.99", "USD", 999),
        ("9.9", "TRY", 990),
        ("0", "EUR", 0),
        ("0.01", "CNY", 1),
        ("1200", "JPY", 1_200),
        ("1200.00", "JPY", 1_200),
        ("1.234", "KWD", 1_234),
        ("7.5000", "USD", 750),
        ("007", "USD", 700),
    ],
)
def test_by_hand(text: str, currency: str, minor: int) -> None:
    assert minor_units(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "words"),
    [
        ("9.999", "USD", "USD has 2 decimals"),
        ("0.5", "JPY", "JPY has no decimals"),
        ("1", "UST", "UST is not a currency"),
        ("1", "usd", "usd is not a currency"),
        *(
            (text, "USD", "an amount such as")
            for text in ("", ".", "-1", "+1", "1e3", "1,5", "$1", "٣", "1.")
        ),
        ("1" * 13, "USD", "an amount such as"),
    ],
)
def test_what_is_no_amount_is_refused_in_words(text: str, currency: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        minor_units(text, currency)


@given(st.sampled_from(known()), st.integers(0, 10**12 - 1))
def test_there_and_back(currency: str, amount: int) -> None:
    text = decimal_text(amount, currency)
    assert minor_units(text, currency) == amount
    assert Decimal(text) * 10 ** (decimals(currency) or 0) == amount


def test_below_zero_and_unknown() -> None:
    assert decimal_text(-5, "USD") == "-0.05"
    assert decimals("XXX") is None
    with pytest.raises(ValueError, match="XXX is not a currency"):
        decimal_text(1, "XXX")
