"""Money in minor units: exact, rounded once, and never below what it covers."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.currency import (
    MOST,
    Money,
    exponent,
    from_nano,
    known,
    money,
    parsed,
    rate,
    rates,
    share,
    to_nano,
    written,
)
from inference.ir.errors import InvalidField

CODES = st.sampled_from(["USD", "TRY", "EUR", "CNY", "JPY", "KRW", "KWD", "BHD"])
RATES = st.tuples(st.integers(0, 9999), st.integers(1, 10**12 - 1)).map(
    lambda pair: f"{pair[0]}.{pair[1]:012d}"
)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("19.99", "USD", 1999),
        ("19.9", "TRY", 1990),
        ("0.01", "EUR", 1),
        ("1200", "JPY", 1200),
        ("1.230", "KWD", 1230),
        ("7", "cny", 700),
    ],
)
def test_decimal_text_is_read_exactly(text: str, currency: str, minor: int) -> None:
    found = parsed(text, currency)
    assert (found.minor, found.currency) == (minor, currency.upper())
    assert parsed(written(found.minor, found.currency), found.currency) == found


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("-1", "USD"), ("0", "USD"), ("0.00", "USD"), ("1.001", "USD"), ("1.5", "JPY"), ("1e3", "USD"), ("NaN", "USD"),
        ("inf", "USD"), ("1,00", "EUR"), ("", "USD"), ("١", "USD"), ("1", "XXX"), ("1", "ISK"), ("1", "UGX"),
        ("1.234", "KWD"), ("9" * 30, "USD"), ("1'; DROP TABLE payments;--", "USD"), ("1", "US$"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(InvalidField):
        parsed(text, currency)


@pytest.mark.parametrize("minor", [0, -1, MOST + 1, True])
def test_amounts_to_be_paid_are_whole_and_above_zero(minor: int) -> None:
    with pytest.raises(InvalidField):
        money(minor, "USD")


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "+1", "", "0.0", "1.", ".5", "1" * 13, "0." + "1" * 19])
def test_rates_are_plain_decimals_above_zero(text: str) -> None:
    with pytest.raises(InvalidField):
        rate(text)


def test_rates_are_named_once_each() -> None:
    found = rates("TRY=0.029, eur=1.08")
    assert (found.of("TRY"), found.of("EUR"), found.of("USD")) == ("0.029", "1.08", "1")
    for wrong in ("TRY", "TRY=0.1,TRY=0.2", "USD=1", "XXX=1", "TRY=-1"):
        with pytest.raises(InvalidField):
            rates(wrong)
    with pytest.raises(InvalidField, match=r"JPY=0\.5"):
        found.of("JPY")


def test_half_a_nano_is_rounded_away_from_zero() -> None:
    # One yen at 0.0000000005 dollars is half a nano-USD.
    assert to_nano(Money(minor=1, currency="JPY"), "0.0000000005") == 1
    assert to_nano(Money(minor=-1, currency="JPY"), "0.0000000005") == -1
    assert to_nano(Money(minor=1, currency="JPY"), "0.0000000004") == 0


@given(st.integers(1, 10**12), CODES, RATES)
def test_a_price_always_covers_what_it_sells_and_by_less_than_a_step(
    nano: int, currency: str, dollars: str
) -> None:
    price = from_nano(nano, currency, dollars)
    step = 10 if exponent(currency) == 3 else 1
    worth = Fraction(price.minor, 10 ** exponent(currency)) * rate(dollars) * 10**9
    below = Fraction(price.minor - step, 10 ** exponent(currency)) * rate(dollars) * 10**9
    assert below < nano <= worth
    assert price.minor % step == 0


@given(st.integers(-(10**15), 10**15), CODES, RATES)
def test_worth_is_off_by_at_most_half_a_nano(minor: int, currency: str, dollars: str) -> None:
    exact = Fraction(minor, 10 ** exponent(currency)) * rate(dollars) * 10**9
    assert abs(to_nano(Money(minor=minor, currency=currency), dollars) - exact) <= Fraction(1, 2)


@given(st.integers(-(10**18), 10**18), st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
def test_shares_never_sum_to_more_than_the_whole(total: int, parts: list[int]) -> None:
    whole = max(1, sum(parts))
    assert abs(sum(share(total, part, whole) for part in parts)) <= abs(total)
    assert share(total, whole, whole) == total


def test_small_letters_are_currencies_too() -> None:
    assert known("usd") == "USD"
    assert str(Money(minor=-5, currency="USD")) == "-0.05 USD"
