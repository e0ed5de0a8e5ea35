"""The shape of tools and of their results, checked as far as every provider insists on it. Pure.

Looked at only where a request brings tools, whether it is passed on or translated, so that a mistake is refused alike
on both ways and before anything is paid. What only one provider refuses is that provider's to say.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Generic, Literal, Protocol, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from inference.codecs.fields import Fields

INVALID = "invalid_tool"
NO_CALL = "tool_call_not_found"
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_texts = msgspec.json.Decoder(list[str])
_names = msgspec.json.Decoder(str | list[str])


class _Anything(Struct):
    """Any object; nothing of it is read."""


class GoodSchema(Struct):
    """A JSON schema of an object, as far as its first level shows."""

    type: Literal["object"] | None = None
    properties: _Anything | None = None
    required: list[str] | None = None


GoodName = Annotated[str, Meta(pattern=rf"^{_NAME.pattern}\Z")]


class Named(Protocol):
    """A dialect's own shape of a good tool, by GoodName and GoodSchema."""

    @property
    def good_name(self) -> str: ...


_Tool = TypeVar("_Tool", bound=Named)


class GoodTools(Generic[_Tool]):
    """Tells tools that are as they should be, most of all, in one reading. Others are looked at one by one: they may
    be of a kind of the provider's own, and if one is wrong it has to be said how."""

    __slots__ = ("_tools",)

    def __init__(self, kind: type[_Tool]) -> None:
        self._tools = msgspec.json.Decoder(list[kind])

    def are(self, tools: Raw) -> bool:
        """Whether they need no other look."""
        try:
            found = self._tools.decode(tools)
        except (msgspec.DecodeError, RecursionError):
            return False
        return len({tool.good_name for tool in found}) == len(found)


class ToolShapes:
    """Remembers the names of one request's tools."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def function(self, tool: Fields, *schemas: str, needs_schema: bool = False) -> None:
        """A function: its name, and its parameters under one of the fields `schemas`. Raises InvalidField."""
        self.name(tool)
        given = [(name, raw) for name in schemas if (raw := tool.raw(name)) is not None]
        if needs_schema and not given:
            raise tool.missing(schemas[0])
        for name, raw in given:
            _check_schema(tool, name, raw)

    def name(self, tool: Fields) -> None:
        """A tool that has only a name."""
        name = tool.needed("name")
        if not _NAME.fullmatch(name):
            raise tool.wrong(
                "name",
                "expected up to 128 letters, digits and `_ . : / -`, and nothing else",
                code=INVALID,
            )
        if name in self._seen:
            raise tool.wrong(
                "name",
                f"`{self._seen[name]}` has the same name, and a model could not tell them apart",
                INVALID,
            )
        self._seen[name] = tool.path


def _check_schema(tool: Fields, field: str, raw: Raw) -> None:
    """That it is a JSON schema of an object, as far as its first level shows."""
    if bytes(memoryview(raw)[:1]) != b"{":
        raise tool.wrong(field, "expected a JSON schema, which is an object", INVALID)
    schema = type(tool).of(raw, tool.at(field))
    kind, properties, required = schema.raw("type"), schema.raw("properties"), schema.raw("required")
    if kind is not None and not _says_object(kind):
        raise schema.wrong("type", 'expected "object": the arguments of a call are one', INVALID)
    if properties is not None and bytes(memoryview(properties)[:1]) != b"{":
        raise schema.wrong("properties", "expected an object of schemas by name", INVALID)
    if required is not None and not _are_texts(required):
        raise schema.wrong("required", "expected an array of names", INVALID)


def _says_object(kind: Raw) -> bool:
    try:
        said = _names.decode(kind)
    except msgspec.DecodeError:
        return False
    return any(word.lower() == "object" for word in ([said] if isinstance(said, str) else said))


def _are_texts(raw: Raw) -> bool:
    try:
        _texts.decode(raw)
    except msgspec.DecodeError:
        return False
    return True


def answered(turns: Iterable[tuple[Iterable[str], Iterator[tuple[str, str]]]], fields: type[Fields]) -> None:
    """That every result answers a call before it. Raises InvalidField.

    Of each turn, in their order: the ids of the calls it makes, and the results it holds as (id, the id's path).
    """
    called: set[str] = set()
    for calls, results in turns:
        called.update(calls)
        for call_id, path in results:
            if call_id not in called:
                raise fields.fault(
                    path,
                    f"no message before it has a tool call with the id {call_id[:100]!r}",
                    NO_CALL,
                )
