"""Refusals of Bedrock's by status, its own message kept."""

import pytest

from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRefused,
)
from inference.providers.bedrock.errors import read_error


@pytest.mark.parametrize(
    ("status", "expected", "ours"),
    [
        (400, UpstreamRefused, 400),
        (403, UpstreamAuth, 502),
        (404, UpstreamFailed, 502),
        (408, UpstreamFailed, 504),
        (418, UpstreamRefused, 400),
        (424, UpstreamFailed, 502),
        (429, UpstreamRateLimited, 429),
        (500, UpstreamFailed, 502),
        (503, UpstreamFailed, 503),
    ],
)
def test_by_status(status: int, expected: type[AspendosError], ours: int) -> None:
    error = read_error(status, 3.0, b'{"message":"Its words."}')
    assert isinstance(error, expected)
    assert error.http_status == ours
    assert expected is UpstreamAuth or "Its words." in error.message


def test_the_words_of_awss_front() -> None:
    assert read_error(400, None, b'{"Message":"In capitals."}').message == "In capitals."
    assert "status 404" in read_error(404, None, b"<html>").message


def test_when_to_come_again() -> None:
    assert read_error(429, 3.0, b"{}").retry_after == 3.0
