"""What is made of a usage of which not everything counts."""

from inference.ir.usage import NO_USAGE, Usage, UsageSource, shortened

WHOLE = Usage(
    input_tokens=50,
    cache_read_tokens=20,
    output_tokens=99,
    reasoning_tokens=33,
    images=1,
    source=UsageSource.CONTINUOUS,
)


def test_what_has_all_arrived_stays_as_it_was_reported() -> None:
    assert shortened(WHOLE, 10, 10) is WHOLE
    assert shortened(WHOLE, 0, 0) is WHOLE


def test_output_is_cut_in_proportion_and_rounded_down() -> None:
    assert shortened(WHOLE, 1, 2) == Usage(
        input_tokens=50,
        cache_read_tokens=20,
        output_tokens=49,
        reasoning_tokens=16,
        images=1,
        source=UsageSource.COUNTED,
    )


def test_of_nothing_nothing_is_left() -> None:
    assert shortened(NO_USAGE, 1, 2) == NO_USAGE
