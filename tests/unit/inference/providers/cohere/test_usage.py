"""What Cohere's counts come to."""

import msgspec
import pytest

from inference.ir.usage import NO_USAGE, UsageSource
from inference.providers.cohere.usage import Reported, Units, usage_of


def test_what_is_paid_is_what_counts() -> None:
    billed, seen = Units(input_tokens=3, output_tokens=2), Units(input_tokens=90, output_tokens=5)
    usage = usage_of(Reported(billed_units=billed, tokens=seen))
    assert (usage.input_tokens, usage.output_tokens, usage.source) == (3, 2, UsageSource.REPORTED)
    assert usage_of(Reported(tokens=seen)).input_tokens == 90


def test_pictures_and_searches() -> None:
    usage = usage_of(Reported(billed_units=Units(input_tokens=3, image_tokens=40, search_units=2)))
    assert (usage.input_tokens, usage.image_input_tokens, usage.searches) == (43, 40, 2)


@pytest.mark.parametrize(
    ("billed", "seen", "cached", "read"),
    [
        (12, 212, 208, 8),  # as recorded: 200 that were seen are not billed, so 8 of the cached are
        (12, 212, 150, 0),
        (90, 90, 64, 64),
        (None, 90, 64, 64),
        (12, 212, 212, 12),
        (12, None, 8, 8),
        (12, 212, 213, 0),  # more than there are
        (12, 212, -5, 0),
        (12, 212, None, 0),
    ],
)
def test_cached_tokens_are_counted_once(
    billed: int | None, seen: int | None, cached: int | None, read: int
) -> None:
    def units(given: int | None) -> Units | None:
        return None if given is None else Units(input_tokens=given, output_tokens=1)

    usage = usage_of(Reported(billed_units=units(billed), tokens=units(seen), cached_tokens=cached))
    assert (usage.input_tokens, usage.cache_read_tokens) == (billed or seen, read)


def test_cached_tokens_stand_beside_both_counts() -> None:
    """In a chat's `usage` and in all other answers' `meta`."""
    body = b'{"billed_units":{"input_tokens":12},"tokens":{"input_tokens":212},"cached_tokens":208.0}'
    assert usage_of(msgspec.json.decode(body, type=Reported)).cache_read_tokens == 8


@pytest.mark.parametrize(
    "said",
    [
        None,
        Reported(),
        Reported(billed_units=Units(input_tokens=-1)),
        Reported(tokens=Units(output_tokens=1e9)),
    ],
)
def test_what_makes_no_sense_is_not_believed(said: Reported | None) -> None:
    assert usage_of(said) == NO_USAGE
