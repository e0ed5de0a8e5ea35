"""Quota headers: what providers say of their limits beside an answer, and when to come back. Pure.

Three ways are understood, of which a provider speaks one:

    x-ratelimit-limit-requests: 500        OpenAI, Azure, Groq, Cerebras, Together, Mistral and their kin, with a
                                           window's name behind it at some (`-tokens-minute`, `-req-10-second`)
    anthropic-ratelimit-requests-limit: 50 Anthropic; resets are times (RFC 3339)
    retry-after: 7                         everybody: seconds, or a date (RFC 9110 §10.2.3); `retry-after-ms` beside it

What cannot be read is taken as not said: a header of this kind never makes an answer fail.
(https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits)
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from inference.ir.quota import Limit, Quota

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""

_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-")
_KINDS = {
    "requests": "requests",
    "request": "requests",
    "req": "requests",
    "": "requests",
    "tokens": "tokens",
    "input_tokens": "input_tokens",
    "tokens_prompt": "input_tokens",
    "output_tokens": "output_tokens",
    "tokens_generated": "output_tokens",
}
_WINDOW = re.compile(r"(?:-\d+)?-(?:second|minute|hour|day|week|month)s?$")
_MEASURES = ("limit", "remaining", "reset")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d+)?")
_SPAN = re.compile(
    r"(?:(?P<d>\d{1,6})d)?(?:(?P<h>\d{1,6})h)?(?:(?P<m>\d{1,6})m(?!s))?"
    r"(?:(?P<s>\d{1,9}(?:\.\d+)?)s)?(?:(?P<ms>\d{1,9}(?:\.\d+)?)ms)?"
)
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_EPOCH = 1e9
_EPOCH_MS = 1e12
"""A bare number of this size is no span of seconds but a time: Unix seconds, or milliseconds."""
_LONGEST = 31 * 86400.0
"""Seconds. Whoever asks for more patience is not waited for; such a figure is as good as none."""


def read_retry_after(headers: Headers, now: float) -> float | None:
    """Seconds until it is worth asking again; None where nothing was said. `now`: Unix seconds."""
    plain = precise = None
    for name, value in headers:
        if name == b"retry-after":
            plain = value
        elif name == b"retry-after-ms":
            precise = value
    if precise is not None:
        milliseconds = _number(_text(precise))
        if milliseconds is not None:
            return _bounded(milliseconds / 1000)
    if plain is None:
        return None
    text = _text(plain)
    seconds = _number(text)
    if seconds is not None:
        return _bounded(seconds)
    at = _http_date(text)
    return None if at is None else _bounded(max(0.0, at - _said_at(headers, now)))


def read_quota(headers: Headers, now: float) -> Quota | None:
    """What the headers tell of limits; None where they do not. `now`: Unix seconds."""
    told: dict[tuple[str, str], dict[str, str]] = {}
    in_milliseconds: set[str] = set()
    for name, value in headers:
        if not name.startswith(_PREFIXES):
            continue
        kind, window, measure = _place(name)
        if measure == "renewalperiod":
            in_milliseconds.add(kind)
        elif kind and measure:
            told.setdefault((kind, window), {})[measure] = _text(value)
    if not told:
        return None
    at = _said_at(headers, now)
    limits: dict[str, Limit] = {}
    for (kind, _), said in told.items():
        # Azure's newer servers tell the window in seconds, and what is left of it in milliseconds.
        limit = _limit(said, at, 0.001 if kind in in_milliseconds else 1.0)
        known = limits.get(kind)
        if limit is not None and (known is None or _share(limit) < _share(known)):
            limits[kind] = limit
    return Quota(**limits) if limits else None


def exhausted(quota: Quota | None) -> float | None:
    """Seconds until every limit that is used up is full again; None where none is, or that was not said."""
    if quota is None:
        return None
    each = (quota.requests, quota.tokens, quota.input_tokens, quota.output_tokens)
    resets = [one.reset for one in each if one is not None and one.remaining == 0 and one.reset is not None]
    return max(resets, default=None)


def read_span(text: str) -> float | None:
    """Seconds of `6m0s`, `1.5s`, `120ms`, `1h30m`, `2d`; None for anything else."""
    if text[-1:] == "s" and text[:-1].isdigit():
        return float(text[:-1])
    match = _SPAN.fullmatch(text)
    if match is None or not text:
        return None
    return sum(float(value) * _UNITS[unit] for unit, value in match.groupdict().items() if value is not None)


def _place(name: bytes) -> tuple[str, str, str]:
    """Which limit a header is of, in which window, and what it tells of it."""
    text = name.decode("latin-1")
    if text.startswith("anthropic-"):
        unit, _, measure = text.removeprefix("anthropic-ratelimit-").rpartition("-")
        return _KINDS.get(unit.replace("-", "_"), "") if unit else "", "", measure
    rest = text.removeprefix("x-ratelimit-")
    window = _WINDOW.search(rest)
    if window is not None:
        rest = rest[: window.start()]
    measure, _, unit = rest.partition("-")
    if measure and measure in _KINDS and not unit:
        measure, unit = "limit", measure
    kind = _KINDS.get(unit.replace("-", "_"), "")
    known = measure in _MEASURES or measure == "renewalperiod"
    return kind, window[0] if window is not None else "", measure if known else ""


def _limit(said: dict[str, str], at: float, scale: float) -> Limit | None:
    limit, remaining = _number(said.get("limit", "")), _number(said.get("remaining", ""))
    reset = _reset(said["reset"], at, scale) if "reset" in said else None
    if limit is None and remaining is None and reset is None:
        return None
    return Limit(
        limit=None if limit is None else int(limit),
        remaining=None if remaining is None else int(remaining),
        reset=reset,
    )


def _share(limit: Limit) -> float:
    """How much of it is left, of one; what was not told counts as all."""
    if limit.remaining is None:
        return 1.0
    return limit.remaining / limit.limit if limit.limit else float(limit.remaining > 0)


def _reset(text: str, at: float, scale: float) -> float | None:
    number = _number(text)
    if number is not None:
        if number < _EPOCH:
            return _bounded(number * scale)
        return _bounded(max(0.0, (number / 1000 if number >= _EPOCH_MS else number) - at))
    span = read_span(text)
    if span is not None:
        return _bounded(span)
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return _bounded(max(0.0, then.timestamp() - at))


def _said_at(headers: Headers, now: float) -> float:
    """When it was said, by the server's own clock where it tells it: the times it names are of that clock."""
    for name, value in headers:
        if name == b"date":
            return _http_date(_text(value)) or now
    return now


def _http_date(text: str) -> float | None:
    try:
        then = parsedate_to_datetime(text)
        return (then if then.tzinfo is not None else then.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _bounded(seconds: float) -> float | None:
    return round(seconds, 3) if seconds <= _LONGEST else None


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip()
