"""Bills computed by hand, and laws every bill obeys."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from billing.pricing import cost_nano, usd
from inference.ir.cards import Price
from inference.ir.usage import UNCOMMON, Usage


def _price(
    input_: int,
    output: int,
    *,
    read: int | None = None,
    write: int | None = None,
    reasoning: int | None = None,
) -> Price:
    return Price(
        input=input_, output=output, cache_read=read, cache_write=write, reasoning=reasoning, version="t"
    )


def _usage(input_: int, output: int, *, read: int = 0, write: int = 0, reasoning: int = 0) -> Usage:
    return Usage(
        input_tokens=input_,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        reasoning_tokens=reasoning,
    )


PLAIN = _price(540_000_000, 800_000_000)
"""$0.54 and $0.80 per million tokens: 540 and 800 nano-USD a token."""
CACHED = _price(3_000_000_000, 15_000_000_000, read=300_000_000, write=3_750_000_000)
"""$3, $15, reads $0.30, writes $3.75: 3000, 15000, 300 and 3750 nano-USD a token."""
THINKING = _price(1_250_000_000, 10_000_000_000, read=125_000_000, reasoning=3_500_000_000)
"""$1.25, $10, reads $0.125, reasoning $3.50: 1250, 10000, 125 and 3500 nano-USD a token."""
FREE = _price(0, 0)
FRACTION = _price(1, 1)
"""A billionth of a dollar per million tokens: half a million tokens round up to one nano-USD."""
ODD = _price(54_321, 98_765, read=1_111)

BILLS: list[tuple[str, Price, Usage, int]] = [
    ("nothing", PLAIN, _usage(0, 0), 0),
    ("one input token", PLAIN, _usage(1, 0), 540),
    ("one output token", PLAIN, _usage(0, 1), 800),
    ("a chat: 1000*540 + 200*800", PLAIN, _usage(1000, 200), 700_000),
    ("a million each is the price itself", PLAIN, _usage(1_000_000, 1_000_000), 1_340_000_000),
    ("free", FREE, _usage(5_000, 7_000, read=100, reasoning=50), 0),
    ("no cache price: reads cost input, 1000*540", PLAIN, _usage(1000, 0, read=600), 540_000),
    ("no cache price: writes cost input", PLAIN, _usage(1000, 0, write=600), 540_000),
    ("no reasoning price: reasoning costs output", PLAIN, _usage(0, 100, reasoning=70), 80_000),
    ("all cached: 1000*300", CACHED, _usage(1000, 0, read=1000), 300_000),
    ("part cached: 200*3000 + 800*300", CACHED, _usage(1000, 0, read=800), 840_000),
    ("written: 400*3000 + 600*3750", CACHED, _usage(1000, 0, write=600), 3_450_000),
    (
        "read, written and plain: 100*3000 + 700*300 + 200*3750 + 50*15000",
        CACHED,
        _usage(1000, 50, read=700, write=200),
        2_010_000,
    ),
    ("cached by the million: 10^6 * 300", CACHED, _usage(1_000_000, 0, read=1_000_000), 300_000_000),
    ("reasoning: 100*1250 + 20*10000 + 80*3500", THINKING, _usage(100, 100, reasoning=80), 605_000),
    ("only reasoning: 500*3500", THINKING, _usage(0, 500, reasoning=500), 1_750_000),
    (
        "reasoning and cached: 40*1250 + 60*125 + 10*10000 + 30*3500",
        THINKING,
        _usage(100, 40, read=60, reasoning=30),
        262_500,
    ),
    ("explicit zero for reads is zero", _price(540_000_000, 0, read=0), _usage(1000, 0, read=1000), 0),
    ("explicit zero for reasoning", _price(0, 800_000_000, reasoning=0), _usage(0, 10, reasoning=4), 4_800),
    ("more read than input: 1000*300", CACHED, _usage(1000, 0, read=5000), 300_000),
    ("more written than input: 1000*3750", CACHED, _usage(1000, 0, write=5000), 3_750_000),
    (
        "both exceed input: 800*300 + 200*3750",
        CACHED,
        _usage(1000, 0, read=800, write=900),
        990_000,
    ),
    ("cached without input costs nothing", CACHED, _usage(0, 0, read=100, write=100), 0),
    ("more reasoning than output: 100*3500", THINKING, _usage(0, 100, reasoning=900), 350_000),
    ("reasoning without output", THINKING, _usage(0, 0, reasoning=900), 0),
    ("just under half a nano-USD", FRACTION, _usage(499_999, 0), 0),
    ("half a nano-USD rounds up", FRACTION, _usage(500_000, 0), 1),
    ("halves add before they round", FRACTION, _usage(250_000, 250_000), 1),
    ("one and a half rounds to two", FRACTION, _usage(1_000_000, 500_000), 2),
    ("one token at $0.000054321 per million: 0.054", ODD, _usage(1, 0), 0),
    ("ten such: 0.54321", ODD, _usage(10, 0), 1),
    ("123*54321 + 456*98765 = 51_718_323 millionths", ODD, _usage(123, 456), 52),
    ("23*54321 + 100*1111 + 456*98765 = 46_397_323 millionths", ODD, _usage(123, 456, read=100), 46),
    ("a trillion tokens", PLAIN, _usage(10**12, 10**12), 1_340_000_000_000_000),
    ("past 64 bits", CACHED, _usage(10**20, 10**20), 1_800_000_000_000_000_000_000_000),
]


FIGURES = [name for name in Price.__struct_fields__ if name != "version"]
RICH = Price(
    input=5_000_000_000,
    output=20_000_000_000,
    cache_read=500_000_000,
    cache_write=6_250_000_000,
    cache_write_1h=10_000_000_000,
    reasoning=25_000_000_000,
    audio_input=40_000_000_000,
    audio_output=80_000_000_000,
    image_input=10_000_000_000,
    image_output=30_000_000_000,
    per_search=10_000_000,
    version="t",
)
"""Nano-USD a token: 5000 and 20000; read 500, written 6250 or 10000, thought 25000; heard 40000, spoken 80000; seen
10000, drawn 30000; $0.01 a search."""
MINUTE = Price(input=0, output=0, per_hour=360_000_000, version="t")
"""$0.006 a minute is $0.0001 a second: 100 nano-USD a millisecond."""
THIRDS = Price(input=0, output=0, per_hour=258_000_000, version="t")
"""$0.0043 a minute: 71 and two thirds nano-USD a millisecond."""
LETTERS = Price(input=0, output=0, per_million_characters=15_000_000_000, version="t")
PICTURES = Price(input=5_000_000_000, output=0, per_image=40_000_000, version="t")
RANKS = Price(input=0, output=0, per_search=2_000_000, version="t")

RICHER_BILLS: list[tuple[str, Price, Usage, int]] = [
    (
        "written for an hour: 100*5000 + 700*6250 + 200*10000",
        RICH,
        Usage(input_tokens=1000, cache_write_tokens=900, cache_write_1h_tokens=200),
        6_875_000,
    ),
    (
        "read, written for five minutes and an hour: 100*5000 + 500*500 + 300*6250 + 100*10000 + 10*20000",
        RICH,
        Usage(
            input_tokens=1000,
            output_tokens=10,
            cache_read_tokens=500,
            cache_write_tokens=400,
            cache_write_1h_tokens=100,
        ),
        3_825_000,
    ),
    (
        "no price for the hour: as any write, 200*3750",
        CACHED,
        Usage(input_tokens=200, cache_write_tokens=200, cache_write_1h_tokens=150),
        750_000,
    ),
    (
        "no price for writes at all: 200*540",
        PLAIN,
        Usage(input_tokens=200, cache_write_tokens=200, cache_write_1h_tokens=200),
        108_000,
    ),
    (
        "more for an hour than written: 50*10000 + 50*5000",
        RICH,
        Usage(input_tokens=100, cache_write_tokens=50, cache_write_1h_tokens=80),
        750_000,
    ),
    (
        "more written than input: the hour's first, 80*10000 + 20*6250",
        RICH,
        Usage(input_tokens=100, cache_write_tokens=500, cache_write_1h_tokens=80),
        925_000,
    ),
    (
        "heard and spoken: 20*5000 + 80*40000 + 10*20000 + 90*80000",
        RICH,
        Usage(input_tokens=100, output_tokens=100, audio_input_tokens=80, audio_output_tokens=90),
        10_700_000,
    ),
    (
        "seen and drawn: 30*5000 + 70*10000 + 50*20000 + 50*30000",
        RICH,
        Usage(input_tokens=100, output_tokens=100, image_input_tokens=70, image_output_tokens=50),
        3_350_000,
    ),
    (
        "thought, spoken and drawn: 10*20000 + 20*25000 + 30*80000 + 40*30000",
        RICH,
        Usage(output_tokens=100, reasoning_tokens=20, audio_output_tokens=30, image_output_tokens=40),
        4_300_000,
    ),
    (
        "audio read from a cache is a cache read: 60*500 + 40*40000",
        RICH,
        Usage(input_tokens=100, cache_read_tokens=60, audio_input_tokens=100),
        1_630_000,
    ),
    (
        "more pictures than audio leaves room for: 80*40000 + 20*10000",
        RICH,
        Usage(input_tokens=100, audio_input_tokens=80, image_input_tokens=500),
        3_400_000,
    ),
    ("audio priced as input: 100*540", PLAIN, Usage(input_tokens=100, audio_input_tokens=90), 54_000),
    ("audio without input costs nothing", RICH, Usage(audio_input_tokens=90, image_output_tokens=9), 0),
    ("twice the web: 100*5000 + 2*10^7", RICH, Usage(input_tokens=100, searches=2), 20_500_000),
    ("a search nobody charges for", PLAIN, Usage(searches=2), 0),
    ("a millisecond", MINUTE, Usage(audio_ms=1), 100),
    ("a minute and a half", MINUTE, Usage(audio_ms=90_000), 9_000_000),
    ("an hour is the price itself", THIRDS, Usage(audio_ms=3_600_000), 258_000_000),
    ("a millisecond of 71.67", THIRDS, Usage(audio_ms=1), 72),
    ("two of them are 143.33", THIRDS, Usage(audio_ms=2), 143),
    ("three are 215", THIRDS, Usage(audio_ms=3), 215),
    ("a character", LETTERS, Usage(characters=1), 15_000),
    ("a million characters", LETTERS, Usage(characters=1_000_000), 15_000_000_000),
    (
        "half a nano-USD of characters rounds up",
        Price(input=0, output=0, per_million_characters=1, version="t"),
        Usage(characters=500_000),
        1,
    ),
    (
        "halves of two kinds add before they round",
        Price(input=1, output=0, per_million_characters=1, version="t"),
        Usage(input_tokens=250_000, characters=250_000),
        1,
    ),
    (
        "a third of a nano-USD of audio and a sixth of text are one half",
        Price(input=1, output=0, per_hour=1, version="t"),
        Usage(input_tokens=166_667, audio_ms=1_200_000),
        1,
    ),
    ("three pictures: 3*0.04 and 10*5000", PICTURES, Usage(input_tokens=10, images=3), 120_050_000),
    ("a ranking", RANKS, Usage(input_tokens=900, searches=3), 6_000_000),
    ("free", FREE, Usage(images=3, audio_ms=5, characters=5, searches=5, audio_input_tokens=3), 0),
]


@pytest.mark.parametrize(
    ("price", "usage", "nano"), [b[1:] for b in RICHER_BILLS], ids=[b[0] for b in RICHER_BILLS]
)
def test_hand_computed_bill_of_more_than_text(price: Price, usage: Usage, nano: int) -> None:
    assert cost_nano(usage, price) == nano


@pytest.mark.parametrize("name", UNCOMMON)
def test_negative_counts_of_every_kind_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="negative count"):
        cost_nano(replace(Usage(), **{name: -1}), RICH)


@pytest.mark.parametrize(("price", "usage", "nano"), [b[1:] for b in BILLS], ids=[b[0] for b in BILLS])
def test_hand_computed_bill(price: Price, usage: Usage, nano: int) -> None:
    assert cost_nano(usage, price) == nano


@pytest.mark.parametrize(
    "usage",
    [_usage(-1, 0), _usage(0, -1), _usage(1, 0, read=-1), _usage(1, 0, write=-1), _usage(0, 1, reasoning=-1)],
)
def test_negative_counts_are_refused(usage: Usage) -> None:
    with pytest.raises(ValueError, match="negative token count"):
        cost_nano(usage, PLAIN)


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (12_345, "0.000012345"),
        (10, "0.00000001"),
        (100_000_000, "0.1"),
        (1_000_000_000, "1"),
        (1_500_000_000, "1.5"),
        (20_000_000_000, "20"),
        (123_456_789_012_345_678, "123456789.012345678"),
        (-5, "-0.000000005"),
        (-1_500_000_000, "-1.5"),
    ],
)
def test_usd_text(nano: int, text: str) -> None:
    assert usd(nano) == text


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_usd_is_exact(nano: int) -> None:
    text = usd(nano)
    assert Fraction(text) * 10**9 == nano
    assert "e" not in text.lower()


counts = st.one_of(st.integers(0, 2_000), st.integers(0, 10**15))
figures = st.one_of(st.integers(0, 1_000), st.integers(0, 10**13))
prices = st.builds(
    Price,
    input=figures,
    output=figures,
    cache_read=st.none() | figures,
    cache_write=st.none() | figures,
    reasoning=st.none() | figures,
    version=st.just("t"),
)
reports = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
)
WHOLES = ("input_tokens", "output_tokens", "characters", "audio_ms", "images", "searches")


def _consistent(usage: Usage) -> bool:
    return (
        usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens
        and usage.reasoning_tokens <= usage.output_tokens
    )


@st.composite
def honest_reports(draw: st.DrawFn) -> Usage:
    read, write, reasoning = draw(counts), draw(counts), draw(counts)
    return Usage(
        input_tokens=read + write + draw(counts),
        output_tokens=reasoning + draw(counts),
        cache_read_tokens=read,
        cache_write_tokens=write,
        reasoning_tokens=reasoning,
    )


@given(honest_reports(), prices)
def test_equals_exact_fractions(usage: Usage, price: Price) -> None:
    def per_token(figure: int | None, whole: int) -> Fraction:
        return Fraction(whole if figure is None else figure, 1_000_000)

    exact = (
        (usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens)
        * per_token(None, price.input)
        + usage.cache_read_tokens * per_token(price.cache_read, price.input)
        + usage.cache_write_tokens * per_token(price.cache_write, price.input)
        + (usage.output_tokens - usage.reasoning_tokens) * per_token(None, price.output)
        + usage.reasoning_tokens * per_token(price.reasoning, price.output)
    )
    assert cost_nano(usage, price) == (exact + Fraction(1, 2)).__floor__()


rich_prices = st.builds(
    Price,
    input=figures,
    output=figures,
    cache_read=st.none() | figures,
    cache_write=st.none() | figures,
    cache_write_1h=st.none() | figures,
    reasoning=st.none() | figures,
    audio_input=st.none() | figures,
    audio_output=st.none() | figures,
    image_input=st.none() | figures,
    image_output=st.none() | figures,
    per_image=figures,
    per_hour=figures,
    per_million_characters=figures,
    per_search=figures,
    version=st.just("t"),
)
rich_reports = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
    **dict.fromkeys(UNCOMMON, counts),
)


def _dearest(whole: int, *parts: int | None) -> int:
    return max(whole, *(part or 0 for part in parts))


@given(st.one_of(reports, rich_reports), rich_prices)
def test_never_negative_and_never_above_the_dearest_rate(usage: Usage, price: Price) -> None:
    dearest_in = _dearest(
        price.input,
        price.cache_read,
        price.cache_write,
        price.cache_write_1h,
        price.audio_input,
        price.image_input,
    )
    dearest_out = _dearest(price.output, price.reasoning, price.audio_output, price.image_output)
    units = (
        Fraction(usage.characters * price.per_million_characters, 1_000_000)
        + Fraction(usage.audio_ms * price.per_hour, 3_600_000)
        + usage.images * price.per_image
        + usage.searches * price.per_search
    )
    tokens = Fraction(usage.input_tokens * dearest_in + usage.output_tokens * dearest_out, 1_000_000)
    assert 0 <= cost_nano(usage, price) <= tokens + units + Fraction(1, 2)


@given(st.one_of(reports, rich_reports), rich_prices, st.sampled_from(WHOLES), counts)
def test_more_of_a_whole_never_costs_less(usage: Usage, price: Price, whole: str, more: int) -> None:
    larger = replace(usage, **{whole: getattr(usage, whole) + more})
    assert cost_nano(larger, price) >= cost_nano(usage, price)


@given(st.one_of(reports, rich_reports), rich_prices, st.sampled_from(FIGURES), figures)
def test_dearer_prices_never_cost_less(usage: Usage, price: Price, field: str, more: int) -> None:
    dearer = replace(price, **{field: (getattr(price, field) or 0) + more})
    assume(getattr(price, field) is not None)
    assert cost_nano(usage, dearer) >= cost_nano(usage, price)


@given(reports, rich_prices)
def test_a_call_of_text_costs_the_same_by_the_long_way_round(usage: Usage, price: Price) -> None:
    """A picture more is that picture's price more, and nothing else."""
    assert cost_nano(replace(usage, images=1), price) == cost_nano(usage, price) + price.per_image


