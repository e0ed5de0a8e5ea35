"""What is left out is named by the path at which the client wrote it, whoever could not be told."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import ChatDialect, Dialect
from gateway.dialects.field_names import PATHS, as_asked
from gateway.dialects.gemini import Gemini
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_responses import Responses
from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import ChatRequest
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.wire import ByModel, ChatFormat, Wire

STRUCTURE = {"model", "messages", "family", "tools", "functions", "stream", "rest"}
"""What no wire format leaves out as a field, but by its parts."""
FIELDS = [name for name in ChatRequest.__struct_fields__ if name not in STRUCTURE]
CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=1, output=1, version="p"), max_output=4096)
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
FUNCTION: dict[str, Any] = {"name": "f", "parameters": SCHEMA}


def _chat(dialect: Dialect) -> ChatDialect:
    assert dialect.chat is not None
    return dialect.chat


CLIENTS: Mapping[str, tuple[ChatDialect, dict[str, Any]]] = {
    "chat": (
        _chat(Chat()),
        {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "function", "function": FUNCTION}],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "response_format": {"type": "json_object"},
            "reasoning_effort": "high",
            "max_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.5,
            "top_k": 5,
            "frequency_penalty": 0.5,
            "presence_penalty": 0.5,
            "seed": 1,
            "stop": ["x"],
            "n": 2,
            "logprobs": True,
            "top_logprobs": 2,
            "logit_bias": {"5": 1},
            "modalities": ["text", "audio"],
            "verbosity": "low",
            "user": "u",
            "metadata": {"a": "b"},
            "service_tier": "flex",
            "prompt_cache_key": "k",
        },
    ),
    "responses": (
        _chat(Responses()),
        {
            "model": "m",
            "input": "hi",
            "tools": [{"type": "function", **FUNCTION}],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "text": {"format": {"type": "json_object"}, "verbosity": "low"},
            "reasoning": {"effort": "high"},
            "include": ["message.output_text.logprobs"],
            "max_output_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.5,
            "top_logprobs": 2,
            "user": "u",
            "metadata": {"a": "b"},
            "service_tier": "flex",
            "prompt_cache_key": "k",
        },
    ),
    "messages": (
        _chat(Messages()),
        {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"name": "f", "input_schema": SCHEMA}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
            "max_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.5,
            "top_k": 5,
            "stop_sequences": ["x"],
            "metadata": {"user_id": "u"},
            "service_tier": "auto",
        },
    ),
    "gemini": (
        _chat(Gemini("m", stream=False)),
        {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "tools": [{"functionDeclarations": [FUNCTION]}],
            "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
            "generationConfig": {
                "responseMimeType": "application/json",
                "thinkingConfig": {"thinkingBudget": 2000},
                "maxOutputTokens": 9,
                "temperature": 0.5,
                "topP": 0.5,
                "topK": 5,
                "frequencyPenalty": 0.5,
                "presencePenalty": 0.5,
                "seed": 1,
                "stopSequences": ["x"],
                "candidateCount": 2,
                "responseLogprobs": True,
                "logprobs": 2,
                "responseModalities": ["TEXT", "AUDIO"],
            },
            "labels": {"a": "b"},
            "serviceTier": "flex",
        },
    ),
}


def wrote(body: Any, path: str) -> bool:
    """Whether a request has something at a path."""
    for name in path.replace("]", "").replace("[", ".").split("."):
        if isinstance(body, list):
            if not name.isdigit() or int(name) >= len(body):  # pyright: ignore[reportUnknownArgumentType] - any JSON
                return False
            body = body[int(name)]  # pyright: ignore[reportUnknownVariableType] - any JSON
        elif isinstance(body, dict) and name in body:
            body = body[name]  # pyright: ignore[reportUnknownVariableType] - any JSON
        else:
            return False
    return True


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("field", FIELDS)
def test_every_field_has_a_path_where_the_dialect_can_say_it(client: str, field: str) -> None:
    dialect, body = CLIENTS[client]
    asked = dialect.parse(json.dumps(body).encode())
    if getattr(asked, field) in (None, ()):
        assert field not in PATHS[asked.family], "the request of this test does not say it"
        return
    (told,) = as_asked([field], asked)
    assert wrote(body, told), told


WIRES: Mapping[str, tuple[Wire, str]] = {
    "anthropic": (ANTHROPIC, "claude-sonnet-4-5"),
    "bedrock": (BEDROCK, "amazon.nova-pro-v1:0"),
    "cohere": (COHERE, "command-a"),
    "gemini": (GEMINI, "gemini-2.5-pro"),
    "mistral": (MISTRAL, "mistral-large"),
    "openai": (OPENAI, "gpt-4o"),
    "openai-responses": (RESPONSES, "gpt-4o"),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("wire", WIRES)
def test_nobody_is_told_of_a_field_it_never_wrote(client: str, wire: str) -> None:
    dialect, body = CLIENTS[client]
    made, model = WIRES[wire]
    form = made.chat
    assert form is not None
    target: ChatFormat = form.of(model) if isinstance(form, ByModel) else form
    asked = dialect.parse(json.dumps(body).encode())
    told = as_asked(target.request(asked, model=model, card=CARD).dropped, asked)
    assert [name for name in told if not wrote(body, name)] == []


def test_a_field_of_the_clients_own_keeps_its_name() -> None:
    dialect, body = CLIENTS["messages"]
    asked = dialect.parse(json.dumps({**body, "verbosity": "low", "metadata": {"odd": 1}}).encode())
    assert as_asked(["verbosity", "metadata", "messages[0].x"], asked) == (
        "verbosity",
        "metadata",
        "messages[0].x",
    )
