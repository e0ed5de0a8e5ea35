"""What clients of rankings send, and get of a target that speaks another format."""

import json

import pytest

from gateway.dialects.dialect import Setting
from gateway.dialects.rerank import Rerank
from inference.ir.errors import BadRequest, InvalidField
from inference.ir.rerank import Ranked, RerankResult
from inference.ir.usage import Usage, UsageSource

DIALECT = Rerank()
SETTING = Setting(id="req-1", model="asked", created=0)
BODY = {"model": "m", "query": "q", "documents": ["a", {"text": "b", "page": 1}]}


def test_what_is_counted_is_the_question_and_the_documents() -> None:
    request = DIALECT.decode(json.dumps({**BODY, "aspendos": {"tags": {"a": "b"}}}).encode())
    assert request.prompt == b'"q"["a", {"text": "b", "page": 1}]'
    assert request.tags == {"a": "b"}
    assert request.hints


def test_voyages_word_for_how_many_and_fields_of_others() -> None:
    asked = DIALECT.parse(json.dumps({**BODY, "top_k": 1, "priority": 2}).encode())
    assert asked.top_n == 1
    assert list(asked.rest) == ["priority"]
    with pytest.raises(InvalidField) as refused:
        DIALECT.parse(json.dumps({**BODY, "top_k": 0}).encode())
    assert refused.value.param == "top_k"


def test_documents_come_back_only_where_asked_for_and_as_they_were() -> None:
    result = RerankResult(
        results=(Ranked(index=1, score=0.5),), usage=Usage(input_tokens=4, source=UsageSource.REPORTED)
    )
    for wanted in (True, False):
        asked = DIALECT.parse(json.dumps({**BODY, "return_documents": wanted}).encode())
        answer = json.loads(DIALECT.answer(result, asked, SETTING).body)
        (only,) = answer["results"]
        assert only.get("document") == (BODY["documents"][1] if wanted else None)
        assert answer["id"] == "req-1"
        assert answer["usage"]["total_tokens"] == answer["meta"]["billed_units"]["input_tokens"] == 4


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model":"m","query":"q","documents":["\xff"]}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        DIALECT.decode(body)
