"""A conversation as a question for its tokens."""

import json

import pytest

from inference.ir.errors import UpstreamGarbled
from inference.providers.gemini.count_question import CountQuestion, read_count
from inference.providers.gemini.lanes import GeminiLane

BODY = json.dumps(
    {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "labels": {"a": "b"},
    }
).encode()


def test_ai_studio_takes_a_whole_request() -> None:
    question = CountQuestion(GeminiLane(), whole=True).question(BODY, model="gemini-x", dropped=("seed",))
    assert (question.path, question.dropped) == ("/models/gemini-x:countTokens", ("seed",))
    asked = {"model": "models/gemini-x", **json.loads(BODY)}
    assert json.loads(question.body) == {"generateContentRequest": asked}


def test_vertex_takes_what_is_read() -> None:
    lane = GeminiLane("/publishers/google")
    question = CountQuestion(lane, whole=False).question(BODY, model="gemini-x", dropped=())
    assert question.path == "/publishers/google/models/gemini-x:countTokens"
    assert set(json.loads(question.body)) == {"contents", "systemInstruction", "tools"}


def test_answers() -> None:
    assert read_count(b'{"totalTokens":13}') == 13
    assert read_count(b"{}") == 0
    for body in (b"[]", b'{"totalTokens":"many"}'):
        with pytest.raises(UpstreamGarbled):
            read_count(body)
