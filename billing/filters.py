"""Filters: what a person or a client asks of the usage reports, from text to `UsageFilter`. Pure.

Refuses silently ignored input: a word it does not know is an InvalidField that says what was expected.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from billing.budgets.period import Period, Span, span_of
from billing.reporting.calendar import SECOND
from billing.reporting.dimensions import By, dimension
from billing.reporting.documents import tag_name
from billing.reporting.selection import UsageFilter
from inference.ir.errors import InvalidField

NAMES = ("organisation", "team", "user", "key", "model", "provider", "tier", "feature")
WORDS = (*NAMES, "status", "month", "from", "to")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_TAGS = 16
_MOST_DIMENSIONS = 8


def usage_filter(
    given: Mapping[str, str], *, tags: Sequence[str] = (), zone: ZoneInfo | None = None
) -> UsageFilter:
    """`given` holds any of WORDS, `tags` are written `name=value`. Raises InvalidField, which names the word.

    `status` is a code (429), a class (5xx), `ok` (below 400) or `error` (400 and above). `from` and `to`
    are ISO 8601 dates or times, of `zone` (UTC) unless they say otherwise, or unix seconds; `to` itself is excluded,
    so from=2026-01-01&to=2026-02-01 is the whole of January, and so is month=2026-01.
    """
    for word in given:
        if word not in WORDS:
            raise InvalidField(f"{word}: unknown; expected one of {', '.join(WORDS)}", param=word)
    for word in NAMES:
        _refuse_untextual(word, given.get(word, ""))
    start, end = _moment("from", given.get("from"), zone), _moment("to", given.get("to"), zone)
    if "month" in given:
        if start is not None or end is not None:
            raise InvalidField("month: goes without `from` and `to`", param="month")
        month = month_span(given["month"], zone)
        start, end = month.starts * SECOND, month.ends * SECOND
    if start is not None and end is not None and start >= end:
        raise InvalidField("to: expected a time after `from`; `to` itself is excluded", param="to")
    return UsageFilter(
        **{word: given.get(word) for word in NAMES},
        tags=_tags(tags),
        status=_status(given.get("status")),
        start=start,
        end=end,
    )


def month_span(text: str, zone: ZoneInfo | None = None) -> Span:
    """`2026-02` as it begins and ends in `zone`, UTC by default. Raises InvalidField."""
    try:
        first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        first = None
    if first is None or len(text) != len("2026-02") or not 1970 < first.year < 2262:
        raise InvalidField(f"month: expected a month such as 2026-02; got {text[:20]!r}", param="month")
    # The middle of the month in UTC lies within the month everywhere.
    return span_of(Period.MONTH, zone or ZoneInfo("UTC"), first.replace(day=15).timestamp())


def dimensions(text: str | None, *, param: str = "group_by") -> tuple[By, ...]:
    """A comma list such as `team,day,tag:project`. Raises InvalidField."""
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    found = tuple(dict.fromkeys(dimension(word, param=param) for word in words))
    if len(found) > _MOST_DIMENSIONS:
        raise InvalidField(f"{param}: {len(found)} dimensions; the most is {_MOST_DIMENSIONS}", param=param)
    return found


def _tags(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    if len(texts) > _MOST_TAGS:
        raise InvalidField(f"tag: {len(texts)} tags; the most is {_MOST_TAGS}", param="tag")
    found: list[tuple[str, str]] = []
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise InvalidField(
                f"tag: expected name=value such as project=atlas; got {text[:64]!r}", param="tag"
            )
        _refuse_untextual("tag", value)
        found.append((tag_name(name.strip(), param="tag"), value))
    return tuple(found)


def _refuse_untextual(word: str, text: str) -> None:
    """What no database takes: NUL, and halves of characters, which a terminal's arguments may hold."""
    if "\x00" in text:
        raise InvalidField(f"{word}: a name holds no NUL character", param=word)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidField(f"{word}: not text in UTF-8", param=word) from error


def _status(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if text == "ok":
        return 0, 399
    if text == "error":
        return 400, 999
    if len(text) == 3 and text[0] in "12345" and text[1:].lower() == "xx":
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    if len(text) == 3 and text.isascii() and text.isdigit():
        return int(text), int(text)
    raise InvalidField(
        f"status: expected a code such as 429, a class such as 5xx, `ok` or `error`; got {text!r}",
        param="status",
    )


def _moment(word: str, text: str | None, zone: tzinfo | None) -> int | None:
    """Unix nanoseconds."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and 9 <= len(text) <= 10:
        return int(text) * 1_000_000_000
    try:
        # A plus sign in a query string arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise InvalidField(
            f"{word}: expected an ISO 8601 date or time such as 2026-01-31 or 2026-01-31T12:00:00Z, "
            f"or unix seconds; got {text!r}",
            param=word,
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone or UTC)
    try:
        nano = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    except OverflowError as error:
        raise InvalidField(f"{word}: out of range", param=word) from error
    if not 0 <= nano < 1 << 63:
        raise InvalidField(f"{word}: expected a time from 1970 to 2262; got {text!r}", param=word)
    return nano
