"""Savings: what the providers' prompt caches saved callers, at the prices in force.

A token read from a cache is priced below one that is not, a token written to it often above. What either came to is
known for requests that were charged at a price the catalogue still has; the others' tokens are counted and not
guessed at. Nothing is said of responses the gateway kept or of cheaper routes: records do not hold what a request
would have cost otherwise.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import case
from sqlalchemy.ext.asyncio import AsyncSession

from billing.pricing import TOKENS_PER_PRICE, usd
from billing.reporting.dimensions import Dimension
from billing.reporting.groups import Group, Grouping, Measures, read_groups
from billing.reporting.selection import UsageFilter
from billing.tables import usage_records
from inference.ir.cards import Price

_t = usage_records.c

_READ = case((_t.cache_read_tokens < _t.input_tokens, _t.cache_read_tokens), else_=_t.input_tokens)
_LEFT = _t.input_tokens - _READ
# Cut as `cost_nano` cuts them when a provider counts more cached tokens than there were.
_WRITTEN = case((_t.cache_write_tokens < _LEFT, _t.cache_write_tokens), else_=_LEFT)
_FOR_AN_HOUR = case((_t.cache_write_1h_tokens < _WRITTEN, _t.cache_write_1h_tokens), else_=_WRITTEN)
_MEASURES = Measures({"for_an_hour": _FOR_AN_HOUR}, {"read": _READ, "written": _WRITTEN}, order="read")
_CHARGED = (_t.cost_nano > 0, _t.byok.is_(False), (_READ > 0) | (_WRITTEN > 0))
_AT_A_TIME = 1000


class Saving(Struct, frozen=True, kw_only=True):
    """One model's at one price, or all together. `read_saving_nano` is how much less the tokens read from a cache cost
    than at the price of plain input, `write_surcharge_nano` how much more those written to it did, `saving_nano` the
    difference of both; rounded down once each. None: the catalogue no longer has the price.
    """

    model: str | None
    price_version: str | None
    requests: int
    cache_read_tokens: int
    cache_write_tokens: int
    read_saving_nano: int | None
    write_surcharge_nano: int | None
    saving_nano: int | None
    saving_usd: str | None


class Savings(Struct, frozen=True, kw_only=True):
    """`total` is of what is priced; `unpriced_cache_read_tokens` were read at prices that are no longer known."""

    models: list[Saving]
    total: Saving
    unpriced_cache_read_tokens: int


class _Exact(Struct, frozen=True):
    """In millionths of a nano-USD, as prices are per million tokens."""

    read: int
    written: int


async def read_savings(session: AsyncSession, wanted: UsageFilter, prices: Mapping[str, Price]) -> Savings:
    """`prices` are those in force, by version."""
    groups: list[Group] = []
    cursor = None
    asked = Grouping(
        wanted=wanted,
        by=(Dimension.MODEL, Dimension.PRICE_VERSION),
        zone=ZoneInfo("UTC"),
        measures=_MEASURES,
        where=_CHARGED,
    )
    while True:
        page = await read_groups(session, asked, limit=_AT_A_TIME, cursor=cursor)
        groups += page.groups
        cursor = page.next_cursor
        if cursor is None:
            return _savings(groups, prices)


def _savings(groups: list[Group], prices: Mapping[str, Price]) -> Savings:
    exact = [_exact(group, prices) for group in groups]
    priced = [(group, each) for group, each in zip(groups, exact, strict=True) if each is not None]
    total = _Exact(sum(each.read for _, each in priced), sum(each.written for _, each in priced))
    names = (*_MEASURES.amounts, *_MEASURES.small)
    sums = {name: sum(group.sums[name] for group, _ in priced) for name in names}
    whole = Group(values={}, requests=sum(group.requests for group, _ in priced), sums=sums)
    read = sum(group.sums["read"] for group in groups)
    return Savings(
        models=[_saving(group, each) for group, each in zip(groups, exact, strict=True)],
        total=_saving(whole, total),
        unpriced_cache_read_tokens=read - sums["read"],
    )


def _exact(group: Group, prices: Mapping[str, Price]) -> _Exact | None:
    price = prices.get(group.values["price_version"] or "")
    if price is None:
        return None
    reads = price.input if price.cache_read is None else price.cache_read
    writes = price.input if price.cache_write is None else price.cache_write
    hour = writes if price.cache_write_1h is None else price.cache_write_1h
    read, written, long = (group.sums[name] for name in ("read", "written", "for_an_hour"))
    return _Exact(read * (price.input - reads), written * (writes - price.input) + long * (hour - writes))


def _saving(group: Group, exact: _Exact | None) -> Saving:
    saving = None if exact is None else (exact.read - exact.written) // TOKENS_PER_PRICE
    return Saving(
        model=group.values.get("model"),
        price_version=group.values.get("price_version"),
        requests=group.requests,
        cache_read_tokens=group.sums["read"],
        cache_write_tokens=group.sums["written"],
        read_saving_nano=None if exact is None else exact.read // TOKENS_PER_PRICE,
        write_surcharge_nano=None if exact is None else exact.written // TOKENS_PER_PRICE,
        saving_nano=saving,
        saving_usd=None if saving is None else usd(saving),
    )
