"""What clients of embeddings send."""

import pytest

from gateway.dialects.embeddings import Embeddings
from inference.ir.errors import BadRequest, InvalidField

DIALECT = Embeddings()


def test_every_form_of_text_is_taken() -> None:
    for form in (b'"a"', b'["a"]', b"[1,2]", b"[[1]]"):
        assert DIALECT.decode(b'{"model":"m","input":' + form + b"}").prompt == form
    for form in (b"1", b"{}", b"null"):
        with pytest.raises(InvalidField):
            DIALECT.decode(b'{"model":"m","input":' + form + b"}")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"m","input":["\xff"]}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        DIALECT.decode(body)


@pytest.mark.parametrize(
    ("word", "purpose"),
    [
        ("search_document", "document"),
        ("RETRIEVAL_QUERY", "query"),
        ("passage", "document"),
        ("code", "code"),
    ],
)
def test_everybodys_words_for_what_vectors_are_for(word: str, purpose: str) -> None:
    asked = DIALECT.parse(b'{"model":"m","input":"a","input_type":"' + word.encode() + b'"}')
    assert asked.input_type == purpose


@pytest.mark.parametrize(
    ("fields", "truncate"),
    [
        (b'"truncation":true', "end"),
        (b'"truncation":false', "none"),
        (b'"truncate":"START"', "start"),
        (b'"x":1', None),
    ],
)
def test_everybodys_words_for_what_is_too_long(fields: bytes, truncate: str | None) -> None:
    assert DIALECT.parse(b'{"model":"m","input":"a",' + fields + b"}").truncate == truncate


def test_inputs_read_whole() -> None:
    def inputs(given: bytes) -> object:
        return DIALECT.parse(b'{"model":"m","input":' + given + b"}").inputs

    assert inputs(b'"a"') == ("a",)
    assert inputs(b"[1,2]") == ((1, 2),)
    assert inputs(b'[[1],"b"]') == ((1,), "b")
    assert inputs(b'[{"content":[{"type":"text","text":"a"}]}]') == ("a",)
