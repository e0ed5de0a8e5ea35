"""Figures of config/models.yaml, from digits to numbers: prices, amounts, times. Refuses floats and guesses."""

import re
from typing import Any, ClassVar, Self

from inference.yaml_struct import MisfitError

_DECIMAL = re.compile(r"(?P<minus>-?)(?P<whole>[0-9]+)?(?:\.(?P<part>[0-9]*))?")
_AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|m|h)?")
_UNITS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_USD = 1_000_000
_MOST_SECONDS = 86_400


class Usd(int):
    """US dollars per million tokens as nano-USD: 0.0375 is 37_500_000. Digits are read, never a float."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "number", "minimum": 0, "maximum": _MOST_USD}
    unit: ClassVar[str] = "US dollars per million tokens"
    expected: ClassVar[str] = f"{unit}, such as `0.54`"

    @classmethod
    def read(cls, text: str) -> Self:
        """Exact, or refused: more than nine decimals is less than a nano-dollar. Raises MisfitError."""
        match = _DECIMAL.fullmatch(text)
        if match is None or not (match["whole"] or match["part"]):
            raise MisfitError(cls.expected)
        if match["minus"]:
            raise MisfitError("a price of 0 or more")
        whole, part = match["whole"] or "0", match["part"] or ""
        if len(part) > 9:
            raise MisfitError("at most 9 decimals")
        whole = whole.lstrip("0")
        if len(whole) > 7 or int(whole or "0") > _MOST_USD:
            raise MisfitError(f"at most {_MOST_USD} {cls.unit}")
        return cls(int(whole or "0") * 10**9 + int(part.ljust(9, "0")))


class UsdEach(Usd):
    """US dollars for one of something, as nano-USD."""

    unit: ClassVar[str] = "US dollars"
    expected: ClassVar[str] = f"{unit}, such as `0.04`"


class UsdPerMillionCharacters(Usd):
    """US dollars per million characters, as nano-USD."""

    unit: ClassVar[str] = "US dollars per million characters"
    expected: ClassVar[str] = f"{unit}, such as `15`"


class Part(Usd):
    """A part of a price, in billionths: 0.5 is 500_000_000."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    unit: ClassVar[str] = "of the price"
    expected: ClassVar[str] = "a part of the price above 0 and up to 1, such as `0.5`"

    @classmethod
    def read(cls, text: str) -> Self:
        """As a price is read. Raises MisfitError; also for nothing, which is said with `free: true`."""
        part = super().read(text)
        if not 0 < part <= 10**9:
            raise MisfitError(cls.expected)
        return part


class Seconds(float):
    """A length of time, above zero and at most a day."""

    json_schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": _MOST_SECONDS},
            {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?(ms|s|m|h)?$"},
        ]
    }
    expected: ClassVar[str] = "a time above 0 and at most a day, such as `30`, `500ms`, `30s` or `2m`"

    @classmethod
    def read(cls, text: str) -> Self:
        """Seconds, or a number with its unit. Raises MisfitError."""
        match = _DURATION.fullmatch(text)
        if match is None:
            raise MisfitError(cls.expected)
        value = float(match[1]) * _UNITS[match[2]]
        if not 0 < value <= _MOST_SECONDS:
            raise MisfitError(cls.expected)
        return cls(value)


class Amount(str):
    """An amount of money as typed, since how many decimals it may have depends on its currency."""

    __slots__ = ()
    json_schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?$"},
        ]
    }
    expected: ClassVar[str] = "an amount such as `9.99`, without sign or exponent"

    @classmethod
    def read(cls, text: str) -> Self:
        """The digits, unchanged. Raises MisfitError."""
        if not _AMOUNT.fullmatch(text):
            raise MisfitError(cls.expected)
        return cls(text)
