"""pydantic-ai with its models of OpenAI and Anthropic, pointed at the gateway: streamed, with a tool, several turns."""

from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.harness import GatewayProcess, VirtualKey
from tests.scripted_peer import Peer
from tests.weather_peers import ANSWER, GOODBYE, PEERS, QUESTION, RESULT, THANKS, WeatherPeer

CLIENTS = ("openai-chat", "openai-responses", "anthropic")


def model_of(kind: str, name: str, sdk: Any) -> Model:
    """A model of pydantic-ai's over an official SDK."""
    if kind == "anthropic":
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=sdk))
    provider = OpenAIProvider(openai_client=sdk)
    return (OpenAIChatModel if kind == "openai-chat" else OpenAIResponsesModel)(name, provider=provider)


def sdk_of(kind: str, gateway: GatewayProcess, key: VirtualKey) -> AsyncAnthropic | AsyncOpenAI:
    if kind == "anthropic":
        return AsyncAnthropic(base_url=gateway.url, api_key=key.text, max_retries=0)
    return AsyncOpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0)


async def converse(model: Model) -> None:
    """An agent that looks the weather up in the midst of its answer, and remembers that it did."""
    agent = Agent(model)
    asked: list[str] = []

    @agent.tool_plain
    def get_weather(city: str) -> str:  # pyright: ignore[reportUnusedFunction]  # the agent calls it
        """The weather in a city."""
        asked.append(city)
        return f"{city}: {RESULT}"

    heard: list[str] = []

    async def watch(_: Any, events: Any) -> None:
        heard.extend([type(event).__name__ async for event in events])

    first = await agent.run(QUESTION, event_stream_handler=watch)
    assert first.output == ANSWER
    assert asked == ["Paris"]
    assert first.usage.requests == 2
    assert first.usage.input_tokens > 0
    assert heard.count("PartDeltaEvent") > 2
    async with agent.run_stream(THANKS, message_history=first.all_messages()) as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == GOODBYE
    assert len(pieces) > 1


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.wire)
@pytest.mark.parametrize("client", CLIENTS)
async def test_an_agent_with_a_tool(
    gateway: GatewayProcess, key: VirtualKey, client: str, peer: WeatherPeer
) -> None:
    script = peer.script()
    async with Peer(script) as running, sdk_of(client, gateway, key) as sdk:
        await converse(model_of(client, peer.model_at(gateway, running.port), sdk))
    assert peer.results(script.body(1)) == [f"Paris: {RESULT}"]
    assert len(script.asked) == 3
    assert {record.status for record in gateway.usage(key=key.id)} == {200}
