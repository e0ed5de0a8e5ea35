"""Answers that nobody has recorded: what a provider's types allow, or a server of its kind gets slightly wrong."""

from typing import Any

from msgspec import Struct

from inference.ir.completion import Finish


class Odd(Struct, frozen=True, kw_only=True):
    """`answer` is a whole one, `events` are those of a stream. `calls` are names and arguments."""

    why: str
    wire: str
    answer: dict[str, Any] | None = None
    events: list[Any] | None = None
    text: str = ""
    thought: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    finish: Finish = Finish.STOP
    input: int | None = None
    output: int | None = None


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
ODD = [*GEMINIS, *ANTHROPICS, *RESPONSES, *COHERES, *CHATS]
