"""Schemas: Gemini's own dialect of OpenAPI into JSON schema. Pure.

Types are written in capitals there, `nullable` is a field of its own, lengths may be texts.
(https://ai.google.dev/api/caching#Schema)
"""

from typing import Any, cast

import msgspec
from msgspec import Raw

_RENAMED = {
    "anyOf": "anyOf",
    "any_of": "anyOf",
    "maxItems": "maxItems",
    "max_items": "maxItems",
    "minItems": "minItems",
    "min_items": "minItems",
    "maxLength": "maxLength",
    "max_length": "maxLength",
    "minLength": "minLength",
    "min_length": "minLength",
    "maxProperties": "maxProperties",
    "max_properties": "maxProperties",
    "minProperties": "minProperties",
    "min_properties": "minProperties",
}
_FIGURES = frozenset(name for name in _RENAMED.values() if name != "anyOf")
_LEFT_OUT = frozenset({"nullable", "propertyOrdering", "property_ordering", "example"})
_anything = msgspec.json.Decoder()


def json_schema(schema: Raw) -> Raw:
    """The JSON schema that says the same; what is no object is given back as it is."""
    decoded: Any = _anything.decode(schema)
    return Raw(msgspec.json.encode(_told(decoded))) if isinstance(decoded, dict) else schema


def _told(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    given = cast(dict[str, Any], schema)
    told: dict[str, Any] = {}
    for key, value in given.items():
        name = _RENAMED.get(key, key)
        if key in _LEFT_OUT:
            continue
        if name == "type" and isinstance(value, str):
            told[name] = value.lower()
        elif name == "properties" and isinstance(value, dict):
            told[name] = {each: _told(inner) for each, inner in cast(dict[str, Any], value).items()}
        elif name == "items":
            told[name] = _told(value)
        elif name == "anyOf" and isinstance(value, list):
            told[name] = [_told(each) for each in cast(list[Any], value)]
        elif name in _FIGURES and isinstance(value, str) and value.isdigit():
            told[name] = int(value)
        else:
            told[name] = value
    return _nullable(told) if given.get("nullable") is True else told


def _nullable(told: dict[str, Any]) -> dict[str, Any]:
    kind = told.get("type")
    if isinstance(kind, str):
        told["type"] = [kind, "null"]
    elif isinstance(told.get("anyOf"), list):
        told["anyOf"].append({"type": "null"})
    return told
