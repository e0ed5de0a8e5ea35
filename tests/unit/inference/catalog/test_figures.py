"""Figures of the catalogue, from text to number."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.catalog.figures import Amount, Part, Seconds, Usd
from inference.yaml_struct import MisfitError

DIGITS = st.text("0123456789")


@given(st.text("0123456789", min_size=1, max_size=6), st.text("0123456789", max_size=9))
def test_a_price_is_exact_to_the_nano_dollar(whole: str, part: str) -> None:
    text = f"{whole}.{part}" if part else whole
    with localcontext(prec=40):
        assert Usd.read(text) == Decimal(text) * 10**9


def test_a_part_of_a_price_is_above_nothing_and_at_most_all() -> None:
    assert [Part.read(text) for text in ("0.5", "1", ".000000001")] == [500_000_000, 10**9, 1]
    for text in ("0", "1.000000001", "2", "-0.5", "half", "0.0000000001"):
        with pytest.raises(MisfitError):
            Part.read(text)


@given(DIGITS, DIGITS)
def test_a_price_is_exact_or_refused(whole: str, part: str) -> None:
    try:
        value = Usd.read(f"{whole}.{part}")
    except MisfitError:
        assert len(part) > 9 or not (whole or part) or int(whole or "0") >= 1_000_000
    else:
        assert value == int(whole or "0") * 10**9 + int(part.ljust(9, "0"))


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0.0375", 37_500_000),
        ("5", 5_000_000_000),
        (".5", 500_000_000),
        ("0.1", 100_000_000),
        ("0.000000001", 1),
        ("007", 7_000_000_000),
        ("1000000", 10**15),
        ("0.290000000", 290_000_000),
    ],
)
def test_prices_by_hand(text: str, nano: int) -> None:
    assert Usd.read(text) == nano


@pytest.mark.parametrize(
    "text", ["", ".", "-1", "+1", "1e3", "1,5", "$1", "0x1", "1_000", "inf", "nan", "1 ", "٣"]
)
def test_what_is_no_price(text: str) -> None:
    with pytest.raises(MisfitError):
        Usd.read(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("1.5", 1.5), ("250ms", 0.25), ("30s", 30), ("2m", 120), ("24h", 86_400)],
)
def test_times_by_hand(text: str, seconds: float) -> None:
    assert Seconds.read(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "0", "0ms", "-1", "25h", "1d", "1e3", ".5", "inf", "nan", "s", "1" * 400]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(MisfitError):
        Seconds.read(text)


@pytest.mark.parametrize("text", ["0", "9.99", "1200", "0.000000001", "007", "9" * 12])
def test_an_amount_stays_as_it_was_typed(text: str) -> None:
    assert Amount.read(text) == text


@pytest.mark.parametrize(
    "text", ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "$1", "1_000", "٣", "9" * 13, "0." + "1" * 10]
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(MisfitError):
        Amount.read(text)
