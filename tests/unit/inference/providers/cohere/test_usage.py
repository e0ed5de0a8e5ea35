"""What Cohere's counts come to."""

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
