"""Recorded calls of Cohere through our parsers, held against what Cohere's own SDK makes of the same bytes.

Of the 57 recorded calls these are the second version's: 22 chats, 5 embeddings, 3 rankings, 1 refusal. The first
version's (18 of `/v1/chat` and one refusal, 2 of `/v1/generate`, 4 of `/v1/rerank`, 1 of `/v1/tokenize`) are not
spoken.
"""

import json
from typing import Any

import msgspec
import pytest
from cohere import types
from cohere.core.unchecked_base_model import construct_type
from cohere.v2.types import V2ChatResponse, V2ChatStreamResponse, V2RerankResponse

from inference.ir.cards import Kind
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.ir.content import Reasoning, Text, ToolCall
from inference.ir.embedding import EmbeddingResult
from inference.ir.folding import fold
from inference.ir.rerank import RerankResult
from inference.providers.cohere import WIRE
from inference.providers.cohere.chat_completion import FINISHES
from inference.providers.cohere.chat_stream import CohereStream
from tests.recorded.calls import Recorded, calls, crlf, cuts

assert WIRE.chat is not None
CHAT = WIRE.chat


def constructed(kind: Any, value: object) -> Any:
    """What the SDK itself makes of decoded JSON."""
    return construct_type(type_=kind, object_=value)


