"""The official OpenAI SDK for Python: embeddings by providers of other formats, and moderations."""

from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from tests.exchange_world import VECTORS, ExchangeWorld, exchange_world
from tests.harness import GatewayProcess, VirtualKey


@pytest.fixture(scope="module")
def world(gateway: GatewayProcess) -> Iterator[ExchangeWorld]:
    with exchange_world(gateway) as opened:
        yield opened


@pytest.fixture
def client(gateway: GatewayProcess, key: VirtualKey) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


@pytest.mark.parametrize("model", ["cohere_embed", "voyage_embed", "openai_embed"])
def test_embeddings(client: OpenAI, world: ExchangeWorld, model: str) -> None:
    """The SDK asks for base64 where it is not told otherwise, and decodes it itself."""
    usual = client.embeddings.create(model=getattr(world, model), input=["a", "b"])
    assert [item.embedding for item in usual.data] == VECTORS
    floats = client.embeddings.create(model=getattr(world, model), input=["a", "b"], encoding_format="float")
    assert [item.embedding for item in floats.data] == VECTORS
    told = client.embeddings.create(
        model=getattr(world, model), input="a", extra_body={"input_type": "query"}, dimensions=3
    )
    assert [item.embedding for item in told.data] == VECTORS[:1]


def test_tokens_are_refused_where_only_text_is_taken(client: OpenAI, world: ExchangeWorld) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=world.cohere_embed, input=[[1, 2], [3]])
    assert refused.value.param == "input[0]"
    client.embeddings.create(model=world.openai_embed, input=[[1, 2], [3]])
    assert world.last().body["input"] == [[1, 2], [3]]


def test_moderations(client: OpenAI, world: ExchangeWorld) -> None:
    answer = client.moderations.create(
        model=world.moderation,
        input=[
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ],
    )
    assert answer.results[0].flagged
    assert answer.results[0].category_scores.violence == 0.97
    assert len(answer.results) == 1
