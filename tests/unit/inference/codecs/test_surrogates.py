r"""Characters escaped and cut between two events: whole in every stream; a half alone is U+FFFD, never fatal."""

import base64
import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from inference.codecs.surrogates import Halves, read_whole, without_halves
from inference.ir.content import Reasoning, Refusal, Text, ToolCall
from inference.ir.errors import UpstreamGarbled
from inference.ir.folding import fold
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.anthropic.chat_stream import ChatStream as AnthropicStream
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.bedrock.converse_stream import ConverseStream
from inference.providers.bedrock.invoke_stream import ClaudeStream
from inference.providers.bedrock.naming import Maker
from inference.providers.cohere import WIRE as COHERE
from inference.providers.cohere.chat_stream import CohereStream
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.gemini.chat_stream import GeminiParser
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai.chat_stream import ChatParser
from inference.providers.openai.responses_stream import ResponsesParser
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.wire import ByModel, Lane, Parser, Wire
from tests.aws_messages import event as aws_event

HIGH, LOW = "\ud83d", "\ude00"  # json.dumps writes each as its own escape


def sse(*events: dict[str, Any]) -> list[bytes]:
    return [f"data: {json.dumps(event)}\n\n".encode() for event in events]


def openai_chat(*pieces: str) -> list[bytes]:
    said = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return [
        *sse(*said, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        b"data: [DONE]\n\n",
    ]


def openai_call(*pieces: str) -> list[bytes]:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}
    calls = [call, *({"index": 0, "function": {"arguments": piece}} for piece in pieces)]
    said = [{"choices": [{"index": 0, "delta": {"tool_calls": [each]}}]} for each in calls]
    end: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    return [*sse(*said, end), b"data: [DONE]\n\n"]


def _anthropic(start: dict[str, Any], kind: str, field: str, pieces: tuple[str, ...]) -> list[dict[str, Any]]:
    said = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: piece}} for piece in pieces
    ]
    return [
        {"type": "message_start", "message": {"id": "m", "model": "m", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": start},
        *said[:1],
        {"type": "ping"},
        *said[1:],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


def anthropic(*pieces: str) -> list[bytes]:
    return sse(*_anthropic({"type": "text", "text": ""}, "text_delta", "text", pieces))


def anthropic_call(*pieces: str) -> list[bytes]:
    start: dict[str, Any] = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    return sse(*_anthropic(start, "input_json_delta", "partial_json", pieces))


def invoke(*pieces: str) -> list[bytes]:
    start: dict[str, Any] = {"type": "thinking", "thinking": ""}
    events = [json.dumps(each).encode() for each in _anthropic(start, "thinking_delta", "thinking", pieces)]
    framed = [json.dumps({"bytes": base64.b64encode(each).decode()}).encode() for each in events]
    return [aws_event("chunk", each) for each in framed]


def gemini(*pieces: str) -> list[bytes]:
    said = [[{"text": piece}] for piece in pieces]
    events = [{"candidates": [{"content": {"parts": parts}}]} for parts in said]
    return sse(*events[:-1], {"candidates": [{**events[-1]["candidates"][0], "finishReason": "STOP"}]})


def responses(*pieces: str) -> list[bytes]:
    at = {"output_index": 0, "content_index": 0, "item_id": "i"}
    said = [{"type": "response.output_text.delta", **at, "delta": piece} for piece in pieces]
    done = {"type": "response.output_text.done", **at, "text": "".join(pieces)}
    end: dict[str, Any] = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    return sse(*({**each, "sequence_number": n} for n, each in enumerate([*said, done, end])))


def responses_call(*pieces: str) -> list[bytes]:
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
    kind = "response.function_call_arguments"
    return sse(
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *({"type": f"{kind}.delta", "output_index": 0, "delta": piece} for piece in pieces),
        {"type": f"{kind}.done", "output_index": 0, "arguments": "".join(pieces)},
        {"type": "response.completed", "response": {"status": "completed", "output": []}},
    )


def cohere(*pieces: str) -> list[bytes]:
    said = [
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}}
        for piece in pieces
    ]
    end = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}
    return sse({"type": "message-start", "id": "c"}, *said, {"type": "content-end", "index": 0}, end)


