"""The lane of rankings: what it changes of a request, what it reads of an answer."""

import json

import pytest

from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import UsageSource
from inference.providers.cohere.rerank import rerank_lane
from inference.wire import Original

LANE = rerank_lane("/v1/rerank")
BODY = b'{"model": "m", "query": "q",  "documents": ["a"], "aspendos": {"tags": ["x"]}, "odd": 1.50}'


def test_bytes_are_the_clients_own_unless_something_has_to_change() -> None:
    assert LANE.request(Original(body=BODY, model="m", stream=False), "m") is BODY
    patched = LANE.request(Original(body=BODY, model="m", stream=False, hints=True), "other")
    assert b"1.50" in patched
    assert json.loads(patched) == {"model": "other", "query": "q", "documents": ["a"], "odd": 1.5}


def test_usage_by_tokens_or_by_searches() -> None:
    ranked = {"results": [{"index": 0, "relevance_score": 0.5}]}
    tokens = LANE.completion(json.dumps({**ranked, "usage": {"total_tokens": 9}}).encode()).usage
    assert (tokens.input_tokens, tokens.source) == (9, UsageSource.REPORTED)
    meta = {"billed_units": {"search_units": 1}}
    assert LANE.completion(json.dumps({**ranked, "meta": meta}).encode()).usage.searches == 1
    assert LANE.completion(json.dumps(ranked).encode()).usage.source is UsageSource.NONE
    with pytest.raises(UpstreamGarbled):
        LANE.completion(b'{"data": []}')
