"""Conversations counted in Anthropic's format."""

import json

import pytest
from msgspec import Raw

from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import ChatRequest, Message, Role, Tool
from inference.ir.content import Family, Text
from inference.ir.errors import UpstreamGarbled
from inference.providers.anthropic import WIRE
from inference.providers.anthropic.chat_format import AnthropicChat

CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=1, output=1, version="p"), max_output=5)


def test_a_question_holds_what_is_read_and_nothing_else() -> None:
    asked = ChatRequest(
        model="m",
        messages=(
            Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),)),
            Message(role=Role.USER, parts=(Text(text="Hi"),)),
        ),
        tools=(Tool(name="clock", parameters=Raw(b'{"type":"object"}')),),
        family=Family.OPENAI_CHAT,
        stream=True,
        temperature=0.5,
        stop=("x",),
        user="u",
        seed=1,
    )
    out = AnthropicChat().count(asked, model="claude-x", card=CARD)
    assert (out.path, out.dropped) == (WIRE.lanes["count_tokens"].path("m", stream=False), ("seed",))
    assert set(json.loads(out.body)) == {"model", "system", "messages", "tools"}


def test_the_answer() -> None:
    assert AnthropicChat().counted(b'{"input_tokens":9}') == 9
    with pytest.raises(UpstreamGarbled):
        AnthropicChat().counted(b'{"type":"error"}')
