"""Counting tokens without asking anybody."""

import json
from typing import Any

import pytest

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import Counting
from gateway.http.count_tokens import CountTokens
from inference.ir.errors import InvalidField

BY_ADDRESS = {"type": "image", "source": {"url": "https://example.com/a.png", "type": "url"}}


def question(*blocks: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": list(blocks)}]}).encode()


@pytest.mark.parametrize(
    ("block", "lane"),
    [
        (BY_ADDRESS, "count_tokens_by_address"),
        ({"type": "document", "source": {"type": "url", "url": "https://x"}}, "count_tokens_by_address"),
        ({"type": "tool_result", "tool_use_id": "t", "content": [BY_ADDRESS]}, "count_tokens_by_address"),
        ({"type": "image", "source": {"type": "base64", "data": "AAAA", "media_type": "image/png"}}, ""),
        ({"type": "text", "text": '"source": {"type": "url", "url": "https://x"}'}, ""),
        ({"type": "tool_use", "id": "t", "name": "fetch", "input": {"url": "https://x"}}, ""),
    ],
)
def test_what_is_shown_by_its_address_wants_more_of_a_target(block: Any, lane: str) -> None:
    assert CountTokens().decode(question(block)).lane == lane
    message = json.loads(question(block)) | {"max_tokens": 5}
    found = Messages().decode(json.dumps(message).encode()).lane
    assert found == lane.replace("count_tokens", "messages")


def test_a_question_is_read_as_a_message() -> None:
    count = CountTokens()
    assert isinstance(count, Counting)
    body = question({"type": "text", "text": "How late is it?"})
    (message,) = count.counts.parse(count.whole(body)).messages
    assert len(message.parts) == 1
    assert json.loads(count.told(7)) == {"input_tokens": 7}


def test_files_are_not_counted_as_text() -> None:
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000},
    }
    body = {"model": "m", "messages": [{"role": "user", "content": [picture]}]}
    assert 800 <= json.loads(CountTokens().estimated(json.dumps(body).encode()))["input_tokens"] < 900


def test_tools_and_system_count() -> None:
    turn = [{"role": "user", "content": "x" * 400}]
    less = json.loads(CountTokens().estimated(json.dumps({"model": "m", "messages": turn}).encode()))
    body = {"model": "m", "messages": turn, "system": "y" * 400, "tools": [{"name": "z" * 400}]}
    more = json.loads(CountTokens().estimated(json.dumps(body).encode()))
    assert more["input_tokens"] - less["input_tokens"] >= 200


def test_no_tokens_are_used_up() -> None:
    request = CountTokens().decode(b'{"model":"m","messages":[{"role":"user","content":"a long one"}]}')
    assert (request.prompt, request.max_output, request.stream) == (b"", 1, False)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"messages":[{}]}', "model"),
    ],
)
def test_mistakes(body: bytes, path: str) -> None:
    with pytest.raises(InvalidField) as wrong:
        CountTokens().decode(body)
    assert wrong.value.param == path