@given(st.lists(honest_reports(), min_size=2, max_size=6), prices)
def test_parts_billed_apart_differ_by_rounding_alone(usages: list[Usage], price: Price) -> None:
    together = Usage(
        input_tokens=sum(u.input_tokens for u in usages),
        output_tokens=sum(u.output_tokens for u in usages),
        cache_read_tokens=sum(u.cache_read_tokens for u in usages),
        cache_write_tokens=sum(u.cache_write_tokens for u in usages),
        reasoning_tokens=sum(u.reasoning_tokens for u in usages),
    )
    apart = sum(cost_nano(u, price) for u in usages)
    assert 2 * abs(apart - cost_nano(together, price)) <= len(usages) + 1


@given(reports, prices)
def test_an_inconsistent_report_is_billed_as_its_clamped_self(usage: Usage, price: Price) -> None:
    assume(not _consistent(usage))
    read = min(usage.cache_read_tokens, usage.input_tokens)
    clamped = replace(
        usage,
        cache_read_tokens=read,
        cache_write_tokens=min(usage.cache_write_tokens, usage.input_tokens - read),
        reasoning_tokens=min(usage.reasoning_tokens, usage.output_tokens),
    )
    assert _consistent(clamped)
    assert cost_nano(usage, price) == cost_nano(clamped, price)
