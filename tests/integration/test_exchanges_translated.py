"""Embeddings, rankings and moderations over real sockets: what is sent, answered and billed."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.exchange_world import JUDGED, VECTORS, ExchangeWorld, exchange_world, packed
from tests.harness import UPSTREAM_KEY, GatewayProcess, VirtualKey

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
DOCUMENTS: list[Any] = ["Berlin is in Germany.", {"text": "Paris is in France.", "page": 3}]


@pytest.fixture(scope="module")
def world(gateway: GatewayProcess) -> Iterator[ExchangeWorld]:
    with exchange_world(gateway) as opened:
        yield opened


@pytest.fixture
def ask(gateway: GatewayProcess, key: VirtualKey) -> Any:
    def post(path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        return gateway.http.post(f"{gateway.url}{path}", json=body, headers={**key.bearer, **headers})

    return post


def param_of(answer: httpx.Response) -> tuple[int, str | None, str]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


# embeddings


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize("provider", ["cohere", "voyage"])
def test_embeddings_of_another_format(world: ExchangeWorld, ask: Any, encoding: str, provider: str) -> None:
    model = world.cohere_embed if provider == "cohere" else world.voyage_embed
    answer = ask("/v1/embeddings", {"model": model, "input": ["a", "b"], "encoding_format": encoding})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    expected = VECTORS if encoding == "float" else [packed(vector) for vector in VECTORS]
    assert [item["embedding"] for item in told["data"]] == expected
    assert [item["index"] for item in told["data"]] == [0, 1]
    tokens = 7 if provider == "cohere" else 6
    assert told["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert "x-aspendos-dropped" not in answer.headers
    assert world.last().headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert answer.headers["content-type"] == "application/json"


def test_what_cohere_and_voyage_are_told(world: ExchangeWorld, ask: Any) -> None:
    body = {"input": "a", "dimensions": 256, "input_type": "query", "truncate": "END"}
    assert ask("/v1/embeddings", {"model": world.cohere_embed, **body}).status_code == 200
    assert world.last().body == {
        "model": "embed-v4.0",
        "texts": ["a"],
        "input_type": "search_query",
        "embedding_types": ["float"],
        "output_dimension": 256,
        "truncate": "END",
    }
    assert ask("/v1/embeddings", {"model": world.voyage_embed, **body}).status_code == 200
    assert world.last().body == {
        "model": "voyage-4",
        "input": ["a"],
        "input_type": "query",
        "output_dimension": 256,
        "truncation": True,
    }


def test_pictures_go_to_cohere_beside_text(world: ExchangeWorld, ask: Any) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    mixed = {"content": [{"type": "text", "text": "a hat"}, picture]}
    answer = ask("/v1/embeddings", {"model": world.cohere_embed, "input": ["a", mixed]})
    assert answer.status_code == 200, answer.text
    assert world.last().body["inputs"] == [{"content": [{"type": "text", "text": "a"}]}, mixed]


def test_the_record_of_a_translated_exchange(world: ExchangeWorld, ask: Any, key: VirtualKey) -> None:
    ask("/v1/embeddings", {"model": world.cohere_embed, "input": ["a", "b"]})
    record = world.gateway.record(key)
    assert (record.input_tokens, record.output_tokens, record.cost_nano) == (7, 0, 7_000)
    assert (record.route, record.usage_source) == ("embeddings", "reported")


def test_fields_nobody_can_carry_are_named_or_refused(world: ExchangeWorld, ask: Any) -> None:
    body = {"model": world.voyage_embed, "input": "a", "user": "u1", "input_type": "clustering", "odd": 1}
    answer = ask("/v1/embeddings", body)
    assert answer.status_code == 200
    assert answer.headers["x-aspendos-dropped"] == "input_type, user, odd"
    strict = ask("/v1/embeddings", body, **{"x-aspendos-strict": "1"})
    assert param_of(strict) == (400, "input_type", "not_translatable")
    assert len([each for each in world.sent if each.body.get("input") == ["a"] and "odd" in each.body]) == 0


BAD_INPUTS: list[tuple[Any, str, str]] = [
    ([1, 2, 3], "input[0]", "not_translatable"),
    (["a", [4, 5]], "input[1]", "not_translatable"),
    ([], "input", "invalid_value"),
    (["a", ""], "input[1]", "invalid_value"),
    (["a", 7], "input[1]", "invalid_value"),
    (["a", True], "input[1]", "invalid_value"),
    ([{"content": []}], "input[0].content", "invalid_value"),
    ([{"content": [{"type": "smell"}]}], "input[0].content[0].type", "invalid_value"),
    (
        [{"content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}],
        "input[0].content[0].image_url.url",
        "invalid_value",
    ),
]


@pytest.mark.parametrize(("input_", "param", "code"), BAD_INPUTS)
def test_inputs_that_cannot_be_embedded(
    world: ExchangeWorld, ask: Any, input_: object, param: str, code: str
) -> None:
    before = len(world.sent)
    answer = ask("/v1/embeddings", {"model": world.cohere_embed, "input": input_})
    assert param_of(answer) == (400, param, code)
    assert len(world.sent) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [("dimensions", 0), ("encoding_format", "hex"), ("input_type", "x"), ("truncate", "y")],
)
def test_fields_with_wrong_values(world: ExchangeWorld, ask: Any, field: str, value: object) -> None:
    answer = ask("/v1/embeddings", {"model": world.voyage_embed, "input": "a", field: value})
    assert param_of(answer) == (400, field, "invalid_value")


@pytest.mark.parametrize("body", [b"{", b'{"embeddings": 3}', b'{"embeddings": {"float": [[1.0]]}}', b"[]"])
def test_an_answer_that_is_none(world: ExchangeWorld, ask: Any, key: VirtualKey, body: bytes) -> None:
    """Garbage, or fewer vectors than inputs: the client is told, and pays nothing."""
    world.broken["/cohere/v2/embed"] = (200, body)
    try:
        answer = ask("/v1/embeddings", {"model": world.cohere_embed, "input": ["a", "b"]})
    finally:
        world.broken.clear()
    assert param_of(answer) == (502, None, "upstream_garbled")
    assert world.gateway.record(key).cost_nano == 0


def test_an_answer_that_does_not_fit_is_not_packed(world: ExchangeWorld, ask: Any) -> None:
    world.broken["/cohere/v2/embed"] = (200, {"embeddings": {"float": [["x"]]}})
    try:
        answer = ask(
            "/v1/embeddings", {"model": world.cohere_embed, "input": ["a"], "encoding_format": "base64"}
        )
    finally:
        world.broken.clear()
    assert param_of(answer) == (502, None, "upstream_garbled")


def test_a_refusal_comes_in_openais_words(world: ExchangeWorld, ask: Any) -> None:
    world.broken["/cohere/v2/embed"] = (422, {"id": "x", "message": "too many texts"})
    try:
        answer = ask("/v1/embeddings", {"model": world.cohere_embed, "input": "a"})
    finally:
        world.broken.clear()
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "too many texts"


# rankings


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
@pytest.mark.parametrize("provider", ["cohere", "voyage"])
def test_rankings(world: ExchangeWorld, ask: Any, key: VirtualKey, path: str, provider: str) -> None:
    model = world.cohere_rerank if provider == "cohere" else world.voyage_rerank
    body = {"model": model, "query": "Where is Paris?", "documents": DOCUMENTS, "return_documents": True}
    answer = ask(path, {**body, "max_tokens_per_doc": 100})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["results"] == [
        {"index": 1, "relevance_score": 0.9, "document": DOCUMENTS[1]},
        {"index": 0, "relevance_score": 0.2, "document": {"text": DOCUMENTS[0]}},
    ]
    sent = world.last().body
    assert sent["documents"] == ["Berlin is in Germany.", "Paris is in France."]
    if provider == "cohere":
        assert told["meta"]["billed_units"] == {"search_units": 1}
        assert sent["max_tokens_per_doc"] == 100
        assert "return_documents" not in sent
    else:
        assert told["usage"]["total_tokens"] == 43
        assert answer.headers["x-aspendos-dropped"] == "max_tokens_per_doc"
    record = world.gateway.record(key)
    assert record.route == "rerank"
    assert record.cost_nano == (2_000_000 if provider == "cohere" else 43_000)


def test_only_the_best(world: ExchangeWorld, ask: Any) -> None:
    for model, name in ((world.cohere_rerank, "top_n"), (world.voyage_rerank, "top_k")):
        answer = ask("/v1/rerank", {"model": model, "query": "q", "documents": ["a", "b"], "top_n": 1})
        assert [each["index"] for each in answer.json()["results"]] == [1]
        assert world.last().body[name] == 1
        assert "document" not in answer.json()["results"][0]


def test_a_worker_that_speaks_the_shape_itself_is_passed_on_to(
    world: ExchangeWorld, ask: Any, key: VirtualKey
) -> None:
    """Nothing is translated: a field only that server knows arrives, its own answer comes back, tokens are billed."""
    body = {"model": world.vllm_rerank, "query": "q", "documents": ["a", "b"], "truncate_prompt_tokens": 5}
    answer = ask("/v1/rerank", {**body, "aspendos": {"tags": {"project": "atlas"}}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"][0]["document"] == {"text": "b"}
    assert world.last().body == {**body, "model": "bge-reranker"}
    record = world.gateway.record(key)
    assert (record.input_tokens, record.cost_nano) == (11, 11_000)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": ["a", 3]}, "documents[1]"),
        ({"documents": [{"title": "no text"}]}, "documents[0].text"),
        ({"documents": [{"text": 3}]}, "documents[0].text"),
        ({"query": ""}, "query"),
        ({"query": 5}, "query"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": "x"}, "top_n"),
    ],
)
def test_rankings_that_cannot_be_made(
    world: ExchangeWorld, ask: Any, change: dict[str, Any], param: str
) -> None:
    body = {"model": world.cohere_rerank, "query": "q", "documents": ["a"]}
    assert param_of(ask("/v2/rerank", {**body, **change}))[:2] == (400, param)


def test_a_rank_of_a_document_that_was_never_sent(world: ExchangeWorld, ask: Any) -> None:
    world.broken["/cohere/v2/rerank"] = (200, {"results": [{"index": 7, "relevance_score": 0.1}]})
    try:
        answer = ask("/v1/rerank", {"model": world.cohere_rerank, "query": "q", "documents": ["a"]})
    finally:
        world.broken.clear()
    assert param_of(answer) == (502, None, "upstream_garbled")


def test_a_provider_that_ranks_nothing(world: ExchangeWorld, ask: Any) -> None:
    answer = ask("/v1/rerank", {"model": world.lost, "query": "q", "documents": ["a"]})
    assert param_of(answer) == (400, "model", "route_not_served")
    kind = ask("/v1/rerank", {"model": world.cohere_embed, "query": "q", "documents": ["a"]})
    assert param_of(kind) == (400, "model", "wrong_model_kind")


# moderations


def test_moderations(world: ExchangeWorld, ask: Any, key: VirtualKey) -> None:
    answer = ask("/v1/moderations", {"model": world.moderation, "input": ["a", "b"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"] == [JUDGED, JUDGED]
    assert world.last().body == {"model": "omni-moderation-latest", "input": ["a", "b"]}
    record = world.gateway.record(key)
    assert (record.route, record.usage_source) == ("moderations", "counted")


def test_moderations_without_a_model_ask_for_openais(ask: Any) -> None:
    status, param, code = param_of(ask("/v1/moderations", {"input": "a"}))
    assert (status, param, code) == (404, "model", "model_not_found")
    assert param_of(ask("/v1/moderations", {"input": 3}))[:2] == (400, "input")


def test_the_document_names_the_routes(gateway: GatewayProcess) -> None:
    paths = json.loads(gateway.http.get(f"{gateway.url}/schema").content)["paths"]
    for path in ("/v1/rerank", "/v2/rerank", "/v1/moderations"):
        assert {"virtualKey": []} in paths[path]["post"]["security"]
