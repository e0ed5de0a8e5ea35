"""Odd answers in OpenAI's chat format, as its kin have been known to write it, or might."""

from typing import Any

from inference.ir.completion import Finish
from tests.golden.odd_answer import Odd


def chunk(delta: Any = None, finish: Any = None, **more: Any) -> dict[str, Any]:
    """One event of OpenAI's chat format."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
    } | more


def chat(message: dict[str, Any], finish: Any = "stop", **more: Any) -> dict[str, Any]:
    """A whole answer in it."""
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]} | more


def tool(name: Any, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}} | more


DONE = "[DONE]"
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
CHATS = [
    Odd(
        why="a role and usage in every event, ids that are numbers, times with fractions",
        wire="openai-chat",
        events=[
            chunk(
                {"role": "assistant", "content": "Hel"}, id=17, created=1.5, usage=USAGE, system_fingerprint=3
            ),
            chunk(
                {"role": "assistant", "content": "lo"},
                "",
                id=17,
                created=1.5,
                usage=USAGE,
                prompt_logprobs=[None],
            ),
            chunk(
                {"role": "assistant", "content": None, "tool_calls": None, "audio": None, "images": None},
                "stop",
            ),
            chunk({"role": "assistant", "content": ""}, "", usage=USAGE),
            {"id": 17, "choices": None, "usage": USAGE},
            {"id": 17, "choices": [], "usage": USAGE},
            DONE,
        ],
        text="Hello",
        input=7,
        output=5,
    ),
    Odd(
        why="calls whole in one event, without index or type, arguments an object, one without any",
        wire="openai-chat",
        events=[
            chunk({"content": None, "tool_calls": [tool("f", {"a": 1}, id="x"), tool("g", None, id="y")]}),
            chunk({}, "tool_calls"),
            DONE,
        ],
        calls=(("f", {"a": 1}), ("g", {})),
        finish=Finish.TOOL_CALLS,
    ),
    Odd(
        why="nulls among choices and calls",
        wire="openai-chat",
        events=[
            chunk({"tool_calls": [None, tool("f", "", index=0, id="x")]}),
            chunk({"tool_calls": [tool(None, '{"a":', index=0, id=None)]}),
            chunk({"tool_calls": [tool("", "1}", index=0, id="")]}),
            chunk({}, choices=[None]),
            chunk(None, "tool_calls"),
            DONE,
        ],
        calls=(("f", {"a": 1}),),
        finish=Finish.TOOL_CALLS,
    ),
    Odd(
        why="content that is a list, of pieces and of plain strings",
        wire="openai-chat",
        events=[
            chunk({"content": ["a", {"type": "text", "text": "b"}, None, {"type": "text"}, {}]}),
            chunk({}, "stop"),
            DONE,
        ],
        text="ab",
    ),
    Odd(
        why="log probabilities, citations, thoughts and pictures of no known shape",
        wire="openai-chat",
        events=[
            chunk(
                {
                    "content": "a",
                    "annotations": [None, "b", {"url_citation": 3}],
                    "images": ["x"],
                    "audio": "y",
                }
            ),
            {**chunk({"content": "b", "reasoning_details": {"a": 1}, "reasoning": {"b": 2}}), "error": None},
            {**chunk({"content": "c"}), "error": {}},
            chunk({}, choices=[{"index": 0, "delta": {"content": "d"}, "logprobs": "none"}]),
            chunk(
                {}, choices=[{"delta": {"content": "e"}, "logprobs": {"content": 3}, "finish_reason": "stop"}]
            ),
            DONE,
        ],
        text="abcde",
    ),
    Odd(
        why="everything beside the words of no known shape",
        wire="openai-chat",
        answer=chat(
            {
                "content": "x",
                "annotations": {"a": 1},
                "images": ["y", None],
                "audio": "z",
                "tool_calls": [None],
                "reasoning_details": {"a": 1},
                "reasoning": {"b": 2},
                "function_call": {},
                "extra_content": [],
            },
            id=3,
            created="then",
            usage={"prompt_tokens": "7", "completion_tokens": 5.0, "prompt_tokens_details": []},
            error={},
            service_tier=4,
        ),
        text="x",
        input=7,
        output=5,
    ),
    Odd(
        why="content that is a list of strings, an empty reason, log probabilities that are none",
        wire="openai-chat",
        answer=chat(
            {"content": ["a", None, {"type": "text", "text": None}, {"type": "text", "text": "b"}]},
            "stop",
            choices=[None],
        )
        | {
            "choices": [
                None,
                {
                    "index": None,
                    "message": {"content": ["a", None, {"type": "text", "text": "b"}]},
                    "finish_reason": "stop",
                    "logprobs": [1],
                },
            ]
        },
        text="ab",
    ),
    Odd(
        why="calls with objects for arguments, or nothing at all, and no ids",
        wire="openai-chat",
        answer=chat(
            {"content": "", "tool_calls": [tool("f", {"a": 1}), tool("g", None), {"id": "q"}]}, "stop"
        ),
        calls=(("f", {"a": 1}), ("g", {})),
        finish=Finish.TOOL_CALLS,
    ),
    Odd(
        why="thoughts under a third name",
        wire="openai-chat",
        events=[chunk({"thinking": "hm"}), chunk({"content": "x"}), chunk({}, "stop"), DONE],
        text="x",
        thought="hm",
    ),
    Odd(
        why="thoughts under a third name, whole",
        wire="openai-chat",
        answer=chat({"content": "x", "thinking": "hm"}),
        text="x",
        thought="hm",
    ),
]
