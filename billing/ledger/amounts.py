"""Amounts: dollars as people write them, to exact nano-USD. Pure; knows no floats."""

import re

from billing.ledger.book import LARGEST, Overflow
from billing.pricing import NANO_PER_USD
from inference.ir.errors import InvalidField

_USD = re.compile(r"(-?)([0-9]{1,30})(?:\.([0-9]{1,9}))?")


def nano_of(usd: str, param: str = "amount_usd") -> int:
    """`12.5` -> 12_500_000_000. Raises InvalidField for what is no decimal number of at most nine places."""
    found = _USD.fullmatch(usd) if usd.isascii() else None
    if found is None:
        raise InvalidField(
            f"{param}: expected dollars as a decimal text such as 12.50, at most nine places; got {usd[:40]!r}",
            param=param,
        )
    sign, whole, fraction = found.groups()
    nano = int(whole) * NANO_PER_USD + int((fraction or "").ljust(9, "0"))
    if nano > LARGEST:
        raise Overflow(f"{param}: at most {LARGEST} nano-USD can be posted; got {usd[:40]}", param=param)
    return -nano if sign else nano
