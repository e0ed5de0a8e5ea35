"""YAML nodes into msgspec Structs, reporting every misfit where it stands; knows types, not their purpose.

msgspec's own decoder stops at the first error and cannot say on which line it stood. This one walks the same
type declarations (`msgspec.inspect`), so the Structs stay the only description of the file: the JSON schema
for editors is generated from them too. Annotations it understands in `Meta(extra=...)`:

    expected   words for an error message, where a pattern would mean little to a reader
    secret     never show the value that was found
    later      accepted and type-checked, but without effect in this version: a warning
    refused    known, but not in this version: an error with this text
"""

import re
from datetime import date
from typing import Any, ClassVar, Protocol, Self, TypeVar, cast, runtime_checkable

from msgspec import UNSET, Struct, inspect

from inference.yaml_source import Items, Mapping, Node, Report, Scalar, Spot, Trail, describe, quoted

T = TypeVar("T", bound=Struct)

_INT = re.compile(r"[+-]?(?:0|[1-9][0-9_]{0,17})")
_TRUE = ("true", "yes", "on")


class MisfitError(Exception):
    """A scalar that is not what a type needs, in the words of an error message."""

    def __init__(self, expected: str, found: str | None = None) -> None:
        """`found` None: the value itself is shown."""
        super().__init__(expected)
        self.expected = expected
        self.found = found


@runtime_checkable
class Readable(Protocol):
    """A type of its own making, read from a scalar's text as typed."""

    json_schema: ClassVar[dict[str, Any]]
    expected: ClassVar[str]

    @classmethod
    def read(cls, text: str) -> Self:
        """The value. Raises MisfitError."""
        ...


class Reader:
    """Reads one tree. Afterwards `spots` has the place of each path, `later` the fields without effect."""

    def __init__(self, report: Report) -> None:
        """Misfits go into `report`."""
        self._report = report
        self.spots: dict[Trail, Spot] = {}
        self.later: list[tuple[Spot, str]] = []

    def read(self, cls: type[T], node: Node) -> T:
        """The tree as `cls`. Where the report has problems, the misfits are replaced by empty values."""
        self.spots[()] = node.at
        return cast("T", self._value(inspect.type_info(cls), node, (), {}))

    def _value(self, kind: inspect.Type, node: Node, path: Trail, extra: dict[str, Any]) -> object:
        if isinstance(kind, inspect.Metadata):
            return self._value(kind.type, node, path, extra | _extra(kind))
        if isinstance(kind, inspect.UnionType):
            if kind.includes_none and isinstance(node, Scalar) and node.kind == "null":
                return None
            return self._value(_member(kind, node), node, path, extra)
        if isinstance(kind, inspect.AnyType):
            return None
        if isinstance(kind, inspect.StructType) and isinstance(node, Mapping):
            return self._struct(kind, node, path)
        if isinstance(kind, inspect.DictType) and isinstance(node, Mapping):
            return self._dict(kind, node, path)
        if isinstance(kind, inspect.VarTupleType) and isinstance(node, Items):
            return self._tuple(kind, node, path, extra)
        try:
            if not isinstance(node, Scalar):
                raise MisfitError(extra.get("expected") or _words(kind))
            return _scalar(kind, node, extra)
        except MisfitError as unfit:
            secret = bool(extra.get("secret"))
            hint = None if secret else self._hint(kind, node)
            found = describe(node, secret=True) if secret else unfit.found or describe(node)
            self._report.add(self.spots[path], path, found=found, expected=unfit.expected, hint=hint)
            return _blank(kind)

    def _struct(self, kind: inspect.StructType, node: Mapping, path: Trail) -> object:
        fields = {f.encode_name: f for f in kind.fields}
        usable = [name for name, f in fields.items() if "refused" not in _extra(f.type)]
        values: dict[str, object] = {}
        for key, (at, value) in node.entries.items():
            here = (*path, key)
            self.spots[here] = value.at if isinstance(value, Scalar) else at
            if key not in fields:
                self._unknown(at, here, usable)
                continue
            extra = _extra(fields[key].type)
            if refused := extra.get("refused"):
                self._report.add(at, here, found=quoted(key), expected=refused)
                continue
            if extra.get("later"):
                self.later.append((at, key))
            values[fields[key].name] = self._value(fields[key].type, value, here, {})
        for name, f in fields.items():
            if f.required and name not in node.entries and not self._report.has((*path, name)):
                self._report.add(
                    self.spots[path],
                    (*path, name),
                    found="nothing",
                    expected=_extra(f.type).get("expected") or _words(f.type),
                )
            if f.required and f.name not in values:
                values[f.name] = _blank(f.type)
        return kind.cls(**values)

    def _unknown(self, at: Spot, path: Trail, usable: list[str]) -> None:
        key = str(path[-1])
        hint = self._report.hint(key, usable)
        expected = "one of " + ", ".join(map(quoted, usable))
        self._report.add(at, path, found=f"the unknown key {quoted(key)}", expected=expected, hint=hint)
        if hint:
            self._report.excuse((*path[:-1], hint))

    def _hint(self, kind: inspect.Type, node: Node) -> str | None:
        kind = _bare(kind)
        if not isinstance(node, Scalar) or not isinstance(kind, inspect.LiteralType | inspect.EnumType):
            return None
        close = self._report.hint(node.text, [str(choice) for choice in _choices(kind)])
        return close if close != node.text else None

    def _dict(self, kind: inspect.DictType, node: Mapping, path: Trail) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, (at, value) in node.entries.items():
            here = (*path, key)
            self.spots[here] = value.at if isinstance(value, Scalar) else at
            name = Scalar(key, "text", at)
            try:
                known = cast("str", _scalar(_bare(kind.key_type), name, _extra(kind.key_type)))
            except MisfitError as unfit:
                hint = self._hint(kind.key_type, name)
                self._report.add(at, here, found=quoted(key), expected=unfit.expected, hint=hint)
                known = key
            result[known] = self._value(kind.value_type, value, here, {})
        return result

    def _tuple(self, kind: inspect.VarTupleType, node: Items, path: Trail, extra: dict[str, Any]) -> object:
        if len(node.items) < (kind.min_length or 0):
            expected = extra.get("expected") or f"at least {kind.min_length} item"
            self._report.add(self.spots[path], path, found="an empty list", expected=expected)
        result: list[object] = []
        for index, item in enumerate(node.items):
            here = (*path, index)
            self.spots[here] = item.at
            result.append(self._value(kind.item_type, item, here, {}))
        return tuple(result)


