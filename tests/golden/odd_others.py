"""Odd answers of Anthropic's and Gemini's: of their types, or slightly wrong."""

from typing import Any

from inference.ir.completion import Finish
from tests.golden.odd_answer import Odd


def started(**usage: Any) -> dict[str, Any]:
    """The head of a stream of Anthropic's."""
    return {
        "type": "message_start",
        "message": {"id": "msg_1", "role": "assistant", "model": "m", "usage": usage},
    }


def begun(index: Any, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def more(index: Any, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


ENDED = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop"},
]
ANTHROPICS = [
    Odd(
        why="blocks without what they need, between others",
        wire="anthropic",
        answer={
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [
                None,
                {"type": "thinking", "thinking": None, "signature": None},
                {"type": "text", "text": "x", "citations": [None, {"type": "char_location", "title": 3}]},
                {"type": "text", "text": None},
                {"type": "tool_use", "id": "t1", "name": "f"},
                {"type": "server_tool_use"},
                {"kind": "of something else"},
            ],
            "stop_reason": "tool_use",
            "usage": {
                "input_tokens": 7.0,
                "output_tokens": "5",
                "cache_creation": 0,
                "server_tool_use": [],
                "iterations": {},
            },
        },
        text="x",
        calls=(("f", {}),),
        finish=Finish.TOOL_CALLS,
        input=7,
        output=5,
    ),
    Odd(
        why="nulls where an index, a text or a count belongs",
        wire="anthropic",
        events=[
            started(input_tokens=7, output_tokens=None, cache_creation="none", cache_read_input_tokens="0"),
            {"type": "ping", "index": None},
            {"type": "of tomorrow", "index": "x", "delta": 3},
            begun(None, type="text", text=None, citations=None),
            more(None, type="text_delta", text="x"),
            more(0, type="text_delta", text=None),
            more(0, type="citations_delta", citation={"type": "page_location", "cited_text": 3}),
            more(0, type="citations_delta", citation="no citation"),
            more(0, type=None, text="not said"),
            {"type": "content_block_stop", "index": None},
            *ENDED,
        ],
        text="x",
        input=7,
        output=5,
    ),
    Odd(
        why="blocks and deltas of tomorrow between today's",
        wire="anthropic",
        events=[
            started(input_tokens=7),
            begun(0, type="dream", text="of sheep"),
            more(0, type="dream_delta", dream={"a": [1]}),
            {"type": "content_block_stop", "index": 0},
            begun(1, type="text", text="x"),
            more(1, type="dream_delta", dream=None),
            {"type": "content_block_stop", "index": 1},
            *ENDED,
        ],
        text="x",
    ),
]


def candidate(*parts: Any, **more: Any) -> dict[str, Any]:
    """An answer of Gemini's, whole or one event of it."""
    return {"candidates": [{"content": {"parts": [*parts], "role": "model"}, "index": 0} | more]}


SPENT = {
    "promptTokenCount": 7,
    "candidatesTokenCount": 5,
    "totalTokenCount": "12",
    "promptTokensDetails": [None, {"modality": None, "tokenCount": None}, {"modality": 1, "tokenCount": "7"}],
    "cacheTokensDetails": 3,
}
CALLED = {
    "functionCall": {"name": "f", "args": {"a": None}, "id": None},
    "text": None,
    "thoughtSignature": None,
}
GEMINIS = [
    Odd(
        why="nulls for all that a part is not, parts and candidates that are null",
        wire="gemini",
        answer={
            "candidates": [
                None,
                *candidate(
                    None,
                    {"text": "x", "functionCall": None, "inlineData": None},
                    CALLED,
                    finishReason="STOP",
                    index=None,
                    citationMetadata=None,
                )["candidates"],
            ],
            "usageMetadata": SPENT,
            "promptFeedback": None,
            "modelVersion": 3,
            "error": None,
        },
        text="x",
        calls=(("f", {"a": None}),),
        finish=Finish.TOOL_CALLS,
        input=7,
        output=5,
    ),
    Odd(
        why="the same in a stream",
        wire="gemini",
        events=[
            {"candidates": None, "promptFeedback": None, "usageMetadata": {"promptTokenCount": "7"}},
            {
                **candidate(None, {"text": "x", "functionCall": None, "thought": None}, CALLED, index=None),
                "responseId": 3,
            },
            {"candidates": [None]},
            {**candidate(finishReason="STOP", logprobsResult=None), "usageMetadata": SPENT},
        ],
        text="x",
        calls=(("f", {"a": None}),),
        finish=Finish.TOOL_CALLS,
        input=7,
        output=5,
    ),
    Odd(
        why="results of tools, code that ran, and parts of tomorrow in an answer",
        wire="gemini",
        answer=candidate(
            {"functionResponse": {"name": "elsewhere", "response": {"a": 1}}},
            {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "1"}},
            {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "id": "1", "response": {}}},
            {"executableCode": {"code": "1", "language": "PYTHON"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            {"inlineData": {"data": 3}},
            {"functionCall": "f"},
            {"dream": "of sheep"},
            {},
            {"text": "x"},
            finishReason="STOP",
        ),
        text="x",
    ),
    Odd(
        why="the same, part by part",
        wire="gemini",
        events=[
            candidate({"functionResponse": {"name": "elsewhere"}}, {"dream": "of sheep"}),
            candidate({"inlineData": {"data": 3}}, {"executableCode": 3}, {}),
            candidate({"text": "x"}, finishReason="STOP"),
        ],
        text="x",
    ),
]
