"""What operators may write in names, labels, globs and times, and the errors that say what was expected.

Pure; refuses to know where the values go.
"""

import re
from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UnsetType

from inference.ir.errors import InvalidField
from inference.ir.tiers import NO_LIMITS, Feature, Limits

_MOST_NAME = 64
_MOST_LABELS = 32
_MOST_LABEL = 256
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"(\d{1,9})([smhdw])")
_LONGEST = timedelta(days=36500)
_MOST_EMAIL = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)*")
_TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}", re.ASCII)
_TAG_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def name(value: str, param: str = "name") -> str:
    """A name without the space around it: 1 to 64 printable characters, no slash. Raises InvalidField."""
    trimmed = value.strip()
    if not 1 <= len(trimmed) <= _MOST_NAME:
        raise InvalidField(
            f"{param} has {len(trimmed)} characters; 1 to {_MOST_NAME} were expected.", param=param
        )
    if not trimmed.isprintable() or "/" in trimmed:
        raise InvalidField(
            f"{param} holds a character that cannot be printed, or a slash; neither is allowed.", param=param
        )
    return trimmed


def labels(value: Mapping[str, str], param: str = "metadata") -> dict[str, str]:
    """At most 32 labels, names to 64 and values to 256 characters. Raises InvalidField."""
    if len(value) > _MOST_LABELS:
        raise InvalidField(f"{param} holds {len(value)} labels; the most is {_MOST_LABELS}.", param=param)
    for label, text in value.items():
        if "\x00" in label + text:
            raise InvalidField(f"{param} holds a NUL character, which cannot be stored.", param=param)
        if not 1 <= len(label) <= _MOST_NAME or len(text) > _MOST_LABEL:
            raise InvalidField(
                f"{param} has a label out of bounds: names have 1 to {_MOST_NAME} characters, "
                f"values at most {_MOST_LABEL}.",
                param=param,
            )
    return dict(value)


def expiry(value: str, now: datetime, param: str = "expires") -> datetime:
    """A moment after `now`, from a duration (`90s`, `30m`, `12h`, `30d`, `8w`) or ISO 8601.

    A moment without a time zone is taken as UTC. Raises InvalidField.
    """
    text = value.strip()
    match = _DURATION.fullmatch(text)
    if match:
        length = int(match[1]) * _UNITS[match[2]]
        if not 0 < length <= _LONGEST.total_seconds():
            raise InvalidField(f"{param} is {text!r}: more than nothing and at most 100 years.", param=param)
        return now + timedelta(seconds=length)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidField(
            f"{param} is {text!r}: a duration such as '30d' or a moment such as '2030-01-31T00:00:00Z' "
            "was expected.",
            param=param,
        ) from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not now < moment <= now + _LONGEST:
        raise InvalidField(
            f"{param} is {text!r}, which is not in the future (within 100 years); it is "
            f"{now.strftime('%Y-%m-%dT%H:%M:%SZ')} now.",
            param=param,
        )
    return moment.astimezone(UTC)


def either_expiry(
    expires: str | UnsetType | None, expires_at: str | UnsetType | None, now: datetime
) -> datetime | None:
    """The moment that one of the two fields says, null and nothing for never. Raises InvalidField."""
    if isinstance(expires, str) and isinstance(expires_at, str):
        raise InvalidField("expires and expires_at mean the same: give one of them.", param="expires_at")
    if isinstance(expires, str):
        return expiry(expires, now)
    return expiry(expires_at, now, "expires_at") if isinstance(expires_at, str) else None


def overlap(length: float, param: str = "overlap_seconds") -> timedelta:
    """How long an old secret lives on, in seconds: 0 to 30 days. Raises InvalidField."""
    if not 0 <= length <= 30 * 86400:
        raise InvalidField(f"{param} is {length:g}; 0 to 2592000 (30 days) were expected.", param=param)
    return timedelta(seconds=length)


