"""Counting tokens without asking anybody."""

import json

import pytest

from gateway.http.count_tokens import CountTokens
from inference.ir.errors import InvalidField


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
