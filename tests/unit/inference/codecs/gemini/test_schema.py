import msgspec
from msgspec import Raw

from inference.codecs.gemini.schema import json_schema


def told(schema: object) -> object:
    return msgspec.json.decode(json_schema(Raw(msgspec.json.encode(schema))))


def test_types_become_small_and_nullable_becomes_a_type() -> None:
    given = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "minLength": "3"},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "max_items": "2"},
            "either": {"any_of": [{"type": "NUMBER"}], "nullable": True},
        },
        "required": ["type"],
        "propertyOrdering": ["type"],
    }
    assert told(given) == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "minLength": 3},
            "list": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
            "either": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        },
        "required": ["type"],
    }
    assert told(True) is True