def cohere_call(*pieces: str) -> list[bytes]:
    def event(kind: str, **call: Any) -> dict[str, Any]:
        return {"type": kind, "index": 0, "delta": {"message": {"tool_calls": call}}}

    return sse(
        event("tool-call-start", id="c", function={"name": "f", "arguments": ""}),
        *(event("tool-call-delta", function={"arguments": piece}) for piece in pieces),
        {"type": "tool-call-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    )


def cohere_plan(*pieces: str) -> list[bytes]:
    said = [{"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}} for piece in pieces]
    return sse(*said, {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}})


def _converse(kind: str, **fields: Any) -> bytes:
    return aws_event(kind, json.dumps(fields).encode())


def converse(*pieces: str) -> list[bytes]:
    return [
        *(_converse("contentBlockDelta", contentBlockIndex=0, delta={"text": piece}) for piece in pieces),
        _converse("contentBlockStop", contentBlockIndex=0),
        _converse("messageStop", stopReason="end_turn"),
    ]


def converse_call(*pieces: str) -> list[bytes]:
    return [
        _converse(
            "contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "c", "name": "f"}}
        ),
        *(
            _converse("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": p}})
            for p in pieces
        ),
        _converse("contentBlockStop", contentBlockIndex=0),
        _converse("messageStop", stopReason="tool_use"),
    ]


STREAMS: list[tuple[Callable[..., list[bytes]], Callable[[], Parser]]] = [
    (openai_chat, ChatParser),
    (openai_call, ChatParser),
    (anthropic, AnthropicStream),
    (anthropic_call, AnthropicStream),
    (invoke, ClaudeStream),
    (gemini, GeminiParser),
    (responses, ResponsesParser),
    (responses_call, ResponsesParser),
    (cohere, CohereStream),
    (cohere_call, CohereStream),
    (cohere_plan, CohereStream),
    (converse, lambda: ConverseStream(Maker.NOVA)),
    (converse_call, lambda: ConverseStream(Maker.NOVA)),
]
every_stream = pytest.mark.parametrize(
    ("stream", "parser"), [pytest.param(*each, id=each[0].__name__) for each in STREAMS]
)


def said(stream: list[bytes], made: Callable[[], Parser]) -> str:
    """What the whole stream says, however it is cut."""
    found: set[str] = set()
    for chunks in (stream, [b"".join(stream)], [bytes((each,)) for each in b"".join(stream)]):
        parser = made()
        events = [event for chunk in chunks for event in parser.feed(chunk)]
        (part,) = fold([*events, *parser.finish()]).choices[0].parts
        assert isinstance(part, Text | Reasoning | Refusal | ToolCall)
        found.add(part.arguments if isinstance(part, ToolCall) else part.text)
    (only,) = found
    return only


@every_stream
def test_a_character_cut_in_two_is_whole(
    stream: Callable[..., list[bytes]], parser: Callable[[], Parser]
) -> None:
    assert said(stream(f"a{HIGH}", f"{LOW}b"), parser) == "a😀b"
    assert said(stream(HIGH, LOW), parser) == "😀"
    assert said(stream(HIGH, "", f"{LOW}{HIGH}", LOW), parser) == "😀😀"


@every_stream
def test_a_half_alone_is_a_sign_of_it(
    stream: Callable[..., list[bytes]], parser: Callable[[], Parser]
) -> None:
    assert said(stream(f"a{HIGH}", "b"), parser) == "a\ufffdb"
    assert said(stream(f"a{LOW}b", f"{HIGH}c"), parser) == "a\ufffdb\ufffdc"
    assert said(stream("a", f"b{HIGH}"), parser) == "ab\ufffd"


def test_halves_of_two_answers_do_not_meet() -> None:
    def choices(*texts: str) -> list[dict[str, Any]]:
        return [{"index": n, "delta": {"content": text}} for n, text in enumerate(texts) if text]

    ends: list[dict[str, Any]] = [{"index": n, "delta": {}, "finish_reason": "stop"} for n in range(2)]
    every = [choices(HIGH), choices("", "\ud83c"), choices(LOW), choices("", "\udf88"), ends]
    parser = ChatParser()
    events = [event for each in every for event in parser.feed(sse({"choices": each})[0])]
    answers = fold([*events, *parser.feed(b"data: [DONE]\n\n"), *parser.finish()]).choices
    assert [choice.parts for choice in answers] == [(Text(text="😀"),), (Text(text="🎈"),)]


@pytest.mark.parametrize(
    "data",
    [
        rb'{"delta":"\ud83d\ude00","n":1.50}',
        rb'{"delta":"\\ud83d","n":1.50}',
        rb'{"delta":"\\\\ud83d \u003c","n":1.50}',
        rb'{"delta":"\ud83d',
        rb'["\ud83d"]',
        b"[" * 100_000 + rb'"\ud83d"',
    ],
)
def test_what_has_no_half_or_is_no_event_stays_as_it_came(data: bytes) -> None:
    halves: Halves[int] = Halves()
    assert halves.read(7, data) == [(7, data)]
    assert not halves.held


def test_what_goes_on_in_no_other_event_waits_for_none() -> None:
    halves: Halves[int] = Halves()
    assert halves.read(7, rb'{"id":"a\ud83d","type":"start"}') == [
        (7, rb'{"id": "a\ufffd", "type": "start"}')
    ]
    assert halves.read(7, rb'{"type":"x.done","text":"a\ud83d"}') == [
        (7, rb'{"type": "x.done", "text": "a\ufffd"}')
    ]
    assert not halves.held


# whole answers

SAID = f"a{HIGH} b"
ARGUMENTS = {"x": SAID}
WRITTEN = json.dumps(ARGUMENTS)


def _chat(**message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def _message(block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [block], "stop_reason": "end_turn"}


def _candidate(part: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}


def _output(block: dict[str, Any]) -> dict[str, Any]:
    return {"output": {"message": {"role": "assistant", "content": [block]}}, "stopReason": "end_turn"}


_ITEM = {
    "type": "message",
    "id": "i",
    "role": "assistant",
    "content": [{"type": "output_text", "text": SAID}],
}
_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": SAID}}
_USE = {"type": "tool_use", "id": "c", "name": "f", "input": ARGUMENTS}
WHOLE: list[tuple[str, object, dict[str, Any]]] = [
    ("openai", OPENAI, _chat(content=SAID)),
    ("openai-call", OPENAI, _chat(content=None, tool_calls=[_CALL])),
    ("mistral", MISTRAL, _chat(content=SAID)),
    ("mistral-thought", MISTRAL, _chat(content=[{"type": "thinking", "thinking": SAID}])),
    ("anthropic", ANTHROPIC, _message({"type": "text", "text": SAID})),
    ("anthropic-call", ANTHROPIC, _message(_USE)),
    ("gemini", GEMINI, _candidate({"text": SAID})),
    ("gemini-call", GEMINI, _candidate({"functionCall": {"name": "f", "args": ARGUMENTS}})),
    ("bedrock", BEDROCK, _output({"text": SAID})),
    ("bedrock-call", BEDROCK, _output({"toolUse": {"toolUseId": "c", "name": "f", "input": ARGUMENTS}})),
    ("invoke", BEDROCK, _message({"type": "text", "text": SAID})),
    (
        "cohere",
        COHERE,
        {"message": {"content": [{"type": "text", "text": SAID}]}, "finish_reason": "COMPLETE"},
    ),
    ("cohere-plan", COHERE, {"message": {"tool_plan": SAID}, "finish_reason": "COMPLETE"}),
    ("responses", RESPONSES, {"status": "completed", "output": [_ITEM]}),
]
"""Whole answers of every format that say, somewhere, half a character."""
ids = [name for name, *_ in WHOLE]


@pytest.mark.parametrize(("wire", "answer"), [each[1:] for each in WHOLE], ids=ids)
def test_a_whole_answer_is_read_with_a_sign_in_the_place_of_half_a_character(
    wire: object, answer: dict[str, Any]
) -> None:
    found = cast(Wire, wire).chat
    chat = found.of("anthropic.claude-x") if isinstance(found, ByModel) else found
    assert chat is not None
    body = json.dumps(answer).encode()
    with pytest.raises(UpstreamGarbled):
        chat.completion(body)
    (part,) = read_whole(chat.completion, body).choices[0].parts
    assert isinstance(part, Text | Reasoning | ToolCall)
    said = part.arguments if isinstance(part, ToolCall) else part.text
    assert (json.loads(said)["x"] if said.startswith("{") else said) == "a\ufffd b"


@pytest.mark.parametrize(
    ("lane", "answer"),
    [
        (OPENAI.lanes["chat"], _chat(content=SAID)),
        (ANTHROPIC.lanes["messages"], _message({"type": "text", "text": SAID})),
        (GEMINI.lanes["gemini"], _candidate({"text": SAID})),
        (RESPONSES.lanes["responses"], {"status": "completed", "output": [_ITEM]}),
    ],
)
def test_an_answer_that_is_passed_on_is_measured(lane: Lane, answer: dict[str, Any]) -> None:
    found = read_whole(lane.completion, json.dumps(answer).encode())
    assert found.finish_reason
    assert found.text == len("a\ufffd b".encode()) or lane is RESPONSES.lanes["responses"]
    assert found.body is None


def test_what_is_no_answer_is_none_with_halves_or_without() -> None:
    for body in (b"{", rb'{"x":"\ud83d', rb'["\ud83d"]', b"\xff"):
        with pytest.raises(UpstreamGarbled):
            read_whole(OPENAI.lanes["chat"].completion, body)


@pytest.mark.parametrize(
    ("data", "mended"),
    [
        (rb'"\ud83d\ude00"', None),
        (rb'"\\ud83d"', None),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\uD83D\ud83d\uDE00\ude00x"', rb'"\ufffd\ud83d\uDE00\ufffdx"'),
        (rb'{"\udfff":"\ud83d\n"}', rb'{"\ufffd":"\ufffd\n"}'),
        (rb'"\ud83', None),
    ],
)
def test_only_halves_are_changed(data: bytes, mended: bytes | None) -> None:
    assert without_halves(data) == (mended or data)
