"""Offers: what is for sale and at which price. Pure; packs and rates come from settings, tiers from the catalogue.

A pack's credits are nano-USD; its price is written in one or more currencies, and follows from the dollar price by
the operator's rate in every other currency, rounded up to what can be charged.
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from billing.currency import Money, Rates, from_nano, known, money, parsed, to_nano
from billing.processors.processor import Plan, Purchase
from inference.ir.errors import InvalidField, NotFound
from inference.ir.tiers import NANO_PER_CREDIT, Tier

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_CREDITS = re.compile(r"[1-9]\d{0,9}")
_EXAMPLE = "small=1000:10USD large=12000:100USD:95EUR"


class Pack(Struct, frozen=True, kw_only=True):
    """Credits sold at once. `prices` in minor units by currency."""

    name: str
    credit_nano: int
    prices: Mapping[str, int]


class Offers(Struct, frozen=True, kw_only=True):
    """Everything that is for sale."""

    packs: Mapping[str, Pack]
    tiers: Mapping[str, Tier]
    rates: Rates

    def pack(self, name: str, currency: str, *, kind: str = "pack") -> Purchase:
        """Raises NotFound for an unknown pack, InvalidField for a currency it has no price in."""
        found = self.packs.get(name)
        if found is None:
            there = ", ".join(self.packs) or "none; the operator sets ASPENDOS_CREDIT_PACKS"
            raise NotFound(f"There is no pack {name[:40]!r}; there is {there}.", code="pack_not_found")
        return Purchase(
            item=name,
            kind=kind,
            credit_nano=found.credit_nano,
            price=_price(found.prices, currency, self.rates, f"The pack {name}"),
        )

    def plan(self, tier: str, currency: str) -> Plan:
        """Raises NotFound for a tier that is unknown or has no price, InvalidField for its currency."""
        found = self.tiers.get(tier)
        if found is None or not any(found.price.values()):
            sold = ", ".join(name for name, one in self.tiers.items() if any(one.price.values()))
            raise NotFound(
                f"The tier {tier[:40]!r} is not for sale; {sold or 'none'} is.", code="tier_not_for_sale"
            )
        return Plan(
            tier=tier,
            credit_nano=found.credits_per_month * NANO_PER_CREDIT,
            price=_price(found.price, currency, self.rates, f"The tier {tier}"),
        )


def _price(prices: Mapping[str, int], currency: str, rates: Rates, what: str) -> Money:
    code = known(currency)
    if code in prices:
        return money(prices[code], code, param="price")
    if "USD" not in prices:
        raise InvalidField(f"{what} is sold in {', '.join(prices)}, not in {code}.", param="currency")
    return from_nano(to_nano(money(prices["USD"], "USD", param="price"), "1"), code, rates.of(code))


def packs(text: str) -> dict[str, Pack]:
    """Packs from `small=1000:10USD large=12000:100USD:95EUR`: name, credits, prices. Raises InvalidField."""
    found: dict[str, Pack] = {}
    for item in text.split():
        name, equals, rest = item.partition("=")
        credits_, *priced = rest.split(":")
        if not equals or not priced or _NAME.fullmatch(name) is None or name in found:
            raise InvalidField(f"{item!r}: expected packs such as {_EXAMPLE}.", param="packs")
        if _CREDITS.fullmatch(credits_) is None:
            raise InvalidField(f"{item!r}: {credits_!r} is not a whole number of credits.", param="packs")
        prices: dict[str, int] = {}
        for price in priced:
            amount = parsed(price[:-3], price[-3:], param=f"the price {price!r}")
            prices[amount.currency] = amount.minor
        found[name] = Pack(name=name, credit_nano=int(credits_) * NANO_PER_CREDIT, prices=prices)
    return found
