"""What a price in the catalogue comes to, and which figures are a price for which kind of model."""

import itertools

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from inference.catalog.figures import Usd, UsdEach, UsdPerMillionCharacters
from inference.catalog.model_entry import PriceEntry
from inference.catalog.prices import cost_fault, dearer, price_fault, price_of
from inference.ir.cards import Kind, Price

TEXT = ["input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"]
TOKENS = [*TEXT, "audio_input", "audio_output", "image_input", "image_output"]
UNITS = ["per_image", "per_second", "per_hour", "per_search", "per_million_characters"]


def entry(**figures: str) -> PriceEntry:
    kinds = {"per_million_characters": UsdPerMillionCharacters} | dict.fromkeys(UNITS[:4], UsdEach)
    return replace(PriceEntry(), **{name: kinds.get(name, Usd).read(text) for name, text in figures.items()})


def test_every_figure_is_exact() -> None:
    price = price_of(
        entry(
            input="5",
            output="10.5",
            cache_read="0.000000001",
            cache_write="6.25",
            cache_write_1h="10",
            reasoning="0",
            audio_input="32",
            audio_output="64",
            image_input="8",
            image_output="30",
            per_image="0.039",
            per_second="0.0001",
            per_million_characters="15",
            per_search="0.002",
        )
    )
    assert (price.input, price.output, price.cache_read) == (5 * 10**9, 10_500_000_000, 1)
    assert (price.cache_write, price.cache_write_1h, price.reasoning) == (6_250_000_000, 10**10, 0)
    assert (price.audio_input, price.audio_output) == (32 * 10**9, 64 * 10**9)
    assert (price.image_input, price.image_output) == (8 * 10**9, 30 * 10**9)
    assert (price.per_image, price.per_hour, price.per_search) == (39_000_000, 360_000_000, 2_000_000)
    assert price.per_million_characters == 15 * 10**9


def test_a_second_and_its_hour_are_one_price() -> None:
    """$0.0043 a minute is no whole number of nano-USD a second, and one an hour."""
    assert price_of(entry(per_second="0.0001")) == price_of(entry(per_hour="0.36"))
    assert price_of(entry(per_hour="0.258")).per_hour == 258_000_000


def test_a_whole_left_out_is_never_below_a_part_that_is_given() -> None:
    price = price_of(entry(audio_input="6", image_input="2", audio_output="12", reasoning="3"))
    assert (price.input, price.output) == (6 * 10**9, 12 * 10**9)
    assert price_of(entry(input="1", audio_input="6")).input == 10**9
    assert price_of(entry(per_image="1")).input == 0


def test_what_is_left_out_is_the_whole() -> None:
    price = price_of(entry(input="1", output="2", cache_write="3"))
    parts = ("cache_read", "cache_write_1h", "reasoning", "audio_input", "audio_output")
    assert [getattr(price, name) for name in parts] == [None] * 5


def test_a_price_of_text_keeps_the_version_that_records_know() -> None:
    assert price_of(entry(input="1", output="2")).version == "63e11a20d22b"
    assert price_of(None).version == price_of(entry(input="0", output="0")).version == "48af5072c63d"


def test_prices_that_differ_have_versions_that_differ() -> None:
    names = [name for name in TOKENS + UNITS if name != "per_hour"]
    made = [entry(input="1", output="2")] + [
        entry(**{"input": "1", "output": "2", name: "7"}) for name in names
    ]
    made += [entry(input="1", output="2", audio_input="0"), entry(input="1", output="2", image_input="0")]
    versions = [price_of(each).version for each in made]
    assert len(set(versions)) == len(versions)
    assert len({price_of(entry(input="1", output="2", per_image=x)).version for x in ("0", "0.0")}) == 1


SUFFICIENT: dict[Kind, list[set[str]]] = {
    Kind.CHAT: [{"input", "output"}],
    Kind.VIDEO: [{"input", "output"}],
    Kind.EMBEDDING: [{"input"}],
    Kind.MODERATION: [{"input"}],
    Kind.CLASSIFICATION: [{"input"}],
    Kind.RERANK: [{"per_search"}, {"input"}],
    Kind.SPEECH: [{"per_million_characters"}, {"audio_output"}, {"output"}],
    Kind.TRANSCRIPTION: [{"per_second"}, {"per_hour"}, {"input", "output"}, {"audio_input", "output"}],
    Kind.IMAGE: [{"per_image"}, {"image_output"}, {"output"}],
    Kind.TRANSLATION: [{"per_million_characters"}],
}


@pytest.mark.parametrize("kind", Kind)
def test_one_or_two_figures_are_a_price_or_not(kind: Kind) -> None:
    names = TOKENS + UNITS
    for chosen in [*itertools.combinations(names, 1), *itertools.combinations(names, 2)]:
        if {"per_second", "per_hour"} <= set(chosen):
            continue
        given = entry(**dict.fromkeys(chosen, "1"))
        enough = any(choice <= set(chosen) for choice in SUFFICIENT[kind])
        assert (price_fault(kind, given, free=False) is None) is enough, chosen
        assert (cost_fault(kind, given) is None) is enough, chosen


def test_a_cost_may_be_nothing_but_a_price_may_not() -> None:
    nothing = entry(per_image="0")
    assert cost_fault(Kind.IMAGE, nothing) is None
    assert price_fault(Kind.IMAGE, nothing, free=False) is not None
    assert price_fault(Kind.IMAGE, nothing, free=True) is None
    assert price_fault(Kind.IMAGE, entry(per_image="1"), free=True) is not None


def test_the_second_and_the_hour_together_are_refused() -> None:
    fault = cost_fault(Kind.TRANSCRIPTION, entry(per_second="1", per_hour="2"))
    assert fault is not None
    assert fault.field == "per_hour"


def test_a_cost_above_the_price_is_seen_in_every_figure() -> None:
    price = Price(input=2, output=2, per_image=5, version="p")
    assert not dearer(Price(input=2, output=1, per_image=5, per_hour=9, version="c"), price)
    assert dearer(Price(input=1, output=1, per_image=6, version="c"), price)
    assert dearer(Price(input=3, output=1, version="c"), price)


def test_what_is_not_written_is_unset() -> None:
    assert all(getattr(PriceEntry(), name) is UNSET for name in TOKENS + UNITS)
