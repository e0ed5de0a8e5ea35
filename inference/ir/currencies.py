"""Currencies: ISO 4217 codes and how many decimals each has; refuses rates of exchange and unknown codes.

Source: ISO 4217 list one, active currencies of countries (https://www.six-group.com/en/products-services/
financial-information/data-standards.html). A processor may count otherwise: to Stripe MGA has no decimals, ISK and
UGX have two that must be zero (https://docs.stripe.com/currencies#zero-decimal). That is for its adapter to turn.
"""

import re

_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP
    CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
    JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN
    NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
    SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST YER ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
_PLACES = {code: places for places, codes in _DECIMALS.items() for code in codes.split()}
_DECIMAL = re.compile(r"(?P<whole>[0-9]{1,12})(?:\.(?P<part>[0-9]{1,9}))?")


def decimals(currency: str) -> int | None:
    """How many decimals amounts in a currency have: 2 for USD, 0 for JPY; None: no such currency."""
    return _PLACES.get(currency)


def known() -> list[str]:
    """Every code, sorted."""
    return sorted(_PLACES)


def minor_units(text: str, currency: str) -> int:
    """A decimal amount in the currency's smallest unit, exactly: "9.99" USD is 999, "1200" JPY is 1200.

    Raises ValueError, in words fit for people, for what is no amount, for an unknown currency, and for more
    decimals than the currency has (zeros at the end do not count).
    """
    places = decimals(currency)
    if places is None:
        raise ValueError(f"{currency} is not a currency of ISO 4217")
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError("an amount such as 9.99 was expected: digits, without sign or exponent")
    part = (match["part"] or "").rstrip("0")
    if len(part) > places:
        raise ValueError(f"{currency} has {places or 'no'} decimals, {text} has {len(part)}")
    return int(match["whole"] + part.ljust(places, "0"))


def decimal_text(amount: int, currency: str) -> str:
    """An amount as people write it, with all its decimals: 999 USD is "9.99", 1200 JPY "1200".

    Raises ValueError for an unknown currency.
    """
    places = decimals(currency)
    if places is None:
        raise ValueError(f"{currency} is not a currency of ISO 4217")
    if not places:
        return str(amount)
    whole, part = divmod(abs(amount), 10**places)
    return f"{'-' if amount < 0 else ''}{whole}.{part:0{places}d}"
