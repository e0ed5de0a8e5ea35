"""Answers that nobody has recorded: what a provider's types allow, or a server of its kind gets slightly wrong.

Whatever is odd in one place, the words, the calls and the reason to stop arrive, in every client's dialect.
"""

import json
from typing import Any

import pytest
from msgspec import Struct

from gateway.dialects.dialect import Setting
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion, Finish
from inference.ir.content import Refusal, Text, ToolCall
from inference.ir.folding import fold, unfold
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.cohere import WIRE as COHERE
from inference.providers.mistral import WIRE as MISTRAL
from inference.wire import ByModel, ChatFormat
from tests.aws_messages import event
from tests.golden.test_pairs import SIDES

SETTING = Setting(id="req-00000000000000ab00000001", model="m", created=1_700_000_000, include_usage=True)
FORMATS: dict[str, ChatFormat] = {name: own for name, (_, _, own) in SIDES.items()}
assert COHERE.chat is not None
assert MISTRAL.chat is not None
FORMATS |= {"cohere": COHERE.chat, "mistral": MISTRAL.chat}


class Odd(Struct, frozen=True, kw_only=True):
    """`answer` is a whole one, `events` are those of a stream. `calls` are names and arguments."""

    why: str
    wire: str
    answer: dict[str, Any] | None = None
    events: list[Any] | None = None
    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: Finish = Finish.STOP
    input: int | None = None
    output: int | None = None


def said(completion: Completion) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """Words and calls of the first choice."""
    parts = completion.choices[0].parts if completion.choices else ()
    words = "".join(part.text for part in parts if isinstance(part, Text | Refusal))
    calls = tuple(
        (part.name, json.loads(part.arguments or "{}")) for part in parts if isinstance(part, ToolCall)
    )
    return words, calls


def sse(events: list[Any]) -> bytes:
    """Events as they stand on the wire; a string is the data itself."""
    return b"".join(
        b"data: " + (each.encode() if isinstance(each, str) else json.dumps(each).encode()) + b"\n\n"
        for each in events
    )


def heard(odd: Odd, cut: int | None = None) -> Completion:
    """What our parser makes of it."""
    format = FORMATS[odd.wire]
    if odd.events is None:
        return format.completion(json.dumps(odd.answer).encode())
    parser, stream = format.stream(), sse(odd.events)
    pieces = [stream] if cut is None else [stream[at : at + cut] for at in range(0, len(stream), cut)]
    found = [each for piece in pieces for each in parser.feed(piece)]
    if not parser.complete:
        found += parser.finish()
    return fold(found)


