"""One-level bodies: what is not understood survives; what is wrong is explained with its place."""

import json

import msgspec
import pytest

from inference.codecs.body import (
    check_text,
    decode_fields,
    decoded,
    encode_fields,
    explain,
    other_fields,
    raw,
    renamed,
)
from inference.ir.errors import BadRequest, InvalidField, InvalidJSON

BODY = (
    b'{"model":"a", "messages": [ {"role":"user","content":"\\u00e9 \xf0\x9f\x8e\x88"} ], '
    b'"x": 1.50, "y":{"z":[null]}}'
)


def test_unknown_fields_survive_byte_for_byte() -> None:
    fields = decode_fields(BODY)
    fields["model"] = raw("b")
    patched = encode_fields(fields)
    assert b'[ {"role":"user","content":"\\u00e9 \xf0\x9f\x8e\x88"} ]' in patched
    assert b"1.50" in patched
    assert json.loads(patched) == {**json.loads(BODY), "model": "b"}


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"", BadRequest, "is empty"),
        (b"  \n", BadRequest, "is empty"),
        (b'{"a": 1,\n "b": tru}', InvalidJSON, "line 2, column"),
        (b'{"a": 1', InvalidJSON, "truncated"),
        (b'{"a": "\\ud800"}', InvalidJSON, r"`\ud800` is half of a surrogate pair"),
        (b'{"a": "\\ud83d\\ude00\\udc00"}', InvalidJSON, "line 1, column 20"),
        (b"[1]", InvalidField, "must be a JSON object"),
        (b"nope", InvalidJSON, "line 1, column"),
        (b'{"a": "\xff"}', InvalidJSON, "not UTF-8 at byte 7"),
    ],
)
def test_what_is_wrong_and_where(body: bytes, kind: type[BadRequest], says: str) -> None:
    with pytest.raises(kind) as caught:
        check_text(body)
        decode_fields(body)
    assert says in caught.value.message


class Typed(msgspec.Struct):
    model: str
    inner: dict[str, int] = {}


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        (b'{"model": 5}', "model", "expected a string, got an integer"),
        (b"{}", "model", "Missing required field `model`"),
        (b'{"model": "a", "inner": {"b": "c"}}', "inner[...]", "expected an integer, got a string"),
    ],
)
def test_wrong_types_name_the_field(body: bytes, param: str, says: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=Typed)
    error = explain(body, caught.value)
    assert isinstance(error, InvalidField)
    assert error.param == param
    assert says in error.message


def test_a_body_under_another_name_is_the_same_body_where_nothing_changes() -> None:
    body = b'{ "model": "a", "x": 1.50, "aspendos": {} }'
    assert renamed(body, asked="a", model="a", hints=False) is body
    assert renamed(body, asked="a", model="b", hints=False) == b'{"model":"b","x":1.50}'
    assert renamed(body, asked="a", model="a", hints=True) == b'{"model":"a","x":1.50}'


def test_a_body_in_its_type_and_what_else_it_says() -> None:
    body = b'{"model": "a", "more": [1.0]}'
    assert decoded(msgspec.json.Decoder(Typed), body) == Typed(model="a")
    assert {name: bytes(value) for name, value in other_fields(body, {"model"}).items()} == {"more": b"[1.0]"}
    with pytest.raises(InvalidField) as caught:
        decoded(msgspec.json.Decoder(Typed), b'{"model": 5}')
    assert caught.value.param == "model"