class Said:
    """An answer as the SDK's types have it, whole or put together from its events."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.text = ""
        self.plan = ""
        self.calls: list[list[str]] = []
        self.citations: list[tuple[int | None, int | None]] = []
        self.finish: str | None = None
        self.usage: Any = None

    @classmethod
    def whole(cls, body: bytes) -> "Said":
        answer = constructed(V2ChatResponse, json.loads(body))
        said = cls()
        message = answer.message
        said.id, said.finish, said.usage = answer.id, answer.finish_reason, answer.usage
        said.text = "".join(block.text for block in message.content or () if block.type == "text")
        said.plan = message.tool_plan or ""
        said.calls = [
            [call.id, call.function.name, call.function.arguments] for call in message.tool_calls or ()
        ]
        said.citations = [(cited.start, cited.end) for cited in message.citations or ()]
        return said

    @classmethod
    def streamed(cls, body: bytes) -> "Said":
        said = cls()
        for line in body.decode().splitlines():
            data = line.removeprefix("data: ")
            if data != line and data != "[DONE]":
                said.take(constructed(V2ChatStreamResponse, json.loads(data)))
        return said

    def take(self, event: Any) -> None:
        match event.type:
            case "message-start":
                self.id = event.id
            case "content-delta":
                self.text += event.delta.message.content.text or ""
            case "tool-plan-delta":
                self.plan += event.delta.message.tool_plan
            case "tool-call-start":
                call = event.delta.message.tool_calls
                self.calls.append([call.id, call.function.name, call.function.arguments])
            case "tool-call-delta":
                self.calls[event.index][2] += event.delta.message.tool_calls.function.arguments
            case "message-end":
                self.finish, self.usage = event.delta.finish_reason, event.delta.usage
            case _:
                assert event.type in ("content-start", "content-end", "tool-call-end"), event.type


def compare(ours: Completion, theirs: Said) -> None:
    """Text, plan, calls, citations, finish and usage are the same."""
    assert ours.id == theirs.id
    (choice,) = ours.choices
    assert "".join(part.text for part in choice.parts if isinstance(part, Text)) == theirs.text
    assert "".join(part.text for part in choice.parts if isinstance(part, Reasoning)) == theirs.plan
    calls = [[part.id, part.name, part.arguments] for part in choice.parts if isinstance(part, ToolCall)]
    assert calls == theirs.calls
    cited = [each for part in choice.parts if isinstance(part, Text) for each in part.citations]
    assert [(each.start, each.end) for each in cited] == theirs.citations
    assert choice.native == theirs.finish
    assert theirs.finish is not None
    assert choice.finish == FINISHES[theirs.finish]
    billed = theirs.usage.billed_units
    assert (ours.usage.input_tokens, ours.usage.output_tokens) == (billed.input_tokens, billed.output_tokens)
    unbilled = theirs.usage.tokens.input_tokens - billed.input_tokens
    cached = (theirs.usage.cached_tokens or 0) - unbilled
    assert ours.usage.cache_read_tokens == min(max(cached, 0), billed.input_tokens)


def read(pieces: list[bytes]) -> Completion:
    """A stream that came in these pieces."""
    parser = CohereStream()
    events = [event for piece in pieces for event in parser.feed(piece)]
    events += parser.finish()
    assert parser.complete
    return fold(events)


def test_whole_chats() -> None:
    recorded = list(calls("cohere", path_contains="/v2/chat", stream=False, status=200))
    for call in recorded:
        compare(CHAT.completion(call.body), Said.whole(call.body))
    assert len(recorded) == 16


def streams() -> list[Recorded]:
    return list(calls("cohere", path_contains="/v2/chat", stream=True, status=200))


def test_streams_whole_and_with_crlf() -> None:
    recorded = streams()
    for call in recorded:
        stream_agrees(call)
    assert len(recorded) == 6


def stream_agrees(call: Recorded) -> None:
    theirs = Said.streamed(call.body)
    compare(read([call.body]), theirs)
    compare(read([crlf(call.body)]), theirs)


@pytest.mark.parametrize("number", range(6))
def test_streams_cut_anywhere(number: int) -> None:
    """The three shortest at every byte, the others at forty random sets of places."""
    call = sorted(streams(), key=lambda each: len(each.body))[number]
    whole = read([call.body])
    for body in (call.body, crlf(call.body)):
        for pieces in cuts(body, every_byte=number < 2 and body is call.body):
            assert read(pieces) == whole


def test_embeddings() -> None:
    recorded = list(calls("cohere", path_contains="/v2/embed", status=200))
    for call in recorded:
        embeddings_agree(call)
    assert len(recorded) == 5


def embeddings_agree(call: Recorded) -> None:
    ours: EmbeddingResult = WIRE.exchanges[Kind.EMBEDDING].answer(call.body, "application/json")
    theirs = constructed(types.EmbedByTypeResponse, json.loads(call.body))
    vectors = [msgspec.json.decode(each, type=list[float]) for each in ours.vectors]
    assert vectors == theirs.embeddings.float_
    assert ours.id == theirs.id
    assert ours.usage.input_tokens == theirs.meta.billed_units.input_tokens


def test_rankings() -> None:
    recorded = list(calls("cohere", path_contains="/v2/rerank", status=200))
    for call in recorded:
        ranking_agrees(call)
    assert len(recorded) == 3


def ranking_agrees(call: Recorded) -> None:
    ours: RerankResult = WIRE.exchanges[Kind.RERANK].answer(call.body, "application/json")
    theirs = constructed(V2RerankResponse, json.loads(call.body))
    expected = [(each.index, each.relevance_score) for each in theirs.results]
    assert [(each.index, each.score) for each in ours.results] == expected
    assert ours.usage.searches == theirs.meta.billed_units.search_units == 1


def test_a_refusal_keeps_its_message() -> None:
    (call,) = calls("cohere", path_contains="/v2/embed", status=404)
    error = WIRE.error(call.status, None, call.body)
    assert (error.http_status, error.code) == (502, "upstream_model_not_found")
    assert json.loads(call.body)["message"] in error.message


def test_recorded_requests_are_written_as_they_were_sent() -> None:
    """A recorded request read as neutral words by hand is what OpenAI's dialect would make of the same fields."""
    for call in calls("cohere", path_contains="/v2/chat", status=200):
        request_returns(call)


def request_returns(call: Recorded) -> None:
    sent = json.loads(call.asked)
    asked = neutral(sent)
    out = CHAT.request(asked, model=sent["model"], card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    wrote = json.loads(out.body)
    assert wrote.pop("stream", False) is sent.pop("stream")
    assert wrote == cleaned(sent)
    assert out.dropped == ()


def cleaned(sent: dict[str, Any]) -> dict[str, Any]:
    """Without the nulls some clients send for what they do not say."""
    messages = [
        {name: value for name, value in message.items() if value is not None} for message in sent["messages"]
    ]
    return {**{name: value for name, value in sent.items() if value is not None}, "messages": messages}


def neutral(sent: dict[str, Any]) -> ChatRequest:
    """Through OpenAI's dialect, whose words for these fields are the same but for some names."""
    from gateway.dialects.openai_chat import Chat

    dialect = Chat().chat
    if dialect is None:
        pytest.skip("the dialect that would read these requests is not built")
    renamed = {("stop" if name == "stop_sequences" else name): value for name, value in sent.items()}
    if "tool_choice" in renamed:
        renamed["tool_choice"] = renamed["tool_choice"].lower()
    return dialect.parse(json.dumps({k: v for k, v in renamed.items() if v is not None}).encode())
