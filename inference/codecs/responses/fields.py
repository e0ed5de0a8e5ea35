"""Fields: one JSON object opened, its known fields taken out one by one, the rest kept as it came. Pure."""

from typing import NoReturn

import msgspec
from msgspec import Raw

from inference.ir.content import Rest
from inference.ir.errors import InvalidField

_fields = msgspec.json.Decoder(dict[str, Raw])
_text = msgspec.json.Decoder(str)
_list = msgspec.json.Decoder(list[Raw])
_whole = msgspec.json.Decoder(int)
_number = msgspec.json.Decoder(float)
_truth = msgspec.json.Decoder(bool)
_map = msgspec.json.Decoder(dict[str, str])


class Fields:
    """An object at the path `at` of a document. What is taken is gone; `rest()` is what nobody took."""

    __slots__ = ("_left", "at")

    def __init__(self, raw: Raw | bytes, at: str) -> None:
        """Raises InvalidField where it is no object."""
        self.at = at
        try:
            self._left = _fields.decode(raw)
        except msgspec.DecodeError:
            raise InvalidField(
                f"Invalid value for `{at or 'the body'}`: expected an object.", param=at or None
            ) from None

    def path(self, key: str) -> str:
        """Where a field of it stands."""
        return f"{self.at}.{key}" if self.at else key

    def raw(self, key: str) -> Raw | None:
        """A field as it came; None where it is absent or null."""
        value = self._left.pop(key, None)
        return None if value is None or bytes(value) == b"null" else value

    def text(self, key: str) -> str | None:
        """Raises InvalidField where it is no string."""
        value = self.raw(key)
        if value is None:
            return None
        try:
            return _text.decode(value)
        except msgspec.DecodeError:
            self.wrong(key, "a string")

    def need(self, key: str) -> str:
        """A string that has to be there."""
        value = self.text(key)
        if value is None:
            raise InvalidField(
                f"Missing required field `{self.path(key)}`.", param=self.path(key), code="missing_field"
            )
        return value

    def list(self, key: str) -> list[Raw] | None:
        value = self.raw(key)
        if value is None:
            return None
        try:
            return _list.decode(value)
        except msgspec.DecodeError:
            self.wrong(key, "an array")

    def whole(self, key: str) -> int | None:
        value = self.raw(key)
        if value is None:
            return None
        try:
            return _whole.decode(value)
        except msgspec.DecodeError:
            self.wrong(key, "an integer")

    def number(self, key: str) -> float | None:
        value = self.raw(key)
        if value is None:
            return None
        try:
            return _number.decode(value)
        except msgspec.DecodeError:
            self.wrong(key, "a number")

    def truth(self, key: str) -> bool | None:
        value = self.raw(key)
        if value is None:
            return None
        try:
            return _truth.decode(value)
        except msgspec.DecodeError:
            self.wrong(key, "a boolean")

    def words(self, key: str) -> dict[str, str] | None:
        """An object of strings."""
        value = self.raw(key)
        if value is None:
            return None
        try:
            return _map.decode(value)
        except msgspec.DecodeError:
            self.wrong(key, "an object of strings")

    def open(self, key: str) -> "Fields | None":
        """An object in it."""
        value = self.raw(key)
        return None if value is None else Fields(value, self.path(key))

    def rest(self) -> Rest:
        """Everything not taken that says something."""
        return {key: value for key, value in self._left.items() if bytes(value) != b"null"}

    def wrong(self, key: str, expected: str) -> NoReturn:
        """Raises InvalidField: the field is not what was expected."""
        path = self.path(key)
        raise InvalidField(f"Invalid value for `{path}`: expected {expected}.", param=path)
