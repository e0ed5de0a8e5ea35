"""A system's word in the middle of a conversation is heard everywhere; where it loses its place, that is named."""

import json

import pytest

from gateway.dialects.openai_chat import Chat
from inference.ir.cards import Kind, Model, Price
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.gemini import WIRE as GEMINI
from inference.wire import ByModel, Wire

CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=1, output=1, version="p"), max_output=4096)
TURNS = [("system", "first"), ("user", "hi"), ("assistant", "yes?"), ("system", "late"), ("user", "go on")]


@pytest.mark.parametrize("wire", [ANTHROPIC, BEDROCK, GEMINI], ids=("anthropic", "bedrock", "gemini"))
def test_one_that_comes_late_is_named(wire: Wire) -> None:
    chat, form = Chat().chat, wire.chat
    assert chat is not None
    assert form is not None
    target = form.of("amazon.nova-pro-v1:0") if isinstance(form, ByModel) else form
    body = {"model": "m", "messages": [{"role": role, "content": text} for role, text in TURNS]}
    sent = target.request(chat.parse(json.dumps(body).encode()), model="m", card=CARD)
    assert "late" in sent.body.decode()
    assert sent.dropped == ("messages[3].role",)
