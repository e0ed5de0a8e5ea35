"""Currencies: amounts in minor units and their worth in nano-USD. Pure; refuses floats and unknown currencies.

A minor unit is what processors count in: a cent, a kuruş, a fen, a whole yen, a thousandth of a dinar.
Exponents are ISO 4217's. Rates are exact decimal text, dollars for one whole unit of the currency, and come
from whoever runs the gateway: there is no source on the network. The arithmetic is on whole numbers throughout;
each conversion rounds once and says how.
"""

import re
from collections.abc import Mapping
from fractions import Fraction

from msgspec import Struct

from inference.ir.currencies import decimal_text, decimals, minor_units
from inference.ir.errors import InvalidField

NANO = 1_000_000_000
MOST = 2**63 - 1
"""The largest amount a database column holds."""

COUNTED_TWO_WAYS = frozenset({"ISK", "MGA", "UGX"})
"""ISO 4217 and card networks disagree on their decimals; refused, since one of them would be wrong by a hundred."""

_RATE = re.compile(r"(0|[1-9]\d{0,11})(\.\d{1,18})?")


class Money(Struct, frozen=True, kw_only=True):
    """An amount in minor units of a currency, such as 1999 of USD for $19.99."""

    minor: int
    currency: str

    def __str__(self) -> str:
        """As people write it, without a sign for the currency: `19.99 USD`, `-500 JPY`."""
        return f"{written(self.minor, self.currency)} {self.currency}"


def known(currency: str, *, param: str = "currency") -> str:
    """The currency's code in capitals. Raises InvalidField for one that is not known."""
    code = currency.upper()
    if decimals(code) is None or code in COUNTED_TWO_WAYS:
        raise InvalidField(
            f"{currency[:12]!r} is not a currency that is sold in: an ISO 4217 code such as USD, TRY, EUR, CNY or "
            f"JPY was expected ({', '.join(sorted(COUNTED_TWO_WAYS))} are not supported).",
            param=param,
        )
    return code


def exponent(currency: str) -> int:
    """Digits after the point. Raises InvalidField for a currency that is not known."""
    return decimals(known(currency)) or 0


def money(minor: int, currency: str, *, param: str = "amount") -> Money:
    """An amount somebody is to pay. Raises InvalidField unless it is whole, above zero and chargeable.

    Card networks round three-decimal currencies to ten thousandths, so there the last digit has to be 0.
    """
    code = known(currency)
    if isinstance(minor, bool) or not 0 < minor <= MOST:
        raise InvalidField(
            f"{param} is {minor}; a whole number of minor units above 0 was expected.", param=param
        )
    if exponent(code) == 3 and minor % 10:
        raise InvalidField(
            f"{param} is {minor}; in {code} the last of the three decimals must be 0.", param=param
        )
    return Money(minor=minor, currency=code)


def parsed(text: str, currency: str, *, param: str = "amount") -> Money:
    """`19.99` as an amount. Raises InvalidField for a sign, an exponent or more digits than the currency has."""
    code = known(currency)
    try:
        return money(minor_units(text, code), code, param=param)
    except ValueError as error:
        raise InvalidField(f"{param} is {text[:40]!r}: {error}.", param=param) from error


def written(minor: int, currency: str) -> str:
    """The amount in whole units with every decimal the currency has: 5 of USD is `0.05`, 5 of JPY is `5`."""
    return decimal_text(minor, known(currency))


def rate(text: str, *, param: str = "rate") -> Fraction:
    """Dollars for one unit, from decimal text. Raises InvalidField for signs, exponents, zero or 19 decimals."""
    if _RATE.fullmatch(text) is None or Fraction(text) == 0:
        raise InvalidField(
            f"{param} is {text[:40]!r}; a decimal above 0, such as 0.029, was expected.", param=param
        )
    return Fraction(text)


def to_nano(amount: Money, dollars: str) -> int:
    """What an amount is worth in nano-USD at `dollars` for one unit; half a nano is rounded away from zero."""
    exact = Fraction(amount.minor, 10 ** exponent(amount.currency)) * rate(dollars) * NANO
    return _half_up(exact)


def from_nano(nano: int, currency: str, dollars: str) -> Money:
    """The least amount of a currency that covers so many nano-USD: rounded up, so never sold below its price.

    In three-decimal currencies up to the next ten, which is what can be charged.
    """
    code = known(currency)
    step = 10 if exponent(code) == 3 else 1
    exact = Fraction(nano, NANO) / rate(dollars) * 10 ** exponent(code) / step
    return Money(minor=-(-exact.numerator // exact.denominator) * step, currency=code)


def share(total: int, part: int, whole: int) -> int:
    """`total * part / whole`, rounded towards zero: what belongs to a part of a payment. `whole` is above 0."""
    signed = total * part
    return signed // whole if signed >= 0 else -(-signed // whole)


class Rates(Struct, frozen=True):
    """Dollars for one unit of each currency that is sold in; the dollar itself is always 1."""

    dollars: Mapping[str, str]

    def of(self, currency: str) -> str:
        """The rate as the exact text to be kept with a transaction. Raises InvalidField for a currency without one."""
        code = known(currency)
        if code == "USD":
            return "1"
        found = self.dollars.get(code)
        if found is None:
            raise InvalidField(
                f"There is no exchange rate for {code}. The operator sets it in ASPENDOS_EXCHANGE_RATES, "
                f"such as {code}=0.5 dollars for one {code}.",
                param="currency",
            )
        return found


def rates(text: str) -> Rates:
    """Rates from `TRY=0.029,EUR=1.08`. Raises InvalidField naming the wrong one."""
    found: dict[str, str] = {}
    for item in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = item.partition("=")
        code = known(name.strip(), param="exchange rates")
        if not equals or code in found or code == "USD":
            raise InvalidField(f"{item!r}: expected each currency but USD once, as in TRY=0.029.")
        rate(value.strip(), param=f"the rate of {code}")
        found[code] = value.strip()
    return Rates(found)


def _half_up(exact: Fraction) -> int:
    magnitude = (2 * abs(exact).numerator + exact.denominator) // (2 * exact.denominator)
    return magnitude if exact >= 0 else -magnitude
