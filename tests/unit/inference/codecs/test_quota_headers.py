"""Each provider's way of telling limits and patience; what cannot be read counts as not said."""

import pytest

from inference.codecs.quota_headers import exhausted, read_quota, read_retry_after, read_span
from inference.ir.quota import Limit, Quota

NOW = 1_766_103_800.0  # 2025-12-19T00:23:20Z


def headers(**lines: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in lines.items()]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("1s", 1.0),
        ("120ms", 0.12),
        ("17.399999999s", 17.399999999),
        ("1h30m", 5400.0),
        ("2d", 172800.0),
        ("1m30.5s", 90.5),
        ("", None),
        ("s", None),
        ("1 s", None),
        ("-1s", None),
        ("soon", None),
    ],
)
def test_spans_of_time(text: str, seconds: float | None) -> None:
    assert read_span(text) == seconds


def test_openai() -> None:
    found = read_quota(
        headers(
            x_ratelimit_limit_requests="500",
            x_ratelimit_remaining_requests="499",
            x_ratelimit_reset_requests="120ms",
            x_ratelimit_limit_tokens="80000",
            x_ratelimit_remaining_tokens="79966",
            x_ratelimit_reset_tokens="6m0s",
            x_ratelimit_limit_input_images="50000",
        ),
        NOW,
    )
    assert found == Quota(
        requests=Limit(limit=500, remaining=499, reset=0.12),
        tokens=Limit(limit=80000, remaining=79966, reset=360.0),
    )


def test_azure_tells_the_rest_of_its_window_in_milliseconds() -> None:
    found = read_quota(
        headers(
            x_ratelimit_limit_requests="120",
            x_ratelimit_remaining_requests="119",
            x_ratelimit_reset_requests="500",
            x_ratelimit_renewalperiod_requests="60",
            x_ratelimit_limit_tokens="1000",
            x_ratelimit_remaining_tokens="3",
            x_ratelimit_reset_tokens="7",
            x_ratelimit_abusepenalty_active="False",
        ),
        NOW,
    )
    assert found == Quota(
        requests=Limit(limit=120, remaining=119, reset=0.5),
        tokens=Limit(limit=1000, remaining=3, reset=7.0),
    )


def test_anthropic() -> None:
    found = read_quota(
        headers(
            anthropic_ratelimit_requests_limit="50",
            anthropic_ratelimit_requests_remaining="49",
            anthropic_ratelimit_requests_reset="2025-12-19T00:23:50Z",
            anthropic_ratelimit_input_tokens_limit="200000",
            anthropic_ratelimit_input_tokens_remaining="0",
            anthropic_ratelimit_input_tokens_reset="2025-12-19T00:24:20Z",
            anthropic_ratelimit_output_tokens_remaining="79000",
            anthropic_ratelimit_tokens_reset="2025-12-18T00:00:00Z",
            anthropic_ratelimit_unified_status="allowed",
        ),
        NOW,
    )
    assert found == Quota(
        requests=Limit(limit=50, remaining=49, reset=30.0),
        tokens=Limit(reset=0.0),
        input_tokens=Limit(limit=200000, remaining=0, reset=60.0),
        output_tokens=Limit(remaining=79000),
    )
    assert exhausted(found) == 60.0


def test_of_several_windows_the_one_nearest_its_end() -> None:
    found = read_quota(
        headers(
            **{
                "x-ratelimit-limit-req-10-second": "60",
                "x-ratelimit-remaining-req-10-second": "53",
                "x-ratelimit-limit-tokens-minute": "2000000",
                "x-ratelimit-remaining-tokens-minute": "1999370",
                "x-ratelimit-limit-tokens-month": "10000",
                "x-ratelimit-remaining-tokens-month": "10",
                "x-ratelimit-tokens-query-cost": "110",
            }
        ),
        NOW,
    )
    assert found == Quota(requests=Limit(limit=60, remaining=53), tokens=Limit(limit=10000, remaining=10))


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("2", 2.0),
        (str(int(NOW) + 5), 5.0),
        (str(int(NOW * 1000) + 5500), 5.5),
        ("2025-12-19T00:23:21.5Z", 1.5),
        ("2025-12-19T01:23:21+01:00", 1.0),
        ("2025-12-19T00:23:21", 1.0),
        ("tomorrow", None),
        ("9" * 9, None),
        ("9" * 400, None),
    ],
)
def test_a_reset_however_it_is_written(reset: str, seconds: float | None) -> None:
    found = read_quota(headers(x_ratelimit_limit="10", x_ratelimit_reset=reset), NOW)
    assert found == Quota(requests=Limit(limit=10, reset=seconds))


def test_limits_named_by_their_unit_alone() -> None:
    found = read_quota(headers(x_ratelimit_requests="4000", x_ratelimit_remaining_requests="3999"), NOW)
    assert found == Quota(requests=Limit(limit=4000, remaining=3999))


@pytest.mark.parametrize(
    "lines",
    [
        {"content-type": "application/json", "x-request-id": "r"},
        {"x-ratelimit-limit-requests": "many"},
        {"x-ratelimit-abusepenalty-active": "False"},
        {"anthropic-ratelimit-unified-5h-status": "allowed"},
        {"x-ratelimit-": "1"},
        {"anthropic-ratelimit-limit": "1"},
    ],
)
def test_nothing_that_can_be_read_is_nothing(lines: dict[str, str]) -> None:
    assert read_quota(headers(**lines), NOW) is None


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "Fri, 19 Dec 2025 00:24:20 GMT"}, 60.0),
        ({"retry-after": "Thu, 18 Dec 2025 00:24:20 GMT"}, 0.0),
        ({"retry-after": "7", "retry-after-ms": "1234"}, 1.234),
        ({"retry-after": "7", "retry-after-ms": "x"}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 99 Dec 2025 00:24:20 GMT"}, None),
        ({"retry-after": "99999999"}, None),
        ({}, None),
    ],
)
def test_when_to_come_back(lines: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers(**lines), NOW) == seconds


def test_times_are_taken_by_the_servers_own_clock() -> None:
    """Ours may be an hour off; what it says it is counts from there."""
    lines = headers(date="Fri, 19 Dec 2025 00:24:00 GMT", retry_after="Fri, 19 Dec 2025 00:24:20 GMT")
    assert read_retry_after(lines, NOW + 3600) == 20.0
    lines = headers(
        date="Fri, 19 Dec 2025 00:24:00 GMT", anthropic_ratelimit_requests_reset="2025-12-19T00:24:05Z"
    )
    assert read_quota(lines, NOW + 3600) == Quota(requests=Limit(reset=5.0))


def test_what_is_used_up_says_how_long_to_wait() -> None:
    assert exhausted(None) is None
    left = Quota(requests=Limit(limit=5, remaining=1, reset=9.0), tokens=Limit(remaining=0))
    assert exhausted(left) is None
    both = Quota(requests=Limit(remaining=0, reset=2.0), tokens=Limit(remaining=0, reset=3.0))
    assert exhausted(both) == 3.0
