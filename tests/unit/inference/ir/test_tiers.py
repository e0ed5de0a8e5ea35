"""Limits as data: the same words in a file and in a request's body."""

import msgspec
import pytest

from inference.ir.tiers import Limits, Rates


def test_windows_are_the_given_ones_shortest_first() -> None:
    assert list(Rates(day=4, second=1, minute=2, hour=3).windows()) == [
        (1, 1),
        (60, 2),
        (3_600, 3),
        (86_400, 4),
    ]
    assert list(Rates(hour=3).windows()) == [(3_600, 3)]
    assert list(Rates().windows()) == []


def test_limits_go_through_json_and_back_without_what_is_not_limited() -> None:
    limits = Limits(requests=Rates(minute=20), parallel=2)
    text = msgspec.json.encode(limits)
    assert text == b'{"requests":{"minute":20},"parallel":2}'
    assert msgspec.json.decode(text, type=Limits) == limits


@pytest.mark.parametrize(
    "text",
    [
        b'{"requests":{"minute":0}}',
        b'{"requests":{"minute":-1}}',
        b'{"requests":{"minute":1.5}}',
        b'{"requests":{"minute":1000000001}}',
        b'{"requests":{"minute":"20"}}',
        b'{"requests":{"month":20}}',
        b'{"request":{"minute":20}}',
        b'{"parallel":0}',
    ],
)
def test_what_is_no_limit_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Limits)
