"""Errors that providers report inside a stream, as their SDKs' types and documents have them, in every format: the
words are kept, the status is the one it would have been as an answer, and nothing follows."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from inference.codecs.sse import StreamTap
from inference.ir.events import Ended, Event, Failed
from inference.providers.anthropic.chat_stream import ChatStream as AnthropicStream
from inference.providers.cohere.chat_stream import CohereStream
from inference.providers.gemini.chat_stream import GeminiParser
from inference.providers.mistral.answers import MistralParser
from inference.providers.openai.chat_stream import ChatParser
from inference.providers.openai.responses_stream import ResponsesParser
from inference.wire import Parser

WORDS = "It broke, they say."


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def named(name: str, value: Any) -> bytes:
    return b"event: " + name.encode() + b"\n" + data(value)


def chunk(**more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "He"}, "finish_reason": None}],
        **more,
    }


def broken_choice(**more: Any) -> dict[str, Any]:
    return chunk(choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": "error", **more}])


FAILED = {"code": "server_error", "message": WORDS}
CHAT: list[tuple[str, bytes, int, str]] = [
    (
        "openai",
        data({"error": {"message": WORDS, "type": "server_error", "code": None}}),
        502,
        "upstream_failed",
    ),
    (
        "openai, too long",
        data(
            {"error": {"message": WORDS, "type": "invalid_request_error", "code": "context_length_exceeded"}}
        ),
        400,
        "context_length_exceeded",
    ),
    (
        "azure",
        data({"error": {"message": WORDS, "code": "content_filter", "status": 400}}),
        400,
        "content_policy_violation",
    ),
    (
        "vllm",
        data({"error": {"message": WORDS, "type": "BadRequestError", "param": None, "code": 400}}),
        400,
        "upstream_refused",
    ),
    (
        "older vllm",
        data({"object": "error", "message": WORDS, "type": "BadRequestError", "param": None, "code": 400}),
        400,
        "upstream_refused",
    ),
    (
        "mistral",
        data({"object": "error", "message": WORDS, "type": "rate_limited", "param": None, "code": "1300"}),
        429,
        "upstream_rate_limited",
    ),
    (
        "mistral, a failure",
        data({"object": "error", "message": WORDS, "type": "internal_server_error", "code": "1000"}),
        502,
        "upstream_failed",
    ),
    ("openrouter", data(chunk(error={"code": 503, "message": WORDS})), 503, "upstream_overloaded"),
    (
        "openrouter, at the choice",
        data(broken_choice(error={"code": 502, "message": WORDS})),
        502,
        "upstream_failed",
    ),
    (
        "groq",
        named("error", {"error": {"message": WORDS, "type": "internal_server_error", "status_code": 500}}),
        502,
        "upstream_failed",
    ),
    (
        "groq, beside usage",
        data(chunk(choices=[], x_groq={"id": "r", "error": WORDS})),
        502,
        "upstream_failed",
    ),
    (
        "deepseek",
        data({"error": {"message": WORDS, "type": "invalid_request_error", "param": None, "code": 422}}),
        422,
        "upstream_refused",
    ),
    (
        "hugging face",
        data({"error": {"message": WORDS, "http_status_code": 422}}),
        422,
        "upstream_refused",
    ),
    ("ollama", data({"error": WORDS}), 502, "upstream_failed"),
    ("a server made with FastAPI", data({"detail": WORDS}), 502, "upstream_failed"),
]


def outcome(parser: Parser, *stream: bytes) -> Failed:
    events: list[Event] = []
    for piece in stream:
        events += parser.feed(piece)
    assert parser.complete
    assert not any(isinstance(event, Ended) for event in events)
    last = events[-1]
    assert isinstance(last, Failed)
    assert not parser.feed(b"data: [DONE]\n\n")
    return last


@pytest.mark.parametrize("first", [b"", data(chunk())], ids=["at once", "later"])
@pytest.mark.parametrize("reader", [ChatParser, MistralParser])
@pytest.mark.parametrize(("stream", "status", "code"), [case[1:] for case in CHAT], ids=[c[0] for c in CHAT])
def test_openais_chat_format_and_its_kin(
    stream: bytes, status: int, code: str, reader: type[ChatParser], first: bytes
) -> None:
    failed = outcome(reader(), first, stream)
    assert (failed.error.http_status, failed.error.code) == (status, code)
    assert WORDS in failed.error.message


@pytest.mark.parametrize("word", ["error", "abort", "network_error", "insufficient_system_resource"])
def test_an_answer_that_was_broken_off_is_no_whole_one(word: str) -> None:
    broken = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": word}])
    failed = outcome(ChatParser(), data(chunk()), data(broken) + b"data: [DONE]\n\n")
    assert failed.error.http_status == 502
    assert word in failed.error.message


@pytest.mark.parametrize("stream", [case[1] for case in CHAT if case[0] != "a server made with FastAPI"])
def test_what_is_passed_on_is_known_to_have_failed(stream: bytes) -> None:
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    assert tap.feed(data(chunk()) + stream) == data(chunk()) + stream
    assert WORDS.encode() in tap.upstream_error


@pytest.mark.parametrize(
    "innocent",
    [
        chunk(error=None),
        chunk(choices=[{"index": 0, "delta": {"content": '{"error": {"object":"error"}}'}}]),
        chunk(choices=[{"index": 0, "delta": {"tool_calls": [{"function": {"arguments": {"error": "x"}}}]}}]),
    ],
)
def test_what_only_speaks_of_errors_is_none(innocent: dict[str, Any]) -> None:
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    tap.feed(data(innocent))
    assert tap.upstream_error == b""


async def _told(stream: bytes) -> AsyncIterator[ChatCompletionChunk]:
    async def serve(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    transport = httpx2.MockTransport(serve)
    async with openai.AsyncOpenAI(api_key="k", http_client=httpx2.AsyncClient(transport=transport)) as client:
        answer = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        async for each in answer:
            yield each


@pytest.mark.parametrize("name", ["openai", "azure", "vllm", "openrouter", "deepseek"])
async def test_the_words_are_those_that_openais_own_sdk_reads(name: str) -> None:
    stream = next(case[1] for case in CHAT if case[0] == name)
    with pytest.raises(openai.APIError) as read:
        async for _ in _told(data(chunk()) + stream):
            pass
    assert read.value.message in outcome(ChatParser(), data(chunk()), stream).error.message


BEGAN: dict[str, Any] = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {"id": "r", "model": "m", "output": []},
}
OTHERS: list[tuple[str, type[Parser], bytes, int, str]] = [
    (
        "responses, failed",
        ResponsesParser,
        named("response.created", BEGAN)
        + named(
            "response.failed",
            {"type": "response.failed", "response": {"id": "r", "status": "failed", "error": FAILED}},
        ),
        502,
        "upstream_stream_error",
    ),
    (
        "responses, an error",
        ResponsesParser,
        named("error", {"type": "error", "code": "rate_limit_exceeded", "message": WORDS, "param": None}),
        429,
        "upstream_rate_limited",
    ),
    (
        "responses, too long",
        ResponsesParser,
        named(
            "error",
            {"type": "error", "error": {"type": "x", "code": "context_length_exceeded", "message": WORDS}},
        ),
        400,
        "context_length_exceeded",
    ),
    (
        "anthropic",
        AnthropicStream,
        named("error", {"type": "error", "error": {"type": "overloaded_error", "message": WORDS}}),
        503,
        "upstream_overloaded",
    ),
    (
        "gemini",
        GeminiParser,
        data({"error": {"code": 503, "message": WORDS, "status": "UNAVAILABLE"}}),
        503,
        "upstream_overloaded",
    ),
    (
        "gemini, as an array",
        GeminiParser,
        data([{"error": {"code": 429, "message": WORDS, "status": "RESOURCE_EXHAUSTED"}}]),
        429,
        "upstream_rate_limited",
    ),
    (
        "cohere, at the end",
        CohereStream,
        named("message-end", {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": WORDS}}),
        502,
        "upstream_failed",
    ),
    ("cohere, plainly", CohereStream, data({"message": WORDS}), 502, "upstream_failed"),
]


@pytest.mark.parametrize(
    ("reader", "stream", "status", "code"), [case[1:] for case in OTHERS], ids=[case[0] for case in OTHERS]
)
def test_every_other_format(reader: type[Parser], stream: bytes, status: int, code: str) -> None:
    failed = outcome(reader(), stream)
    assert (failed.error.http_status, failed.error.code) == (status, code)
    assert WORDS in failed.error.message


def test_coheres_end_without_words_is_a_failure_too() -> None:
    end = named("message-end", {"type": "message-end", "delta": {"finish_reason": "ERROR"}})
    assert "ERROR" in outcome(CohereStream(), end).error.message
