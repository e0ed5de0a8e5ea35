"""Claude at Bedrock for clients of all families."""

import base64
import json

import pytest

from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import CacheHint, Family, Image, Source, Text
from inference.ir.errors import UpstreamGarbled
from inference.providers.bedrock.chat import BedrockChat
from inference.providers.bedrock.claude import Claude, CountedClaude
from inference.providers.bedrock.converse import Converse
from inference.wire import Counting

CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=1, output=1, version="p"))
MODEL = "us.anthropic.claude-sonnet-4-6"


def asked(family: Family, *, stream: bool = False) -> ChatRequest:
    picture = Image(source=Source(data="AAAA", media_type="image/png"))
    said = Text(text="What is it?", cache=CacheHint.ONE_HOUR)
    message = Message(role=Role.USER, parts=(picture, said))
    return ChatRequest(model="m", messages=(message,), family=family, stream=stream, max_output=9)


def test_a_client_of_anthropics_keeps_its_format() -> None:
    """As when a picture by its address was fetched: the request is written anew, and loses nothing."""
    out = Claude().request(asked(Family.ANTHROPIC, stream=True), model=MODEL, card=CARD)
    assert out.path == f"/model/{MODEL}/invoke-with-response-stream"
    assert out.stream_types == (b"application/vnd.amazon.eventstream",)
    assert json.loads(out.body) == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                    },
                    {
                        "type": "text",
                        "text": "What is it?",
                        "cache_control": {"type": "ephemeral", "ttl": "1h"},
                    },
                ],
            }
        ],
    }
    told, left = Claude().told(out.body, b"anthropic-beta: a\r\n")
    assert json.loads(told)["anthropic_beta"] == ["a"]
    assert left == b""


def test_others_go_by_converse() -> None:
    out = Claude().request(asked(Family.OPENAI_CHAT), model=MODEL, card=CARD)
    assert out.path == f"/model/{MODEL}/converse"
    assert Claude().told(out.body, b"anthropic-beta: a\r\n") == (out.body, b"")


def test_answers_of_both() -> None:
    message = b'{"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn"}'
    conversed = b'{"output":{"message":{"content":[{"text":"Hi"}]}},"stopReason":"end_turn"}'
    for body, family in ((message, Family.ANTHROPIC), (conversed, Family.BEDROCK)):
        completion = Claude().completion(body)
        assert (completion.family, completion.choices[0].parts) == (family, (Text(text="Hi"),))
    with pytest.raises(UpstreamGarbled):
        Claude().completion(b"<html>")


def test_counts() -> None:
    own = CountedClaude().count(asked(Family.ANTHROPIC, stream=True), model=MODEL, card=CARD)
    assert own.path == "/model/anthropic.claude-sonnet-4-6/count-tokens"
    told, _ = CountedClaude().told(own.body, b"anthropic-beta: a\r\n")
    inner = json.loads(base64.b64decode(json.loads(told)["input"]["invokeModel"]["body"]))
    assert inner["anthropic_beta"] == ["a"]
    assert inner["messages"][0]["content"][1]["cache_control"]["ttl"] == "1h"
    other = CountedClaude().count(asked(Family.OPENAI_CHAT), model=MODEL, card=CARD)
    assert set(json.loads(other.body)["input"]["converse"]) == {"messages"}
    assert CountedClaude().counted(b'{"inputTokens":3}') == 3
    with pytest.raises(UpstreamGarbled):
        CountedClaude().counted(b"{}")


def test_of_which_model() -> None:
    chat = BedrockChat()
    assert isinstance(chat.of(MODEL), CountedClaude)
    profile = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x"
    assert type(chat.of(profile, "anthropic")) is Claude
    assert not isinstance(chat.of(profile, "anthropic"), Counting)
    assert type(chat.of(profile)) is Converse
    assert type(chat.of("us.amazon.nova-lite-v1:0")) is Converse
