"""The plainest lane: what it changes of a request, what it says to a stream."""

import json

import pytest

from inference.ir.errors import InvalidField
from inference.ir.usage import Usage
from inference.renaming_lane import RenamingLane
from inference.wire import Original

BODY = b'{"model": "m",  "input": 1.50, "aspendos": {"tags": ["x"]}}'


def lane() -> RenamingLane:
    return RenamingLane("/sort", lambda body: Usage(input_tokens=len(body)))


def test_bytes_are_the_clients_own_unless_something_has_to_change() -> None:
    assert lane().path("any", stream=False) == "/sort"
    assert lane().request(Original(body=BODY, model="m", stream=False), "m") is BODY
    patched = lane().request(Original(body=BODY, model="m", stream=False, hints=True), "other")
    assert b"1.50" in patched
    assert json.loads(patched) == {"model": "other", "input": 1.5}


def test_an_answer_is_measured_as_its_format_says() -> None:
    assert lane().completion(b"four").usage.input_tokens == 4


def test_a_stream_is_refused_in_words() -> None:
    with pytest.raises(InvalidField, match="not streamed") as refused:
        lane().stream(None)
    assert refused.value.param == "stream"
