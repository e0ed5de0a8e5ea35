"""Bodies in OpenAPI: what their types cannot say. Raw fields are read by dialects; strict ones refuse unknown fields.

Refuses to describe answers.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec
from litestar import Litestar

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
_SOME: Schema = {**_OBJECTS, "minItems": 1}
_TOOLS: Schema = {"anyOf": [_OBJECTS, {"type": "null"}]}
_TEXT_OR_OBJECTS: Schema = {"anyOf": [_TEXT, _OBJECTS]}
_PROMPT: Schema = {
    "anyOf": [
        _TEXT,
        {"type": "array", "items": _TEXT, "minItems": 1},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}, "minItems": 1},
    ]
}
RAW: Mapping[str, Mapping[str, Schema]] = {
    "ChatBody": {"messages": _SOME, "tools": _TOOLS, "functions": _TOOLS},
    "CompletionBody": {"prompt": _PROMPT},
    "EmbeddingBody": {
        "input": {"anyOf": [*_PROMPT["anyOf"], _SOME]},
    },
    "MessagesBody": {"messages": _SOME, "tools": _TOOLS, "system": _TEXT_OR_OBJECTS},
    "ResponseBody": {"input": _TEXT_OR_OBJECTS, "tools": _TOOLS},
    "ModerationBody": {
        "input": {
            "anyOf": [
                _TEXT,
                {"type": "array", "items": {"anyOf": [_TEXT, {"type": "object"}]}, "minItems": 1},
            ]
        }
    },
    "RerankBody": {
        "query": _TEXT,
        "documents": {"type": "array", "items": {"anyOf": [_TEXT, {"type": "object"}]}, "minItems": 1},
    },
}
"""By body and field: what is taken, as far as its first level shows."""
_NAME: Schema = {"minLength": 1, "maxLength": 64, "pattern": r"[^\s/]"}
"""What `gateway.database.validity.name` insists on, as far as one pattern says it."""
_NAMED = frozenset(
    ("KeyCreate", "KeyPatch", "TeamCreate", "TeamPatch", "OrganisationCreate", "OrganisationPatch")
)


def describe_raw(schemas: dict[str, Schema]) -> None:
    """Give raw fields the types they have."""
    for body, fields in RAW.items():
        for field, schema in fields.items():
            old = schemas[body]["properties"][field]
            schemas[body]["properties"][field] = {**old, **schema}


def describe_strict(schemas: dict[str, Schema], app: Litestar) -> None:
    """Say of every body that refuses unknown fields that it does, and how long a name may be."""
    for kind in _bodies(app):
        schema = schemas.get(kind.cls.__name__)
        if schema is None or not kind.cls.__struct_config__.forbid_unknown_fields:
            continue
        schema["additionalProperties"] = False
        name = schema.get("properties", {}).get("name")
        if name is not None and kind.cls.__name__ in _NAMED:
            name.update(_NAME)


def _bodies(app: Litestar) -> Iterator[msgspec.inspect.StructType]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            field = getattr(handler, "parsed_data_field", None)
            if field is not None:
                yield from structs(msgspec.inspect.type_info(field.annotation), set())


def structs(kind: object, seen: set[type]) -> Iterator[msgspec.inspect.StructType]:
    """Every struct within a type, each once."""
    if isinstance(kind, msgspec.inspect.StructType):
        if kind.cls in seen:
            return
        seen.add(kind.cls)
        yield kind
        for field in kind.fields:
            yield from structs(field.type, seen)
    for name in ("type", "types", "item_type", "item_types", "value_type"):
        inner: Any = getattr(kind, name, ())
        for one in cast("tuple[object, ...]", inner if isinstance(inner, tuple) else (inner,)):
            if isinstance(one, msgspec.inspect.Type):
                yield from structs(one, seen)
