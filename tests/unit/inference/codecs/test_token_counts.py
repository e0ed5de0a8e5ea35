"""Counts that no call has are not believed."""

import pytest

from inference.codecs.token_counts import MOST_TOKENS, believed, input_only
from inference.ir.usage import NO_USAGE, Usage, UsageSource


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((0,), True), ((1, MOST_TOKENS), True), ((1, MOST_TOKENS + 1), False), ((5, -1), False)],
)
def test_what_is_believed(counts: tuple[int, ...], expected: bool) -> None:
    assert believed(*counts) is expected


def test_calls_that_write_nothing() -> None:
    assert input_only(7) == Usage(input_tokens=7, source=UsageSource.REPORTED)
    assert input_only(0).source is UsageSource.REPORTED
    assert [input_only(each) for each in (None, -1, MOST_TOKENS + 1)] == [NO_USAGE] * 3
