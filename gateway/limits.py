"""What limits and credit look like on the wire: headers of an answer, words of a refusal. Pure.

`x-ratelimit-*` are OpenAI's (https://platform.openai.com/docs/guides/rate-limits), of the limit that is nearest to
its end. A reset is written as they write it: `1s`, `6m0s`, `12ms`. Anthropic's SDKs know others of the same sense,
`anthropic-ratelimit-*`, whose resets are times (https://docs.anthropic.com/en/api/rate-limits).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil, inf

from gateway.edge.edge import Header
from inference.codecs.quota_headers import read_span
from inference.ir.errors import AspendosError, PaymentRequired, RateLimited
from inference.ir.tiers import NANO_PER_CREDIT
from policies.stores.step import Refused, Slot, Standing, Ticket, Unit, Window

_DEGRADED = b"x-aspendos-degraded"
_Names = tuple[bytes, bytes, bytes]
"""Of limit, remaining and reset."""


def _spelled(form: str) -> dict[Unit, _Names]:
    def name(measure: str, unit: Unit) -> bytes:
        return form.format(measure=measure, unit=unit).encode()

    return {unit: (name("limit", unit), name("remaining", unit), name("reset", unit)) for unit in Unit}


_NAMES = _spelled("x-ratelimit-{measure}-{unit}")
_THEIRS = _spelled("anthropic-ratelimit-{unit}-{measure}")
_ANTHROPICS = {
    ours: theirs for unit in Unit for ours, theirs in zip(_NAMES[unit], _THEIRS[unit], strict=True)
}


def headers_of(ticket: Ticket, settled: int | None = None, anthropic: float | None = None) -> list[Header]:
    """Headers of a request let in; `settled` is what it cost in nano-USD, None while that is not known.

    `anthropic`: say the limits in Anthropic's words too; Unix seconds, when they were true.
    """
    found = limit_headers(ticket.standings, anthropic)
    if ticket.balance is not None:
        left = ticket.balance if settled is None else ticket.balance + ticket.held - settled
        found.append((b"x-aspendos-credits-remaining", credits_text(left).encode()))
    if ticket.degraded is not None:
        found.append((_DEGRADED, ticket.degraded.encode("latin-1", "replace")))
    return found


def limit_headers(standings: Sequence[Standing], anthropic: float | None = None) -> list[Header]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of the tightest limit of each unit."""
    if not standings:
        return []
    found: list[Header] = []
    for unit, names in _NAMES.items():
        tightest = _tightest(standings, unit)
        if tightest is None:
            continue
        limit, remaining = b"%d" % tightest.window.limit, b"%d" % max(tightest.remaining, 0)
        found += _named(names, limit, remaining, duration(tightest.reset).encode())
        if anthropic is not None:
            found += _named(_THEIRS[unit], limit, remaining, _time(anthropic + tightest.reset))
    return found


def anthropic_headers(headers: Sequence[Header], at: float) -> list[Header]:
    """What a refusal's `x-ratelimit-*` say, in Anthropic's words. `at`: Unix seconds, when they were true."""
    return [
        (_ANTHROPICS[name], _time(at + (read_span(value.decode()) or 0.0)) if b"-reset-" in name else value)
        for name, value in headers
        if name in _ANTHROPICS
    ]


def refused_headers(refused: Refused) -> list[Header]:
    """The same for a request that was refused."""
    found = limit_headers(refused.standings)
    if refused.account is not None:
        found.append((b"x-aspendos-credits-remaining", credits_text(refused.remaining).encode()))
    if refused.degraded is not None:
        found.append((_DEGRADED, refused.degraded.encode("latin-1", "replace")))
    if isinstance(refused.by, Window) and refused.retry_after is None:
        found.append((b"x-should-retry", b"false"))  # OpenAI's SDKs heed it, and so do batches
    return found


def limited(refused: Refused, tokens: int) -> AspendosError:
    """The error for a window or slot that is full. `tokens` is what the request counted for."""
    by = refused.by
    if isinstance(by, Slot):
        return RateLimited(
            f"{_capital(by.scope)} is reached: {by.limit} "
            f"{'is' if by.limit == 1 else 'are'} under way. Wait for one to end, or send fewer at a time.",
            code="too_many_parallel_requests",
        )
    if not isinstance(by, Window):
        raise TypeError("only windows and slots limit a rate")
    asked = f"this request counts for {tokens} tokens" if by.unit is Unit.TOKENS else "this is one more"
    if refused.retry_after is None:
        return RateLimited(
            f"{_capital(by.scope)} can never let this request in: {asked}. Shorten it, or ask for a smaller "
            "maximum output.",
            code="request_exceeds_limit",
        )
    return RateLimited(
        f"{_capital(by.scope)} is reached: {refused.remaining} left, and {asked}. "
        f"Try again in {duration(refused.retry_after)}.",
        code="rate_limit_exceeded" if by.unit is Unit.REQUESTS else "token_limit_exceeded",
        retry_after=refused.retry_after,
    )


def unpaid(needs: int, missing: int, affords: int, account: str) -> PaymentRequired:
    """The error for an account that does not cover a request; figures in nano-USD, `affords` in tokens."""
    have = needs - missing
    shorter = f" An answer of at most {affords} tokens would be covered: ask for that as `max_tokens`." * (
        affords > 0
    )
    return PaymentRequired(
        f"The credit does not cover this request: it can cost up to {credits_text(needs)} credits, "
        f"{credits_text(max(have, 0))} are free, {credits_text(missing)} are missing.{shorter} Whoever manages "
        f"billing can top up the account {account} (POST /admin/v1/billing/checkout, or `aspendos credits grant`). "
        "Free models go on working.",
        code="insufficient_credits",
    )


def credits_text(nano: int) -> str:
    """Nano-USD as credits (US cents), exact: 12_345_000_000 -> "1234.5"."""
    if nano < 0:
        return f"-{credits_text(-nano)}"
    whole, rest = divmod(nano, NANO_PER_CREDIT)
    return f"{whole}.{str(rest).zfill(7).rstrip('0')}" if rest else str(whole)


def duration(seconds: float) -> str:
    """Seconds as OpenAI writes them, rounded up: 0.012 -> "12ms", 1.5 -> "1.5s", 360 -> "6m0s"."""
    milliseconds = max(0, ceil(seconds * 1000))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    rest = f"{milliseconds / 1000:g}s"  # five digits at most, and it writes six
    if not minutes:
        return rest
    return f"{minutes}m{rest}" if minutes < 60 else f"{minutes // 60}h{minutes % 60}m{rest}"


def _named(names: _Names, limit: bytes, remaining: bytes, reset: bytes) -> tuple[Header, ...]:
    return (names[0], limit), (names[1], remaining), (names[2], reset)


def _time(seconds: float) -> bytes:
    """RFC 3339, rounded up to the second."""
    return _second(ceil(seconds))


@lru_cache(maxsize=1024)
def _second(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19].encode() + b"Z"


def _tightest(standings: Sequence[Standing], unit: Unit) -> Standing | None:
    """The one of which the smallest part is left."""
    tightest, least = None, inf
    for standing in standings:
        window = standing.window
        if window.unit is unit and (left := standing.remaining / window.limit) < least:
            tightest, least = standing, left
    return tightest


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
