"""Odd answers in OpenAI's Responses format, and of Cohere's: of their types, or slightly wrong."""

from typing import Any

from inference.ir.completion import Finish
from tests.golden.odd_answer import Odd


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
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], **more}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


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
