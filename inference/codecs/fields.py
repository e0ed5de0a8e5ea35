"""Fields: one JSON object taken apart field by field, each mistake under its path; what is left over is kept. Pure.

For requests and answers that are read in full; those that are passed on go by `inference/codecs/body.py`.
"""

from collections.abc import Iterable
from typing import Any, Self

import msgspec
from msgspec import Raw

from inference.ir.content import NO_REST, Rest
from inference.ir.errors import InvalidField

_NULL = Raw(b"null")
_object = msgspec.json.Decoder(dict[str, Raw])
_objects = msgspec.json.Decoder(list[dict[str, Raw]])
_list = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)
_integer = msgspec.json.Decoder(int)
_number = msgspec.json.Decoder(float)
_flag = msgspec.json.Decoder(bool)
_texts = msgspec.json.Decoder(list[str])
_numbers = msgspec.json.Decoder(dict[str, float])
_words = msgspec.json.Decoder(dict[str, str])


class Fields:
    """Takes fields out by name and type, or raises InvalidField. A field that is null counts as not given.

    Paths are written `messages[2].content[0].text`. A format whose clients read errors of another wording says so in
    a subclass: `place`, `fault` and `lacking`.
    """

    __slots__ = ("_left", "path")

    def __init__(self, fields: Rest, path: str = "") -> None:
        """`path` is the object's own place in the document, empty for the outermost."""
        self._left = fields
        self.path = path

    @classmethod
    def of(cls, raw: Raw | bytes, path: str = "") -> Self:
        """Raises InvalidField where it is no object."""
        return cls(cls._decoded(_object, raw, path, "an object"), path)

    @classmethod
    def each(cls, raw: Raw | bytes, path: str) -> list[Self]:
        """The objects of an array. Raises InvalidField, with the path of the one that is none."""
        try:
            found = _objects.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            items = cls._decoded(_list, raw, path, "an array of objects")
            return [cls.of(item, cls.place(path, number)) for number, item in enumerate(items)]
        return [cls(fields, cls.place(path, number)) for number, fields in enumerate(found)]

    @classmethod
    def string(cls, raw: Raw | bytes, path: str) -> str:
        """A string alone. Raises InvalidField."""
        return cls._decoded(_text, raw, path, "a string")

    @staticmethod
    def place(path: str, number: int) -> str:
        """The path of an array's element."""
        return f"{path}[{number}]"

    @staticmethod
    def fault(path: str, said: str, code: str | None = None) -> InvalidField:
        """The error for what stands at a path; `said` is no whole sentence and has no stop."""
        return InvalidField(
            f"Invalid value for `{path or 'the body'}`: {said}.", param=path or None, code=code
        )

    @staticmethod
    def lacking(path: str) -> InvalidField:
        """The error for what is not there."""
        return InvalidField(f"Missing required field `{path}`.", param=path, code="missing_field")

    def __contains__(self, name: str) -> bool:
        value = self._left.get(name)
        return value is not None and value != _NULL

    def at(self, name: str) -> str:
        """The path of one of its fields."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, said: str, code: str | None = None) -> InvalidField:
        """The error for one of its fields; `said` as in `fault`."""
        return self.fault(self.at(name), said, code)

    def missing(self, name: str) -> InvalidField:
        """The error for a field that is not there."""
        return self.lacking(self.at(name))

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

    def integer(self, name: str) -> int | None:
        return self._take(name, _integer, "an integer")

    def number(self, name: str) -> float | None:
        return self._take(name, _number, "a number")

    def flag(self, name: str) -> bool | None:
        return self._take(name, _flag, "true or false")

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings; empty where it is not given."""
        return tuple(self._take(name, _texts, "an array of strings") or ())

    def one_or_more(self, name: str) -> tuple[str, ...]:
        """An array of strings; one string alone is an array of one."""
        value = self.raw(name)
        if value is None:
            return ()
        if bytes(value).startswith(b'"'):
            return (self.string(value, self.at(name)),)
        return tuple(self._decoded(_texts, value, self.at(name), "a string or an array of strings"))

    def numbers(self, name: str) -> dict[str, float] | None:
        return self._take(name, _numbers, "an object of numbers")

    def words(self, name: str) -> dict[str, str] | None:
        return self._take(name, _words, "an object of strings")

    def words_if(self, name: str) -> dict[str, str] | None:
        """An object of strings; left where it is if it holds anything else."""
        value = self._left.get(name)
        if value is None or value == _NULL:
            return None
        try:
            found = _words.decode(value)
        except msgspec.DecodeError:
            return None
        del self._left[name]
        return found

    def inner(self, name: str) -> Self | None:
        """An object inside."""
        value = self.raw(name)
        return None if value is None else self.of(value, self.at(name))

    def inners(self, name: str) -> list[Self]:
        """An array of objects inside; empty where it is not given."""
        value = self.raw(name)
        return [] if value is None else self.each(value, self.at(name))

    def items(self, name: str) -> list[Raw]:
        """An array of anything; empty where it is not given."""
        return self._take(name, _list, "an array") or []

    def schema(self, name: str) -> Raw | None:
        """An object kept as it came."""
        value = self.raw(name)
        if value is not None and not bytes(value).startswith(b"{"):
            raise self.wrong(name, "expected a JSON schema, which is an object")
        return value

    def is_text(self, name: str) -> bool:
        """Whether the field is a string."""
        return bytes(self._left.get(name, b"")).startswith(b'"')

    def rest(self, prefix: str = "") -> Rest:
        """What nobody took, without the nulls."""
        if not self._left:
            return NO_REST
        left = {f"{prefix}{name}": value for name, value in self._left.items() if value != _NULL}
        return left or NO_REST

    def whole(self) -> Raw:
        """The object again, with all that has not been taken out."""
        return Raw(msgspec.json.encode(self._left))

    def _take(self, name: str, decoder: msgspec.json.Decoder[Any], expected: str) -> Any:
        value = self._left.pop(name, None)
        if value is None:
            return None
        try:
            return decoder.decode(value)
        except (msgspec.DecodeError, RecursionError):
            if value == _NULL:
                return None
            raise self._unfit(value, self.at(name), expected) from None

    @classmethod
    def _decoded(cls, decoder: msgspec.json.Decoder[Any], raw: Raw | bytes, path: str, expected: str) -> Any:
        try:
            return decoder.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            raise cls._unfit(raw, path, expected) from None

    @classmethod
    def _unfit(cls, raw: Raw | bytes, path: str, expected: str) -> InvalidField:
        return cls.fault(path, f"expected {expected}, got {_kind(bytes(raw))}")


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
