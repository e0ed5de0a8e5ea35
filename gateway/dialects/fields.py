"""Fields: one JSON object of a client's request, taken apart field by field; what is left over is kept. Pure.

Every mistake names the field by its path in the client's words (`messages[2].content[0].text`).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Raw

from inference.ir.content import NO_REST, Rest
from inference.ir.errors import InvalidField

_NULL = Raw(b"null")
_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)
_integer = msgspec.json.Decoder(int)
_number = msgspec.json.Decoder(float)
_flag = msgspec.json.Decoder(bool)
_texts = msgspec.json.Decoder(list[str])
_numbers = msgspec.json.Decoder(dict[str, float])
_string_map = msgspec.json.Decoder(dict[str, str])


class Fields:
    """Takes fields out by name and type. A field that is null counts as not given."""

    __slots__ = ("_left", "path")

    def __init__(self, fields: Rest, path: str = "") -> None:
        """`path` is the object's own place in the request, empty for the outermost."""
        self._left = fields
        self.path = path

    @classmethod
    def of(cls, raw: Raw | bytes, path: str) -> "Fields":
        """Raises InvalidField where it is no object."""
        return cls(_decoded(_object, raw, path, "an object"), path)

    def __contains__(self, name: str) -> bool:
        value = self._left.get(name)
        return value is not None and value != _NULL

    def at(self, name: str) -> str:
        """The path of one of its fields."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, said: str, code: str | None = None) -> InvalidField:
        """The error for one of its fields; `said` goes on after `Invalid value for ...:`."""
        return InvalidField(f"Invalid value for `{self.at(name)}`: {said}", param=self.at(name), code=code)

    def raw(self, name: str) -> Raw | None:
        """Whatever it is."""
        value = self._left.pop(name, None)
        return None if value is None or value == _NULL else value

    def discard(self, names: Iterable[str]) -> None:
        """Fields that were read in another way."""
        for name in names:
            self._left.pop(name, None)

    def keep(self, name: str, value: Raw) -> None:
        """Put a field back among what is left over."""
        self._left[name] = value

    def text(self, name: str) -> str | None:
        return self._take(name, _text, "a string")

    def needed(self, name: str) -> str:
        """A string that has to be there."""
        value = self.text(name)
        if value is None:
            raise self.missing(name)
        return value

    def missing(self, name: str) -> InvalidField:
        """The error for a field that is not there."""
        where = self.at(name)
        return InvalidField(f"Missing required field `{where}`.", param=where, code="missing_field")

    def integer(self, name: str) -> int | None:
        return self._take(name, _integer, "an integer")

    def number(self, name: str) -> float | None:
        return self._take(name, _number, "a number")

    def flag(self, name: str) -> bool | None:
        return self._take(name, _flag, "true or false")

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings; one string alone is an array of one."""
        value = self.raw(name)
        if value is None:
            return ()
        if bytes(value).startswith(b'"'):
            return (_text.decode(value),)
        return tuple(_decoded(_texts, value, self.at(name), "a string or an array of strings"))

    def numbers(self, name: str) -> dict[str, float] | None:
        return self._take(name, _numbers, "an object of numbers")

    def words(self, name: str) -> dict[str, str] | None:
        """An object of strings; left where it is if it holds anything else."""
        value = self._left.get(name)
        if value is None or value == _NULL:
            return None
        try:
            found = _string_map.decode(value)
        except msgspec.DecodeError:
            return None
        del self._left[name]
        return found

    def inner(self, name: str) -> "Fields | None":
        """An object inside."""
        value = self.raw(name)
        return None if value is None else Fields.of(value, self.at(name))

    def inners(self, name: str) -> "Iterator[Fields]":
        """An array of objects inside; nothing where it is not given."""
        for number, item in enumerate(self.items(name)):
            yield Fields.of(item, f"{self.at(name)}[{number}]")

    def items(self, name: str) -> list[Raw]:
        """An array of anything; empty where it is not given."""
        value = self.raw(name)
        return [] if value is None else _decoded(_list, value, self.at(name), "an array")

    def is_text(self, name: str) -> bool:
        """Whether the field is a string."""
        return bytes(self._left.get(name, b"")).startswith(b'"')

    def rest(self, prefix: str = "") -> Rest:
        """What nobody took, without the nulls."""
        left = {f"{prefix}{name}": value for name, value in self._left.items() if value != _NULL}
        return left or NO_REST

    def _take(self, name: str, decoder: msgspec.json.Decoder[Any], expected: str) -> Any:
        value = self._left.pop(name, None)
        if value is None:
            return None
        try:
            return decoder.decode(value)
        except (msgspec.DecodeError, RecursionError):
            if value == _NULL:
                return None
            raise _unfit(value, self.at(name), expected) from None


def _decoded(decoder: msgspec.json.Decoder[Any], raw: Raw | bytes, path: str, expected: str) -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise _unfit(raw, path, expected) from None


def _unfit(raw: Raw | bytes, path: str, expected: str) -> InvalidField:
    found = _kind(bytes(raw))
    return InvalidField(f"Invalid value for `{path}`: expected {expected}, got {found}.", param=path)


def _kind(raw: bytes) -> str:
    match raw[:1]:
        case b'"':
            return "a string"
        case b"{":
            return "an object"
        case b"[":
            return "an array"
        case b"t" | b"f":
            return "a boolean"
        case b"n":
            return "null"
        case _:
            return "a number" if b"." in raw or b"e" in raw else "an integer"
