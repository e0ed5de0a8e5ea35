"""Claude at Vertex, passed on and written."""

import json

import pytest

from inference.ir.cards import Kind, Model, Price, PromptCache
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import Family, File, Image, Source, Text
from inference.providers.gemini import GeminiChat
from inference.providers.vertex import WIRE, VertexChat
from inference.providers.vertex.claude import CountLane, RawPredictLane, VertexClaude, is_claude
from inference.wire import Original

CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=1, output=1, version="p"))
THERE = "claude-haiku-4-5@20251001"
PLACE = f"/publishers/anthropic/models/{THERE}"
NEWER = b"anthropic-version: 2027-01-01\r\nanthropic-beta: a\r\n"


@pytest.mark.parametrize(
    ("model", "family", "claude"),
    [
        (THERE, None, True),
        (f"anthropic/{THERE}", None, True),
        (f"publishers/anthropic/models/{THERE}", None, True),
        ("tuned-by-us", "anthropic", True),
        ("gemini-2.5-flash", None, False),
        ("endpoints/123", None, False),
    ],
)
def test_whose_a_model_is(model: str, family: str | None, claude: bool) -> None:
    assert is_claude(model, family) is claude
    assert (set(WIRE.lanes_for(model, family)) == {"messages", "count_tokens"}) is claude
    assert isinstance(WIRE.chat, VertexChat)
    assert isinstance(WIRE.chat.of(model, family), VertexClaude if claude else GeminiChat)


def test_a_request_is_passed_on() -> None:
    lane = RawPredictLane()
    body = b'{"model":"m","max_tokens":9000,"stream":true,"messages":[]}'
    for asked in ("m", THERE):
        out = json.loads(lane.request(Original(body=body, model=asked, stream=True, max_output=5), THERE))
        assert out == {
            "max_tokens": 5,
            "stream": True,
            "messages": [],
            "anthropic_version": "vertex-2023-10-16",
        }
    assert lane.path(f"anthropic/{THERE}", stream=True) == f"{PLACE}:streamRawPredict"
    assert lane.path(THERE, stream=False) == f"{PLACE}:rawPredict"
    told, left = lane.told(body, NEWER)
    assert left == NEWER
    out = json.loads(lane.request(Original(body=told, model="m", stream=True), THERE))
    assert out["anthropic_version"] == "2027-01-01"


def test_a_count_is_passed_on() -> None:
    lane = CountLane()
    out = json.loads(
        lane.request(Original(body=b'{"model":"m","messages":[]}', model="m", stream=False), THERE)
    )
    assert out == {"model": THERE, "messages": [], "anthropic_version": "vertex-2023-10-16"}
    assert lane.path(THERE, stream=False) == "/publishers/anthropic/models/count-tokens:rawPredict"
    assert lane.told(b"{}", NEWER) == (b'{"anthropic_version":"2027-01-01"}', NEWER)


def test_a_conversation_is_written() -> None:
    asked = ChatRequest(
        model="m",
        messages=(Message(role=Role.USER, parts=(Text(text="Hi"),)),),
        family=Family.OPENAI_CHAT,
        stream=True,
        seed=1,
    )
    card = Model(name="m", kind=Kind.CHAT, price=CARD.price, max_output=7, prompt_cache=PromptCache.AUTO)
    out = VertexClaude().request(asked, model=THERE, card=card)
    assert (out.path, out.dropped) == (f"{PLACE}:streamRawPredict", ("seed",))
    body = json.loads(out.body)
    assert (body["stream"], body["max_tokens"], body["anthropic_version"]) == (True, 7, "vertex-2023-10-16")
    assert "model" not in body
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    count = VertexClaude().count(asked, model=f"anthropic/{THERE}", card=card)
    assert count.path == "/publishers/anthropic/models/count-tokens:rawPredict"
    assert json.loads(count.body) == {
        "model": THERE,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "anthropic_version": "vertex-2023-10-16",
    }
    assert VertexClaude().told(out.body, b"anthropic-beta: a\r\n") == (out.body, b"anthropic-beta: a\r\n")


def test_what_lies_on_the_web_is_fetched() -> None:
    claude = VertexClaude()
    assert claude.takes_bytes(Image(source=Source(url="https://example.com/a.png")))
    assert claude.takes_bytes(File(source=Source(url="http://example.com/a.pdf")))
    assert not claude.takes_bytes(Image(source=Source(data="AAAA", media_type="image/png")))