def _extra(kind: inspect.Type) -> dict[str, Any]:
    if isinstance(kind, inspect.Metadata):
        return cast("dict[str, Any]", kind.extra or {})  # pyright: ignore[reportUnknownMemberType] # a bare dict there
    return {}


def _bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _member(kind: inspect.UnionType, node: Node) -> inspect.Type:
    """The alternative a node can only be meant as: mappings go to Structs, the rest to the scalar."""
    for member in _members(kind):
        if isinstance(_bare(member), inspect.StructType | inspect.DictType) == isinstance(node, Mapping):
            return member
    return _members(kind)[0]


def _members(kind: inspect.UnionType) -> list[inspect.Type]:
    return [member for member in kind.types if not isinstance(member, inspect.NoneType)]


def _scalar(kind: inspect.Type, node: Scalar, extra: dict[str, Any]) -> object:
    expected = str(extra.get("expected") or _words(kind))
    if isinstance(kind, inspect.StrType):
        return _text(kind, node, expected)
    if isinstance(kind, inspect.IntType):
        return _integer(kind, node, expected)
    if isinstance(kind, inspect.BoolType) and node.kind == "bool":
        return node.text.lower() in _TRUE
    if isinstance(kind, inspect.LiteralType | inspect.EnumType):
        for choice in _choices(kind):
            if str(choice) == node.text and (node.kind == "int") == (type(choice) is int):
                return choice
    if isinstance(kind, inspect.DateType) and node.kind in ("date", "text"):
        try:
            return date.fromisoformat(node.text)
        except ValueError:
            raise MisfitError(expected) from None
    if isinstance(kind, inspect.CustomType) and isinstance(kind.cls, Readable) and node.kind != "null":
        return kind.cls.read(node.text)
    raise MisfitError(expected)


def _text(kind: inspect.StrType, node: Scalar, expected: str) -> str:
    if node.kind != "text":
        raise MisfitError(expected if node.kind == "null" else f"{expected} (in quotes)")
    if len(node.text) < (kind.min_length or 0) or len(node.text) > (kind.max_length or len(node.text)):
        raise MisfitError(expected)
    if kind.pattern is not None and not re.fullmatch(kind.pattern, node.text):
        raise MisfitError(expected)
    return node.text


def _integer(kind: inspect.IntType, node: Scalar, expected: str) -> int:
    if node.kind != "int" or not _INT.fullmatch(node.text):
        raise MisfitError(expected)
    value = int(node.text)
    if (kind.ge is not None and value < kind.ge) or (kind.le is not None and value > kind.le):
        raise MisfitError(expected)
    return value


def _choices(kind: inspect.LiteralType | inspect.EnumType) -> list[object]:
    if isinstance(kind, inspect.LiteralType):
        return list(kind.values)
    return list(cast("list[object]", list(kind.cls)))


def _words(kind: inspect.Type) -> str:
    """A type as a person would ask for it."""
    match kind:
        case inspect.Metadata():
            return str(_extra(kind).get("expected") or _words(kind.type))
        case inspect.UnionType():
            return " or ".join(map(_words, _members(kind)))
        case inspect.StructType():
            keys = [f.encode_name for f in kind.fields if "refused" not in _extra(f.type)]
            return f"a mapping with {', '.join(map(quoted, keys))}"
        case inspect.DictType():
            return "a mapping"
        case inspect.VarTupleType():
            return "a list"
        case inspect.LiteralType() | inspect.EnumType():
            choices = [quoted(str(choice)) for choice in _choices(kind)]
            return choices[0] if len(choices) == 1 else "one of " + ", ".join(choices)
        case inspect.IntType():
            if kind.le is not None:
                return f"a whole number from {kind.ge or 0} to {kind.le}"
            return f"a whole number, {kind.ge} or more" if kind.ge is not None else "a whole number"
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.DateType():
            return "a date such as `2026-11-21`"
        case inspect.CustomType():
            return cast("type[Readable]", kind.cls).expected
        case _:
            return "text"


def _blank(kind: inspect.Type) -> object:
    """Something of the right type to go on with, once a misfit is reported and the result is lost anyway."""
    kind = _bare(kind)
    match kind:
        case inspect.StructType():
            required = {f.name: _blank(f.type) for f in kind.fields if f.required}
            return kind.cls(**required)
        case inspect.DictType():
            return {}
        case inspect.VarTupleType():
            return ()
        case inspect.LiteralType() | inspect.EnumType():
            return _choices(kind)[0]
        case inspect.BoolType():
            return False
        case inspect.IntType():
            return 0
        case inspect.StrType():
            return ""
        case _:
            return UNSET
