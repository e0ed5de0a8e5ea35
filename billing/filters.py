"""Filters: what a person or a client asks of the usage reports, from text to `UsageFilter`. Pure.

Refuses silently ignored input: a word it does not know is an InvalidField that says what was expected.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from billing.reports import Dimension, UsageFilter
from inference.ir.errors import InvalidField

WORDS = ("organisation", "team", "key", "model", "provider", "status", "from", "to")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def usage_filter(given: Mapping[str, str]) -> UsageFilter:
    """`given` holds any of WORDS. Raises InvalidField, which names the word.

    `status` is a code (429), a class (5xx), `ok` (below 400) or `error` (400 and above). `from` and `to`
    are ISO 8601 dates or times, UTC unless they say otherwise, or unix seconds; `to` itself is excluded,
    so from=2026-01-01&to=2026-02-01 is the whole of January.
    """
    for word in given:
        if word not in WORDS:
            raise InvalidField(f"{word}: unknown; expected one of {', '.join(WORDS)}", param=word)
    for word in ("organisation", "team", "key", "model", "provider"):
        if "\x00" in given.get(word, ""):
            raise InvalidField(f"{word}: a name holds no NUL character", param=word)
    start, end = _moment("from", given.get("from")), _moment("to", given.get("to"))
    if start is not None and end is not None and start >= end:
        raise InvalidField("to: expected a time after `from`; `to` itself is excluded", param="to")
    return UsageFilter(
        organisation=given.get("organisation"),
        team=given.get("team"),
        key=given.get("key"),
        model=given.get("model"),
        provider=given.get("provider"),
        status=_status(given.get("status")),
        start=start,
        end=end,
    )


def dimensions(text: str | None) -> tuple[Dimension, ...]:
    """A comma list such as `team,day`. Raises InvalidField."""
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    try:
        return tuple(dict.fromkeys(Dimension(word) for word in words))
    except ValueError as error:
        raise InvalidField(
            f"group_by: expected a comma list of {', '.join(Dimension)}; got {text!r}", param="group_by"
        ) from error


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


def _moment(word: str, text: str | None) -> int | None:
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
        moment = moment.replace(tzinfo=UTC)
    try:
        nano = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    except OverflowError as error:
        raise InvalidField(f"{word}: out of range", param=word) from error
    if not 0 <= nano < 1 << 63:
        raise InvalidField(f"{word}: expected a time from 1970 to 2262; got {text!r}", param=word)
    return nano
