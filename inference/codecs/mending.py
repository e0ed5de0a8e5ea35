"""Mending: JSON that is not quite of the shape it should have, read as far as it is. Pure.

For what upstreams send: one field of an unexpected type, or a null where a number belongs, must not cost a client the
answer around it. Never for what clients send: they are told their mistakes. Only what a decoder has refused comes here,
so that it may cost what it costs.
"""

from collections.abc import Set
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from msgspec import Raw, Struct

NOTHING: frozenset[str] = frozenset()
_Kind = TypeVar("_Kind", bound=Struct)
_fields = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])


class Misfit(msgspec.ValidationError):
    """A field without which the rest has no meaning is not what it has to be."""


def mended(data: bytes | Raw, kind: type[_Kind], needed: Set[str] = NOTHING) -> _Kind:
    """The struct without the fields that do not fit; a null counts as not said. What is raw stays as it came.

    `needed` are names of fields, at any depth, that may be absent but must fit if they are there. Raises
    msgspec.DecodeError for what is no JSON object, lacks a field that has no default, or misfits a needed one.
    """
    try:
        return _struct(_fields.decode(data), kind, needed)
    except RecursionError:
        raise msgspec.DecodeError("nested too deeply") from None


def _struct(fields: dict[str, Raw], kind: type[_Kind], needed: Set[str]) -> _Kind:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        raw = fields.get(field.encode_name)
        if raw is None or bytes(raw) == b"null":
            continue
        try:
            found[field.name] = _value(raw, field.type, needed)
        except Misfit:
            raise
        except msgspec.DecodeError as error:
            if field.encode_name in needed:
                raise Misfit(str(error)) from None
    try:
        return kind(**found)
    except TypeError as error:
        raise msgspec.ValidationError(str(error)) from None


def _value(raw: Raw, expected: Any, needed: Set[str]) -> Any:
    """One field's value, mended further in where it holds structs."""
    if expected is Raw:
        return raw.copy()
    try:
        return msgspec.json.decode(raw, type=expected)
    except msgspec.DecodeError:
        inner = next((each for each in (expected, *get_args(expected)) if _holds_structs(each)), None)
        if inner is None:
            return msgspec.json.decode(raw, type=expected, strict=False)
    if _is_struct(inner):
        return _struct(_fields.decode(raw), inner, needed)
    (kind,) = get_args(inner)
    return [
        _struct(_fields.decode(each), kind, needed) for each in _list.decode(raw) if bytes(each) != b"null"
    ]


def _holds_structs(expected: Any) -> bool:
    return _is_struct(expected) or (get_origin(expected) is list and _is_struct(get_args(expected)[0]))


def _is_struct(expected: Any) -> bool:
    return isinstance(expected, type) and issubclass(expected, Struct)
