"""A thought that nobody signed comes back with the next turn, as the client got it, and nothing is told to be lost."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import ChatDialect, Dialect, Setting
from gateway.dialects.gemini import Gemini
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_responses import Responses
from inference.ir.cards import Kind, Model, Price
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.providers.vllm import WIRE as VLLM
from inference.wire import ChatFormat, Wire

SETTING = Setting(id="req-00000000000000ab00000001", model="m", created=1_700_000_000)
PRICE = Price(input=1, output=1, version="p")
CARD = Model(name="m", kind=Kind.CHAT, price=PRICE, capabilities=frozenset({"reasoning"}), max_output=4096)
FIRST, THEN = "Why?", "And why that?"
THOUGHT, TEXT = "They ask why.", "So."


def _chat(dialect: Dialect) -> ChatDialect:
    assert dialect.chat is not None
    return dialect.chat


def _format(wire: Wire) -> ChatFormat:
    assert wire.chat is not None
    return wire.chat


def _gemini() -> Any:
    parts = [{"text": THOUGHT, "thought": True}, {"text": TEXT}]
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}


def _openai() -> Any:
    message = {"role": "assistant", "content": TEXT, "reasoning_content": THOUGHT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def _mistral() -> Any:
    told = _openai()
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}
    told["choices"][0]["message"] = {
        "role": "assistant",
        "content": [thinking, {"type": "text", "text": TEXT}],
    }
    return told


def _cohere() -> Any:
    content = [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": TEXT}]
    return {"id": "c", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": content}}


def _responses() -> Any:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": THOUGHT}]}
    text: dict[str, Any] = {"type": "output_text", "text": TEXT, "annotations": []}
    message = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [text],
    }
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "m",
        "output": [thought, message],
    }


ANSWERS = {
    "gemini": (_format(GEMINI), _gemini()),
    "openai": (_format(OPENAI), _openai()),
    "vllm": (_format(VLLM), _openai()),
    "mistral": (_format(MISTRAL), _mistral()),
    "cohere": (_format(COHERE), _cohere()),
    "openai-responses": (_format(RESPONSES), _responses()),
}


def _again_chat(told: Any) -> Any:
    message = told["choices"][0]["message"]
    return {"messages": [{"role": "user", "content": FIRST}, message, {"role": "user", "content": THEN}]}


def _again_messages(told: Any) -> Any:
    turns = [{"role": "user", "content": FIRST}, {"role": "assistant", "content": told["content"]}]
    return {"max_tokens": 100, "messages": [*turns, {"role": "user", "content": THEN}]}


def _again_responses(told: Any) -> Any:
    return {"input": [{"role": "user", "content": FIRST}, *told["output"], {"role": "user", "content": THEN}]}


def _again_gemini(told: Any) -> Any:
    first, then = ({"role": "user", "parts": [{"text": text}]} for text in (FIRST, THEN))
    return {"contents": [first, told["candidates"][0]["content"], then]}


CLIENTS: Mapping[str, tuple[ChatDialect, Any, Any]] = {
    "chat": (_chat(Chat()), _again_chat, {"messages": [{"role": "user", "content": FIRST}]}),
    "messages": (
        _chat(Messages()),
        _again_messages,
        {"max_tokens": 100, "messages": [{"role": "user", "content": FIRST}]},
    ),
    "responses": (_chat(Responses()), _again_responses, {"input": FIRST}),
    "gemini": (
        _chat(Gemini("m", stream=False)),
        _again_gemini,
        {"contents": [{"role": "user", "parts": [{"text": FIRST}]}]},
    ),
}
READERS = {"gemini", "vllm", "mistral", "cohere"}
"""Who takes a thought back that nobody signed. To the others it is not sent, as their own rules have it."""
OWN = {("chat", "openai"), ("responses", "openai-responses")}
"""Whose clients speak to their own format: what they say stands."""


@pytest.mark.parametrize("target", ANSWERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_it_goes_back_or_is_left_out_as_the_target_wants_it(client: str, target: str) -> None:
    dialect, again, first = CLIENTS[client]
    form, answer = ANSWERS[target]
    asked = dialect.parse(json.dumps({"model": "m", **first}).encode())
    told = json.loads(dialect.answer(form.completion(json.dumps(answer).encode()), asked, SETTING).body)
    assert THOUGHT in json.dumps(told)
    second = dialect.parse(json.dumps({"model": "m", **again(told)}).encode())
    sent = form.request(second, model="gemini-3-pro" if target == "gemini" else "m", card=CARD)
    assert sent.dropped == ()
    assert TEXT in sent.body.decode()
    assert (THOUGHT in sent.body.decode()) is (target in READERS or (client, target) in OWN)
