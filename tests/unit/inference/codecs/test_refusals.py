"""An upstream's status says whose fault it is, and what the client is told."""

import pytest

from inference.codecs.refusals import refusal
from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
)


@pytest.mark.parametrize(
    ("status", "kind", "ours"),
    [
        (400, UpstreamRefused, 400),
        (413, UpstreamRefused, 413),
        (418, UpstreamRefused, 400),
        (401, UpstreamAuth, 502),
        (402, UpstreamAuth, 502),
        (403, UpstreamAuth, 502),
        (429, UpstreamRateLimited, 429),
        (408, UpstreamFailed, 504),
        (425, UpstreamFailed, 502),
        (500, UpstreamFailed, 502),
        (503, UpstreamFailed, 503),
        (504, UpstreamFailed, 504),
        (529, UpstreamFailed, 503),
        (302, UpstreamGarbled, 502),
    ],
)
def test_each_status(status: int, kind: type[AspendosError], ours: int) -> None:
    error = refusal(status, "No.", code="c", param="p", retry_after=2.0)
    assert type(error) is kind
    assert error.http_status == ours
    assert error.param == ("p" if kind is UpstreamRefused else None)
    assert error.retry_after == (2.0 if kind in (UpstreamRateLimited, UpstreamFailed) else None)


def test_the_providers_message_is_kept_unless_it_is_about_our_key() -> None:
    assert refusal(400, "No.").message == "No."
    assert refusal(500, "No.").message == "The upstream failed with status 500: No."
    assert refusal(400, "").message == "The upstream refused the request with status 400."
    assert "No." not in refusal(401, "No.").message
    assert len(refusal(400, "x" * 5000).message) == 2000


def test_a_failure_that_reads_as_the_clients() -> None:
    assert type(refusal(424, "", failed=True)) is UpstreamFailed
