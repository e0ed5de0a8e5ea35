"""Limits and credit on the wire: the tightest limit in the headers, words that say what to do."""

import pytest

from gateway.limits import (
    anthropic_headers,
    credits_text,
    duration,
    headers_of,
    limited,
    refused_headers,
    unpaid,
)
from inference.ir.errors import RateLimited
from policies.stores.step import Refused, Rules, Slot, Standing, Ticket, Unit, Window

MINUTE = Window("w:1", Unit.REQUESTS, 20, 60, "your team's limit of 20 requests a minute")
HOUR = Window("w:2", Unit.REQUESTS, 1000, 3600, "your team's limit of 1000 requests an hour")
TOKENS = Window("w:3", Unit.TOKENS, 5000, 60, "your limit of 5000 tokens a minute")
AT = 1_766_103_800.0
SLOT = Slot("s:1", 2, "your limit of 2 requests at a time")


def ticket(*standings: Standing, balance: int | None = None, degraded: str | None = None) -> Ticket:
    return Ticket("r", Rules(), 10, 300, 0.0, standings, balance, degraded)


def test_headers_tell_of_the_tightest_limit_of_each_unit() -> None:
    found = headers_of(
        ticket(Standing(HOUR, 999, 3600.0), Standing(MINUTE, 3, 1.5), Standing(TOKENS, 0, 90.0))
    )
    assert dict(found) == {
        b"x-ratelimit-limit-requests": b"20",
        b"x-ratelimit-remaining-requests": b"3",
        b"x-ratelimit-reset-requests": b"1.5s",
        b"x-ratelimit-limit-tokens": b"5000",
        b"x-ratelimit-remaining-tokens": b"0",
        b"x-ratelimit-reset-tokens": b"1m30s",
    }


def test_the_same_in_anthropics_words() -> None:
    standing = ticket(Standing(MINUTE, 3, 1.5), Standing(TOKENS, 0, 90.0), balance=5)
    found = headers_of(standing)
    both = headers_of(standing, anthropic=AT)
    assert set(found) < set(both)
    assert set(both) - set(found) == set(anthropic_headers(found, AT))
    assert dict(anthropic_headers(found, AT)) == {
        b"anthropic-ratelimit-requests-limit": b"20",
        b"anthropic-ratelimit-requests-remaining": b"3",
        b"anthropic-ratelimit-requests-reset": b"2025-12-19T00:23:22Z",
        b"anthropic-ratelimit-tokens-limit": b"5000",
        b"anthropic-ratelimit-tokens-remaining": b"0",
        b"anthropic-ratelimit-tokens-reset": b"2025-12-19T00:24:50Z",
    }


def test_whoever_is_not_limited_and_does_not_pay_is_told_nothing() -> None:
    assert headers_of(ticket()) == []


def test_credits_remaining_are_less_the_hold_before_and_less_the_cost_after() -> None:
    paying = ticket(balance=10_000_000, degraded="Redis is away")
    assert dict(headers_of(paying))[b"x-aspendos-credits-remaining"] == b"1"
    assert dict(headers_of(paying, 100))[b"x-aspendos-credits-remaining"] == b"1.00002"
    assert dict(headers_of(paying))[b"x-aspendos-degraded"] == b"Redis is away"


def test_a_full_window_says_when_and_a_request_that_never_fits_says_so() -> None:
    full = Refused(MINUTE, retry_after=12.3, standings=(Standing(MINUTE, 0, 60.0),))
    error = limited(full, 5)
    assert (error.http_status, error.code, error.retry_after) == (429, "rate_limit_exceeded", 12.3)
    assert error.message.startswith("Your team's limit of 20 requests a minute is reached: 0 left")
    assert "Try again in 12.3s" in error.message
    assert dict(refused_headers(full))[b"x-ratelimit-remaining-requests"] == b"0"
    never = limited(Refused(TOKENS, retry_after=None, remaining=5000), 6000)
    assert isinstance(never, RateLimited)
    assert (never.code, never.retry_after) == ("request_exceeds_limit", None)
    assert (b"x-should-retry", b"false") not in refused_headers(full)
    assert "6000 tokens" in never.message
    assert limited(Refused(TOKENS, retry_after=1.0), 1).code == "token_limit_exceeded"


def test_slots_free_themselves_at_a_moment_nobody_knows() -> None:
    error = limited(Refused(SLOT), 0)
    assert (error.code, error.retry_after) == ("too_many_parallel_requests", None)
    with pytest.raises(TypeError):
        limited(Refused(None), 0)


def test_what_is_missing_is_said_in_credits_with_a_way_out() -> None:
    error = unpaid(30_000_000, 10_000_000, 200, "acct_team_1")
    assert (error.http_status, error.code) == (402, "insufficient_credits")
    for words in ("up to 3 credits", "2 are free", "1 are missing", "at most 200 tokens", "acct_team_1"):
        assert words in error.message
    assert "max_tokens" not in unpaid(30, 30, 0, "a").message


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "0"), (1, "0.0000001"), (10_000_000, "1"), (12_345_000_000, "1234.5"), (-5_000_000, "-0.5")],
)
def test_credits_are_exact(nano: int, text: str) -> None:
    assert credits_text(nano) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0121, "13ms"),
        (1.0, "1s"),
        (1.5, "1.5s"),
        (360, "6m0s"),
        (3600.0, "1h0m0s"),
        (-1, "0ms"),
    ],
)
def test_durations_are_written_as_openai_does_and_never_too_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
