"""What a client wants read is sent, or refused by its path; at every wire format, whichever way it is given."""

import base64
import json
from typing import cast

import msgspec
import pytest
from msgspec import Raw

from gateway.unread import refuse_unread
from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import (
    Audio,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from inference.ir.errors import InvalidField
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.providers.vllm import WIRE as VLLM
from inference.wire import ByModel, ChatFormat, Wire

WIRES: dict[str, tuple[Wire, str]] = {
    "anthropic": (ANTHROPIC, "claude"),
    "bedrock": (BEDROCK, "us.amazon.nova-pro-v1:0"),
    "cohere": (cast(Wire, COHERE), "command"),
    "gemini": (GEMINI, "gemini"),
    "mistral": (MISTRAL, "mistral"),
    "openai": (OPENAI, "gpt"),
    "responses": (RESPONSES, "gpt"),
    "vllm": (VLLM, "qwen"),
}
CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=0, output=0, version="0"), max_output=100)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
NOISE = base64.b64encode(b"RIFF....WAVEfmt noise").decode()
PDF = base64.b64encode(b"%PDF-1.4 a document of some length").decode()
FILM = base64.b64encode(b"....ftypmp42 a film").decode()


def data(kind: str, value: str) -> Source:
    return Source(data=value, media_type=kind)


SHOWN: dict[str, Part] = {
    "picture": Image(source=data("image/png", PIXEL)),
    "picture by address": Image(source=Source(url="https://x.test/canary.png")),
    "picture by id": Image(source=Source(file_id="canary-1")),
    "recording": Audio(source=data("audio/wav", NOISE)),
    "recording by address": Audio(source=Source(url="https://x.test/canary.wav")),
    "recording of a rare kind": Audio(source=data("audio/x-rare", NOISE)),
    "film": Video(source=data("video/mp4", FILM)),
    "film by address": Video(source=Source(url="https://x.test/canary.mp4")),
    "document": File(source=data("application/pdf", PDF), name="a.pdf"),
    "document by address": File(source=Source(url="https://x.test/canary.pdf")),
    "document by id": File(source=Source(file_id="canary-1")),
    "something unknown": Opaque(family=Family.OTHER, kind="hologram", raw=Raw(b'{"type":"canary"}')),
}


def written(name: str, message: Message) -> bytes:
    """The body sent; what Translation does around it is what is tried here."""
    wire, model = WIRES[name]
    found = wire.chat
    assert found is not None
    writer: ChatFormat = found.of(model) if isinstance(found, ByModel) else found
    call = Message(role=Role.ASSISTANT, parts=(ToolCall(id="call_1", name="f", arguments="{}"),))
    ask = Message(role=Role.USER, parts=(Text(text="Hi."),))
    asked = ChatRequest(model="m", family=Family.OTHER, messages=(ask, call, message))
    outgoing = writer.request(asked, model=model, card=CARD)
    refuse_unread("p", outgoing.dropped, asked.messages)
    return outgoing.body


def carried(part: Part, body: bytes) -> bool:
    source = getattr(part, "source", None)
    said = [b"canary"] if source is None else [source.data or source.url or source.file_id]
    texts = [each if isinstance(each, bytes) else each.encode() for each in said]
    plain = json.dumps(msgspec.json.decode(body)).encode()
    return any(text in body or text in plain for text in texts)


@pytest.mark.parametrize("kind", SHOWN)
@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("place", ["message", "result"])
def test_it_is_sent_or_refused(name: str, kind: str, place: str) -> None:
    part = SHOWN[kind]
    result = ToolResult(call_id="call_1", content=(Text(text="See."), part))  # pyright: ignore[reportArgumentType]  # any part of the table
    held: tuple[Part, ...] = (result,)
    if place == "message":
        held = (ToolResult(call_id="call_1", content=(Text(text="ok"),)), Text(text="See."), part)
    message = Message(role=Role.TOOL if place == "result" else Role.USER, parts=held)
    path = "messages[2].content[0].content[1]" if place == "result" else "messages[2].content[2]"
    try:
        body = written(name, message)
    except InvalidField as refused:
        assert refused.param == path
        assert refused.http_status == 400
        return
    assert carried(part, body)


def test_it_says_what_would_serve() -> None:
    message = Message(role=Role.USER, parts=(Audio(source=data("audio/wav", NOISE)),))
    with pytest.raises(InvalidField, match=r"`p`.*recording.*`audio_input`") as refused:
        refuse_unread("p", ["logit_bias", "messages[0].content[0]"], [message])
    assert (refused.value.param, refused.value.code) == ("messages[0].content[0]", "not_translatable")


def test_hints_and_what_a_model_made_are_dropped() -> None:
    made = Message(role=Role.ASSISTANT, parts=(Image(source=data("image/png", PIXEL)), Text(text="x")))
    user = Message(role=Role.USER, parts=(Image(source=data("image/png", PIXEL), detail="high"),))
    refuse_unread("p", ["messages[0].content[0]", "messages[1].content[0].detail", "seed"], [made, user])
