"""Fields: one JSON object read field by field, each with its path, what nobody asked for left over. Pure.

For requests and answers that are read in full; those that are passed on go by `inference/codecs/body.py`.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Raw

from inference.ir.content import NO_REST, Rest

_T = TypeVar("_T")
_NULL = b"null"
_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])
_objects = msgspec.json.Decoder(list[dict[str, Raw]])
_text = msgspec.json.Decoder(str)
_texts = msgspec.json.Decoder(list[str])
_flag = msgspec.json.Decoder(bool)
_whole = msgspec.json.Decoder(int)
_number = msgspec.json.Decoder(float)


class Misshapen(Exception):
    """A field is not what it has to be. `path` is written `messages.0.content`, `said` what was expected."""

    def __init__(self, path: str, said: str, *, missing: bool = False) -> None:
        super().__init__(f"{path}: {said}" if path else said)
        self.path = path
        self.said = said
        self.missing = missing


class Fields:
    """One object. Reading a field takes it out; `rest()` is what is left. Null reads as absent."""

    __slots__ = ("_left", "path")

    def __init__(self, left: dict[str, Raw], path: str = "") -> None:
        self._left = left
        self.path = path

    def at(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def raw(self, name: str) -> Raw | None:
        """A field as it came."""
        found = self._left.pop(name, None)
        return None if found is None or bytes(found) == _NULL else found

    def text(self, name: str) -> str | None:
        """Raises Misshapen, as all of these do."""
        return self._read(name, _text, "expected a string")

    def need_text(self, name: str) -> str:
        found = self._read(name, _text, "expected a string")
        if found is None:
            raise Misshapen(self.at(name), "this field is required", missing=True)
        return found

    def texts(self, name: str) -> Sequence[str]:
        return self._read(name, _texts, "expected an array of strings") or ()

    def flag(self, name: str) -> bool | None:
        return self._read(name, _flag, "expected true or false")

    def whole(self, name: str) -> int | None:
        return self._read(name, _whole, "expected an integer")

    def number(self, name: str) -> float | None:
        return self._read(name, _number, "expected a number")

    def object(self, name: str) -> "Fields | None":
        found = self._read(name, _object, "expected an object")
        return None if found is None else Fields(found, self.at(name))

    def objects(self, name: str) -> "list[Fields]":
        """The objects of an array, empty where there is none."""
        found = self.raw(name)
        return [] if found is None else objects(found, self.at(name))

    def schema(self, name: str) -> Raw | None:
        """An object kept as it came."""
        found = self.raw(name)
        if found is not None and not bytes(found).startswith(b"{"):
            raise Misshapen(self.at(name), "expected an object (a JSON schema)")
        return found

    def rest(self) -> Rest:
        """The fields nobody asked for; those that say null are left out."""
        if not self._left:
            return NO_REST
        return {name: value for name, value in self._left.items() if bytes(value) != _NULL}

    def put(self, name: str, value: Raw) -> None:
        """Give a field back, for it is not to be read after all."""
        self._left[name] = value

    def whole_object(self) -> Raw:
        """The object again, with all that has not been taken out."""
        return Raw(msgspec.json.encode(self._left))

    def _read(self, name: str, decoder: "msgspec.json.Decoder[_T]", expected: str) -> _T | None:
        found = self._left.pop(name, None)
        if found is None or bytes(found) == _NULL:
            return None
        try:
            return decoder.decode(found)
        except (msgspec.DecodeError, RecursionError):
            raise Misshapen(self.at(name), expected) from None


def objects(found: Raw, path: str) -> list[Fields]:
    """The objects of a raw array. Raises Misshapen with the path of the one that is none."""
    try:
        return [Fields(each, f"{path}.{at}") for at, each in enumerate(_objects.decode(found))]
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        elements = _list.decode(found)
    except (msgspec.DecodeError, RecursionError):
        raise Misshapen(path, "expected an array of objects") from None
    for at, element in enumerate(elements):
        if not bytes(element).startswith(b"{"):
            raise Misshapen(f"{path}.{at}", "expected an object")
    raise Misshapen(path, "expected an array of objects")


def text_of(found: Raw, path: str) -> str:
    """A raw string. Raises Misshapen."""
    try:
        return _text.decode(found)
    except msgspec.DecodeError:
        raise Misshapen(path, "expected a string") from None
