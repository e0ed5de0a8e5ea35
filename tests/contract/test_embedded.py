"""`serve --embedded`, end to end: a real model, a real answer, from the SDK to the usage record."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from anthropic.types import Message
from langchain_core.messages import HumanMessage
from openai import OpenAI
from pydantic_ai import Agent

from inference.local.training.lessons import read_course
from tests.contract.test_langchain import CLIENTS, Opened, said
from tests.contract.test_llm_cli import CommandLine
from tests.contract.test_pydantic_ai import CLIENTS as AGENTS
from tests.contract.test_pydantic_ai import model_of, sdk_of
from tests.harness import ROOT, GatewayProcess, VirtualKey

GREEDY: dict[str, Any] = {"extra_body": {"temperature": 0}}
"""Anthropic's SDK has no argument for it any more; its API does."""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """The catalogue as it is shipped, and the embedded worker."""
    catalogue = (ROOT / "config" / "models.yaml").read_text()
    folder = tmp_path_factory.mktemp("embedded")
    with GatewayProcess(folder, catalogue, arguments=("--embedded", "--embedded-port", "0")) as running:
        yield running


@pytest.fixture(scope="module")
def printed_key(embedded: GatewayProcess) -> str:
    """The key that its start prints."""
    output: Path = embedded.output_path
    embedded.wait_until(lambda: "API key" in output.read_text(), seconds=60)
    found = re.search(r"API key +(ask-\S+)", output.read_text())
    assert found is not None
    return found[1]


def test_the_printed_key_reaches_a_real_streamed_answer(embedded: GatewayProcess, printed_key: str) -> None:
    with OpenAI(base_url=embedded.base_url, api_key=printed_key, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="aspendos-tiny",
            messages=[{"role": "user", "content": "What are you?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert len(text) > 20
    assert sum(bool(chunk.choices) for chunk in chunks) > 5, "it is streamed, not sent at once"
    usage = chunks[-1].usage
    assert usage is not None
    newest = embedded.usage()[0]
    assert (newest.model, newest.status, newest.finish_reason) == ("aspendos-tiny", 200, "stop")
    assert (newest.input_tokens, newest.output_tokens) == (usage.prompt_tokens, usage.completion_tokens)
    assert newest.usage_source == "reported"


def test_another_key_completes_and_embeds(embedded: GatewayProcess) -> None:
    key: VirtualKey = embedded.new_key()
    with OpenAI(base_url=embedded.base_url, api_key=key.text, max_retries=0) as client:
        names = {model.id: model for model in client.models.list()}
        chats = [name for name in names if (names[name].model_extra or {})["kind"] == "chat"]
        embedding = next(name for name in names if (names[name].model_extra or {})["kind"] == "embedding")
        assert "aspendos-tiny" in chats
        again = client.chat.completions.create(
            model="aspendos-tiny", messages=[{"role": "user", "content": "What are you?"}], temperature=0
        )
        assert again.choices[0].message.content
        vectors = client.embeddings.create(model=embedding, input=["a cat", "a kitten", "tax law"]).data
    assert len(vectors[0].embedding) == 384
    near, far = (
        sum(a * b for a, b in zip(vectors[0].embedding, other.embedding, strict=True))
        for other in vectors[1:]
    )
    assert near > far
    assert {record.status for record in embedded.usage(key=key.id)} == {200}


# other clients, whose dialects the worker does not speak


def test_anthropics_sdk_streams_two_turns(embedded: GatewayProcess) -> None:
    with Anthropic(base_url=embedded.url, api_key=embedded.new_key().text, max_retries=0) as client:
        asked: dict[str, Any] = {"model": "aspendos-tiny", "max_tokens": 100, **GREEDY}
        turns: list[Any] = [{"role": "user", "content": "What are you?"}]
        stream: Any = client.messages.stream
        with stream(**asked, messages=turns) as opened:
            pieces = list(opened.text_stream)
            first: Message = opened.get_final_message()
        assert len(pieces) > 2
        turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "Hello"}]
        with stream(**asked, messages=turns) as opened:
            second: Message = opened.get_final_message()
    assert second.content[0].type == "text"
    assert second.content[0].text == read_course().answers()["Hello"]
    assert first.usage.input_tokens > second.usage.input_tokens > 0, "it reads the newest turn only"
    assert (first.stop_reason, second.stop_reason) == ("end_turn", "end_turn")


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
async def test_langchain_streams(embedded: GatewayProcess, client: Any) -> None:
    opened: Opened = client(embedded, embedded.new_key(), "aspendos-tiny")
    async with opened as model:
        answer = await said(model, [HumanMessage("What are you?")])
    assert len(answer.text) > 20


@pytest.mark.parametrize("client", AGENTS)
async def test_pydantic_ai_streams(embedded: GatewayProcess, client: str) -> None:
    async with sdk_of(client, embedded, embedded.new_key()) as sdk:
        agent = Agent(model_of(client, "aspendos-tiny", sdk), model_settings={"max_tokens": 100})
        async with agent.run_stream("What are you?") as stream:
            pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 2
    assert len("".join(pieces)) > 20


async def test_the_llm_tool_streams_and_continues(embedded: GatewayProcess, tmp_path: Path) -> None:
    line = CommandLine(tmp_path / "llm", embedded, embedded.new_key(), "aspendos-tiny")
    assert len(await line.ask("-m", "through-the-gateway", "What are you?")) > 20
    assert (await line.ask("-c", "Hello")).strip()