def response(*items: Any, **more: Any) -> dict[str, Any]:
    """A response of OpenAI's with these items."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "output": [*items],
    } | more


def message(text: str | None, **more: Any) -> dict[str, Any]:
    """A message among its items."""
    content = [{"type": "output_text", "text": text, "annotations": []} | more]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "weather",
    "arguments": '{"city":"Van"}',
}
CREATED = {"type": "response.created", "response": response(status="in_progress")}
COMPLETED = {"type": "response.completed", "response": response()}


def piece(text: Any, index: int = 0) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": index, "content_index": 0, "delta": text}


RESPONSES = [
    Odd(
        why="results of tools the provider ran stand in the answer, their calls do not",
        wire="openai-responses",
        answer=response(
            {"type": "function_call_output", "call_id": "elsewhere", "output": "42"},
            {"type": "custom_tool_call_output", "output": [{"type": "input_text", "text": "42"}]},
            message("So it is 42."),
        ),
        text="So it is 42.",
    ),
    Odd(
        why="an item without what it needs, between others",
        wire="openai-responses",
        answer=response(
            {"type": "function_call", "arguments": "{}"},
            None,
            {"type": "reasoning", "content": 3},
            message("x"),
        ),
        text="x",
    ),
    Odd(
        why="counts and citations of no known shape",
        wire="openai-responses",
        answer=response(
            message("x", annotations=[None, {"type": "url_citation", "start_index": "far"}], logprobs=7),
            tool_usage={"web_search": {"num_requests": None}},
            usage={"input_tokens": 3, "output_tokens": 2, "input_tokens_details": 7},
        ),
        text="x",
        input=3,
        output=2,
    ),
    Odd(
        why="arguments before anybody said whose they are",
        wire="openai-responses",
        events=[
            CREATED,
            {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call"}},
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"city"'},
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": ':"Van"}'},
            {"type": "response.output_item.done", "output_index": 0, "item": CALL},
            COMPLETED,
        ],
        calls=(("weather", {"city": "Van"}),),
        finish=Finish.TOOL_CALLS,
    ),
    Odd(
        why="arguments of a call that is never told",
        wire="openai-responses",
        events=[
            CREATED,
            {"type": "response.function_call_arguments.delta", "output_index": 4, "delta": "{}"},
            {"type": "response.custom_tool_call_input.delta", "output_index": 5, "delta": "x"},
            piece("said"),
            COMPLETED,
        ],
        text="said",
    ),
    Odd(
        why="nulls where a number, a text and an annotation belong",
        wire="openai-responses",
        events=[
            CREATED,
            {"type": "response.file_search_call.searching", "output_index": None},
            {**piece("sa"), "content_index": None, "logprobs": 3},
            piece(None),
            {**piece("id"), "output_index": None},
            {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": None},
            COMPLETED,
        ],
        text="said",
    ),
]
COHERES = [
    Odd(
        why="arguments of a call that never began, a citation that is none",
        wire="cohere",
        events=[
            {"type": "message-start", "id": "1"},
            {
                "type": "tool-call-delta",
                "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": "{"}}}},
            },
            {"type": "content-start", "index": None, "delta": {"message": None}},
            {
                "type": "content-delta",
                "index": None,
                "delta": {"message": {"content": {"text": "x", "thinking": None}}},
            },
            {"type": "content-delta", "index": 0, "delta": None},
            {"type": "citation-start", "delta": {"message": {"citations": 3}}},
            {
                "type": "message-end",
                "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": "3"}}},
            },
        ],
        text="x",
        input=3,
    ),
    Odd(
        why="nulls among blocks and citations",
        wire="cohere",
        answer={
            "id": 3,
            "finish_reason": "COMPLETE",
            "message": {
                "content": [None, {"type": "text", "text": "x"}],
                "citations": [None, {"start": "?"}],
            },
            "usage": {"tokens": 7},
        },
        text="x",
    ),
]
ODD = [*RESPONSES, *COHERES]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd.wire}: {odd.why}")
def test_it_is_heard(odd: Odd) -> None:
    expected = (odd.text, tuple((name, arguments) for name, arguments in odd.calls))
    for completion in [heard(odd), *([heard(odd, 1), heard(odd, 7)] if odd.events is not None else [])]:
        assert said(completion) == expected
        assert completion.choices[0].finish is odd.finish
        assert odd.input in (None, completion.usage.input_tokens)
        assert odd.output in (None, completion.usage.output_tokens)
        for family, dialect, own in SIDES.values():
            asked = ChatRequest(model="m", messages=(), family=family)
            told = own.completion(dialect.answer(completion, asked, SETTING).body)
            assert said(told) == expected, family
            assert told.choices[0].finish is odd.finish
            writer, parser = dialect.writer(asked, SETTING), own.stream()
            again = list(
                parser.feed(b"".join(writer.write([each]) for each in unfold(completion)) + writer.finish())
            )
            if not parser.complete:
                again += parser.finish()
            assert said(fold(again)) == expected, family


def test_a_call_of_bedrocks_that_never_began() -> None:
    chat = BEDROCK.chat
    assert chat is not None
    format = chat.of("anthropic.claude-3-5-haiku-20241022-v1:0") if isinstance(chat, ByModel) else chat
    parser = format.stream()
    events: list[tuple[str, dict[str, Any]]] = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"toolUse": {"input": "{}"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x"}}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1}}),
    ]
    found = parser.feed(b"".join(event(kind, json.dumps(payload).encode()) for kind, payload in events))
    for family, dialect, _ in SIDES.values():
        writer = dialect.writer(ChatRequest(model="m", messages=(), family=family), SETTING)
        assert b'"x"' in writer.write(found) + writer.finish()
    assert said(fold(found)) == ("x", ())