def moment(value: str, param: str) -> datetime:
    """A date or a time in ISO 8601; without a time zone it is taken as UTC. Raises InvalidField."""
    try:
        # A plus sign in a query string arrives as a space.
        found = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidField(
            f"{param} is {value[:40]!r}; a date or time in ISO 8601, such as 2030-01-31 or 2030-01-31T12:00:00Z, was "
            "expected.",
            param=param,
        ) from None


def seconds(value: str, param: str) -> float:
    """A duration such as `90s` or `1d` in seconds. Raises InvalidField."""
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise InvalidField(
            f"{param} is {value!r}; a duration such as '90s' or '1d' was expected.", param=param
        )
    return float(int(match[1]) * _UNITS[match[2]])


def searchable(reference: str) -> str:
    """A reference fit to look for: no database finds a NUL character, and PostgreSQL refuses to look."""
    return reference.replace("\x00", "\ufffd")


def email(value: str, param: str = "email") -> str:
    """An e-mail address in small letters. Whether it takes mail is not asked. Raises InvalidField."""
    address = value.strip().lower()
    if len(address) > _MOST_EMAIL or not address.isprintable() or not _EMAIL.fullmatch(address):
        raise InvalidField(
            f"{param} is {value[:80]!r}; an address such as 'ada@example.com' was expected.", param=param
        )
    return address


def tags(value: Mapping[str, str], param: str = "tags") -> dict[str, str]:
    """At most 32 tags; names of letters, digits, `_`, `.` and `-`, values of 1 to 256 characters.

    Raises InvalidField.
    """
    if len(value) > _MOST_LABELS:
        raise InvalidField(f"{param} holds {len(value)} tags; the most is {_MOST_LABELS}.", param=param)
    for tag, text in value.items():
        if not _TAG_NAME.fullmatch(tag) or not _TAG_TEXT.fullmatch(text):
            raise InvalidField(
                f"{param} has the tag {tag[:64]!r}: a name of up to 64 letters, digits, '_', '.' and '-', such as "
                "'project', and a value of 1 to 256 characters were expected.",
                param=param,
            )
    return dict(value)


def features(value: Iterable[str], param: str = "features") -> list[str]:
    """Features a key may use, doubles removed. Raises InvalidField."""
    known = [feature.value for feature in Feature]
    found = list(dict.fromkeys(value))
    for feature in found:
        if feature not in known:
            raise InvalidField(
                f"{param} holds {feature[:40]!r}; any of {', '.join(known)} were expected.", param=param
            )
    return found


def limits(value: Limits | None) -> dict[str, Any] | None:
    """Limits as they are stored; none at all for limits that limit nothing."""
    return None if value is None or value == NO_LIMITS else msgspec.to_builtins(value)


def stored_limits(value: Mapping[str, Any] | None) -> Limits | None:
    """Limits as they were stored."""
    return None if value is None else msgspec.convert(value, Limits)


def tier(value: str | None, known: Container[str] | None, param: str = "tier") -> str | None:
    """The name of a tier of the catalogue; None for none. Raises InvalidField."""
    if value is None:
        return None
    if known is not None and value not in known:
        names = ", ".join(sorted(known)) if isinstance(known, Iterable) else ""
        raise InvalidField(
            f"{param} is {value[:64]!r}, which the catalogue does not have; it has {names or 'none'}.",
            param=param,
        )
    return name(value, param)


def time_zone(value: str, param: str = "time_zone") -> str:
    """The IANA name of a time zone, such as Europe/Istanbul. Raises InvalidField."""
    try:
        return ZoneInfo(value).key
    except (ValueError, OSError, KeyError):  # not a name at all, a folder of names, an unknown name
        raise InvalidField(
            f"{param} is {value[:64]!r}; an IANA name such as 'UTC' or 'Europe/Istanbul' was expected.",
            param=param,
        ) from None


def currency(value: str, param: str = "currency") -> str:
    """A currency's code (ISO 4217) in capital letters. Raises InvalidField."""
    code = value.strip().upper()
    if not _CURRENCY.fullmatch(code):
        raise InvalidField(f"{param} is {value[:16]!r}; a code such as 'USD' was expected.", param=param)
    return code
