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
