"""Offers: packs from text, prices in any currency there is a rate for, tiers that have a price."""

import pytest

from billing.currency import Money, rates
from billing.processors.offers import Offers, packs
from inference.ir.errors import InvalidField, NotFound
from inference.ir.tiers import Tier

OFFERS = Offers(
    packs=packs("small=1000:10USD large=12000:100USD:95EUR eu=100:1EUR"),
    tiers={
        "free": Tier(name="free", price={"USD": 0}),
        "pro": Tier(name="pro", credits_per_month=5000, price={"USD": 2999}),
    },
    rates=rates("TRY=0.029,EUR=1.08,JPY=0.0067,KWD=3.25"),
)


@pytest.mark.parametrize(
    ("pack", "currency", "minor"),
    [
        ("small", "USD", 1000), ("large", "EUR", 9500), ("small", "EUR", 926), ("small", "TRY", 34483),
        ("small", "JPY", 1493), ("small", "KWD", 3080),
    ],
)  # fmt: skip
def test_prices_are_written_or_follow_from_the_rate(pack: str, currency: str, minor: int) -> None:
    assert OFFERS.pack(pack, currency).price == Money(minor=minor, currency=currency)


def test_a_tier_carries_a_months_credits() -> None:
    plan = OFFERS.plan("pro", "USD")
    assert (plan.credit_nano, plan.price.minor) == (50_000_000_000, 2999)


@pytest.mark.parametrize("tier", ["free", "ultra", ""])
def test_tiers_without_a_price_are_not_for_sale(tier: str) -> None:
    with pytest.raises(NotFound, match="pro"):
        OFFERS.plan(tier, "USD")


def test_currencies_without_a_price_or_a_rate_are_refused() -> None:
    for pack, currency in (("small", "CNY"), ("small", "XXX"), ("eu", "USD"), ("small", "ISK")):
        with pytest.raises(InvalidField):
            OFFERS.pack(pack, currency)
    with pytest.raises(NotFound, match="small, large, eu"):
        OFFERS.pack("tiny", "USD")


@pytest.mark.parametrize(
    "text",
    ["small", "small=10", "small=0:1USD", "small=-5:1USD", "small=1.5:1USD", "small=1:USD", "small=1:1XXX",
     "small=1:-1USD", "a=1:1USD a=1:1USD", "A=1:1USD", "small=1:1.234USD", "small=1:0USD"],
)  # fmt: skip
def test_packs_with_mistakes_are_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        packs(text)
