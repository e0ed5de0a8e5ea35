"""Cohere's official SDK for Python pointed at the gateway: rankings, by providers it has never heard of."""

from collections.abc import Iterator

import cohere
import pytest

from tests.exchange_world import ExchangeWorld, exchange_world
from tests.harness import GatewayProcess, VirtualKey

DOCUMENTS = ["Berlin is in Germany.", "Paris is in France."]


@pytest.fixture(scope="module")
def world(gateway: GatewayProcess) -> Iterator[ExchangeWorld]:
    with exchange_world(gateway) as opened:
        yield opened


@pytest.mark.parametrize("model", ["cohere_rerank", "voyage_rerank", "vllm_rerank"])
def test_rerank(world: ExchangeWorld, gateway: GatewayProcess, key: VirtualKey, model: str) -> None:
    with cohere.ClientV2(api_key=key.text, base_url=gateway.url, timeout=15) as client:
        answer = client.rerank(model=getattr(world, model), query="Where is Paris?", documents=DOCUMENTS)
    assert [(each.index, each.relevance_score) for each in answer.results] == [(1, 0.9), (0, 0.2)]
    if model == "cohere_rerank":
        assert answer.meta is not None
        assert answer.meta.billed_units is not None
        assert answer.meta.billed_units.search_units == 1
        assert answer.id == "rank-1"


def test_rerank_of_the_first_version_gives_documents_back(
    world: ExchangeWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    with cohere.Client(api_key=key.text, base_url=gateway.url, timeout=15) as client:
        answer = client.rerank(
            model=world.cohere_rerank, query="q", documents=DOCUMENTS, top_n=1, return_documents=True
        )
    assert answer.results[0].document is not None
    assert answer.results[0].document.text == DOCUMENTS[1]
    assert len(answer.results) == 1
    assert world.last().path.endswith("/v2/rerank")


def test_the_sdk_raises_its_own_errors(
    world: ExchangeWorld, gateway: GatewayProcess, key: VirtualKey
) -> None:
    with cohere.ClientV2(api_key=key.text, base_url=gateway.url, timeout=15) as client:
        with pytest.raises(cohere.NotFoundError):
            client.rerank(model="nobody", query="q", documents=DOCUMENTS)
        with pytest.raises(cohere.BadRequestError) as refused:
            client.rerank(model=world.cohere_rerank, query="q", documents=[])
    assert refused.value.body["error"]["param"] == "documents"
    stranger = cohere.ClientV2(api_key="ask-nobody", base_url=gateway.url, timeout=15)
    with stranger, pytest.raises(cohere.UnauthorizedError):
        stranger.rerank(model=world.cohere_rerank, query="q", documents=DOCUMENTS)
