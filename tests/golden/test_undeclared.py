"""Models of which the catalogue says nothing: what a format can carry is carried, and their providers decide."""

import json
from typing import Any

import msgspec
import pytest

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import ChatDialect
from gateway.dialects.gemini import Gemini
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_responses import Responses
from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import ChatRequest
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.providers.vllm import WIRE as VLLM
from inference.wire import ByModel, ChatFormat, Outgoing

UNSAID = Model(name="m", kind=Kind.CHAT, price=Price(input=1, output=1, version="p"), max_output=64000)
DENIED = msgspec.structs.replace(UNSAID, declares=True)
MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "Why?"}]


def read(dialect: ChatDialect | None, body: dict[str, Any]) -> ChatRequest:
    assert dialect is not None
    return dialect.parse(json.dumps(body).encode())


CHAT = read(Chat().chat, {"model": "m", "messages": MESSAGES, "reasoning_effort": "high"})
THINKING = {"type": "enabled", "budget_tokens": 30000}
CLAUDES = read(
    Messages().chat, {"model": "m", "max_tokens": 64000, "messages": MESSAGES, "thinking": THINKING}
)
REASONING = {"effort": "high", "summary": "auto"}
RESPONSE = read(Responses().chat, {"model": "m", "input": "Why?", "reasoning": REASONING})
LEVEL = {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}
GEMINIS = read(
    Gemini("m", stream=False).chat, {"contents": [{"parts": [{"text": "Why?"}]}], "generationConfig": LEVEL}
)
EFFORT = {"reasoning_effort": "high"}
TARGETS: dict[str, tuple[ChatFormat | None, str, dict[str, Any]]] = {
    "anthropic": (ANTHROPIC.chat, "claude-sonnet-4-5", {"thinking": {"type": "enabled"}}),
    "anthropic, later": (ANTHROPIC.chat, "claude-opus-4-7", {"thinking": {"type": "adaptive"}}),
    "bedrock": (
        BEDROCK.chat,
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        {"additionalModelRequestFields": {"thinking": {"type": "enabled"}}},
    ),
    "gemini": (
        GEMINI.chat,
        "gemini-3-pro",
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "high"}}},
    ),
    "mistral": (MISTRAL.chat, "mistral-small", EFFORT),
    "openai": (OPENAI.chat, "gpt-oss", EFFORT),
    "vllm": (VLLM.chat, "qwen", EFFORT),
    "openai-responses": (RESPONSES.chat, "my-deployment", {"reasoning": {"effort": "high"}}),
}


def written(target: str, asked: ChatRequest, card: Model) -> Outgoing:
    found, model, _ = TARGETS[target]
    assert found is not None
    chat = found.of(model) if isinstance(found, ByModel) else found
    return chat.request(asked, model=model, card=card)


def holds(told: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there, whatever is there beside it."""
    if isinstance(wanted, dict):
        return all(
            holds(told.get(key), value) for key, value in msgspec.convert(wanted, dict[str, Any]).items()
        )
    return told == wanted


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("asked", [CHAT, CLAUDES, RESPONSE, GEMINIS], ids=lambda asked: str(asked.family))
def test_thinking_is_asked_for(target: str, asked: ChatRequest) -> None:
    if asked is GEMINIS and target == "gemini":
        return  # its own words, whatever they are
    outgoing = written(target, asked, UNSAID)
    assert not {"thinking", "reasoning_effort", "reasoning"} & set(outgoing.dropped)
    told = json.loads(outgoing.body)
    if asked is CLAUDES and target in ("anthropic, later", "bedrock"):
        assert told["thinking"] == THINKING  # likewise
    elif asked is CLAUDES and target == "gemini":
        assert told["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 30000}
    else:
        assert holds(told, TARGETS[target][2]), told


@pytest.mark.parametrize("target", ["anthropic", "anthropic, later", "bedrock", "mistral", "openai", "vllm"])
def test_what_is_declared_not_to_think_is_not_asked_to(target: str) -> None:
    outgoing = written(target, GEMINIS, DENIED)
    assert {"thinking", "reasoning_effort"} & set(outgoing.dropped)
    assert b'"high"' not in outgoing.body
    assert b'"thinking":' not in outgoing.body


def test_a_summary_is_asked_for_too() -> None:
    assert json.loads(written("openai-responses", GEMINIS, UNSAID).body)["reasoning"]["summary"] == "auto"
    assert "summary" not in json.loads(written("openai-responses", GEMINIS, DENIED).body)["reasoning"]
