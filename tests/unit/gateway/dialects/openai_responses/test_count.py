"""OpenAI's question for the tokens of a response."""

import json

import pytest

from gateway.dialects.dialect import Counting, Thread
from gateway.dialects.openai_responses.count import InputTokens
from inference.ir.content import Text
from inference.ir.errors import InvalidField

COUNT = InputTokens()


def test_a_question_uses_no_tokens_up() -> None:
    asked = COUNT.decode(b'{"model":"m","input":"How late is it?","stream":true}')
    assert (asked.model, asked.prompt, asked.max_output, asked.stream) == ("m", b"", 1, False)
    assert asked.thread is None
    going_on = COUNT.decode(b'{"model":"m","input":"Hi","previous_response_id":"resp_1"}')
    assert going_on.thread == Thread(previous="resp_1", keep=False, counted=True)
    with pytest.raises(InvalidField):
        COUNT.decode(b'{"model":"m"}')


def test_answers() -> None:
    assert isinstance(COUNT, Counting)
    body = b'{"model":"m","input":"How late is it?"}'
    assert json.loads(COUNT.told(7)) == {"object": "response.input_tokens", "input_tokens": 7}
    assert json.loads(COUNT.estimated(body))["input_tokens"] > 1
    (message,) = COUNT.counts.parse(COUNT.whole(body)).messages
    assert message.parts == (Text(text="How late is it?"),)
