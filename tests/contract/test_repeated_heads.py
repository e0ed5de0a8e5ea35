"""The official SDKs change nothing in a request's head but its length: what is made of one is made once."""

import json
from collections.abc import AsyncGenerator

import pytest_asyncio
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from gateway.edge.edge import Edge
from tests.edge_server import serving

COMPLETION = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}
MESSAGE = {
    "id": "x",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
PROMPTS = ["a", "b" * 700, "c" * 9_000, "d" * 300_000, "e"]


class Route:
    """Answers as a model would, and keeps what it was asked and which heads it saw."""

    def __init__(self) -> None:
        self.agents: list[bytes | None] = []
        self.bodies: list[bytes] = []

    def agent(self, edge: Edge) -> None:
        self.agents.append(edge.header(b"user-agent"))

    async def serve(self, edge: Edge) -> None:
        edge.recall(self.agent)
        self.bodies.append(await edge.body())
        answer = MESSAGE if edge.path == "/v1/messages" else COMPLETION
        edge.respond(200, [(b"content-type", b"application/json")], json.dumps(answer).encode())

    @property
    def asked(self) -> list[str]:
        return [json.loads(body)["messages"][0]["content"] for body in self.bodies]


@pytest_asyncio.fixture
async def route() -> AsyncGenerator[tuple[Route, str]]:
    route = Route()
    hot = {("POST", path): route.serve for path in ("/v1/chat/completions", "/v1/messages")}
    async with serving(hot) as (port, _):
        yield route, f"http://127.0.0.1:{port}"


async def test_openais(route: tuple[Route, str]) -> None:
    seen, address = route
    async with AsyncOpenAI(base_url=address + "/v1", api_key="k") as client:
        for prompt in PROMPTS:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}])
    assert seen.asked == PROMPTS
    assert len(seen.agents) == 1


async def test_anthropics(route: tuple[Route, str]) -> None:
    seen, address = route
    async with AsyncAnthropic(base_url=address, api_key="k") as client:
        for prompt in PROMPTS:
            await client.messages.create(
                model="m", max_tokens=5, messages=[{"role": "user", "content": prompt}]
            )
    assert seen.asked == PROMPTS
    assert len(seen.agents) == 1
