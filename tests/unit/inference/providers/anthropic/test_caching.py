"""Marks for the cache, placed where the client placed none."""

import json
from typing import Any

import pytest

from inference.codecs.body import decode_fields, encode_fields
from inference.ir.cards import Kind, Model, Price, PromptCache
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import Family, Text
from inference.providers.anthropic.caching import place_cache
from inference.providers.anthropic.chat_format import AnthropicChat
from inference.providers.anthropic.lanes import MessagesLane

MARK = {"type": "ephemeral"}


def placed(**body: Any) -> dict[str, Any]:
    fields = decode_fields(json.dumps(body).encode())
    place_cache(fields)
    return json.loads(encode_fields(fields))


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_tools_system_and_the_last_two_turns_of_the_user() -> None:
    said = {"role": "assistant", "content": "a"}
    body = placed(
        tools=[{"name": "f"}, {"name": "g"}],
        system="S",
        messages=[user("1"), said, user([{"type": "text", "text": "2"}, {"type": "image"}]), said, user("3")],
    )
    assert body["tools"] == [{"name": "f"}, {"name": "g", "cache_control": MARK}]
    assert body["system"] == [{"type": "text", "text": "S", "cache_control": MARK}]
    first, _, second, _, third = body["messages"]
    assert first == user("1")
    assert second["content"] == [{"type": "text", "text": "2"}, {"type": "image", "cache_control": MARK}]
    assert third["content"] == [{"type": "text", "text": "3", "cache_control": MARK}]
    assert json.dumps(body).count("cache_control") == 4


@pytest.mark.parametrize(
    "body",
    [
        {"cache_control": MARK, "messages": [user("1")]},
        {"system": [{"type": "text", "text": "S", "cache_control": MARK}], "messages": [user("1")]},
        {
            "messages": [
                user([{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}])
            ]
        },
        {"messages": "nonsense"},
        {"messages": [user("")]},
    ],
)
def test_the_clients_own_marks_stand_and_nonsense_is_left_to_the_provider(body: dict[str, Any]) -> None:
    assert placed(**body) == body


def test_empty_text_takes_no_mark() -> None:
    blocks = [{"type": "text", "text": "x"}, {"type": "text", "text": ""}]
    assert placed(messages=[user(blocks)])["messages"][0]["content"][0]["cache_control"] == MARK


def test_both_ways_to_anthropic_place_them() -> None:
    price = Price(input=0, output=0, version="x")
    card = Model(name="m", kind=Kind.CHAT, price=price, prompt_cache=PromptCache.AUTO)
    turn = Message(role=Role.USER, parts=(Text(text="x"),))
    asked = ChatRequest(model="m", messages=(turn,), family=Family.OPENAI_CHAT, seed=1)
    outgoing = AnthropicChat().request(asked, model="m", card=card)
    assert b"cache_control" in outgoing.body
    assert outgoing.dropped == ("seed",)
    body = json.dumps({"model": "m", "messages": [user("x")]}).encode()
    assert b"cache_control" in MessagesLane("/x").cached(body)
