"""LangChain, with its models of OpenAI and Anthropic, pointed at the gateway: streamed, with a tool, several turns."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.anthropic_peer import Script
from tests.harness import GatewayProcess, VirtualKey
from tests.scripted_peer import Peer
from tests.weather_peers import (
    ANSWER,
    ARGUMENTS,
    GOODBYE,
    PEERS,
    QUESTION,
    RESULT,
    THANKS,
    WeatherPeer,
    parallel_calls,
)


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}: {RESULT}"


Opened = AbstractAsyncContextManager[BaseChatModel]
"""LangChain keeps its connections for the life of the process; a test brings its own, which it can close."""


@asynccontextmanager
async def openai_chat(gateway: GatewayProcess, key: VirtualKey, model: str) -> AsyncGenerator[BaseChatModel]:
    with httpx2.Client() as sync:
        async with httpx2.AsyncClient() as client:
            yield _openai(gateway, key, model, http_client=sync, http_async_client=client)


@asynccontextmanager
async def openai_responses(
    gateway: GatewayProcess, key: VirtualKey, model: str
) -> AsyncGenerator[BaseChatModel]:
    more: dict[str, Any] = {"use_responses_api": True}
    with httpx2.Client() as sync:
        async with httpx2.AsyncClient() as client:
            yield _openai(gateway, key, model, http_client=sync, http_async_client=client, **more)


def _openai(gateway: GatewayProcess, key: VirtualKey, model: str, **more: Any) -> BaseChatModel:
    return ChatOpenAI(
        model=model,
        base_url=gateway.base_url,
        api_key=SecretStr(key.text),
        max_retries=0,
        stream_usage=True,
        **more,
    )


@asynccontextmanager
async def anthropic(gateway: GatewayProcess, key: VirtualKey, model: str) -> AsyncGenerator[BaseChatModel]:
    more: dict[str, Any] = {"model": model, "base_url": gateway.url, "max_tokens": 500}
    made = ChatAnthropic(**more, api_key=SecretStr(key.text), max_retries=0)
    async with AsyncAnthropic(base_url=gateway.url, api_key=key.text, max_retries=0) as client:
        vars(made)["_async_client"] = client  # the place where LangChain keeps its own once it made it
        yield made


CLIENTS = (openai_chat, openai_responses, anthropic)


async def said(model: Any, messages: list[Any]) -> AIMessageChunk:
    """A streamed answer, put together as LangChain does; it has to come in several pieces."""
    chunks: list[AIMessageChunk] = [chunk async for chunk in model.astream(messages)]
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


async def converse(model: BaseChatModel) -> None:
    """Three turns, with the tool called in the first."""
    tooled: Any = model.bind_tools([get_weather])
    messages: list[Any] = [HumanMessage(QUESTION)]
    first = await said(tooled, messages)
    assert first.text == "Let me look."
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", ARGUMENTS)
    result = await get_weather.ainvoke(call)
    assert isinstance(result, ToolMessage)
    messages += [first, result]
    second = await said(tooled, messages)
    assert second.text == ANSWER
    messages += [second, HumanMessage(THANKS)]
    third = await said(tooled, messages)
    assert third.text == GOODBYE
    usage = third.usage_metadata
    assert usage is not None
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.wire)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
async def test_a_conversation_with_a_tool(
    gateway: GatewayProcess, key: VirtualKey, client: Any, peer: WeatherPeer
) -> None:
    script = peer.script()
    async with Peer(script) as running:
        opened: Opened = client(gateway, key, peer.model_at(gateway, running.port))
        async with opened as model:
            await converse(model)
    assert peer.results(script.body(1)) == [f"Paris: {RESULT}"]
    assert len(script.asked) == 3
    assert {record.status for record in gateway.usage(key=key.id)} == {200}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
async def test_parallel_calls_whose_arguments_come_in_turns(
    gateway: GatewayProcess, key: VirtualKey, client: Any
) -> None:
    cities = ("Paris", "Rome", "Oslo")
    async with Peer(Script([parallel_calls(*cities)])) as running:
        opened: Opened = client(gateway, key, gateway.model_at(running.port))
        async with opened as model:
            tooled: Any = model.bind_tools([get_weather])
            answer = await said(tooled, [HumanMessage(QUESTION)])
    assert [call["args"] for call in answer.tool_calls] == [{"city": city} for city in cities]
    assert answer.invalid_tool_calls == []
