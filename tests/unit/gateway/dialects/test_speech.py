"""What clients of speech send."""

import json

import pytest

from gateway.dialects.speech import Speech, spoken
from inference.ir.errors import InvalidField

DIALECT = Speech()
BODY = {"model": "m", "input": "Grüß Gott!", "voice": "alloy"}


def test_what_is_held_and_counted() -> None:
    request = DIALECT.decode(json.dumps({**BODY, "aspendos": {"tags": {"a": "b"}}}).encode())
    assert (request.characters, request.counted.characters, request.piped, request.stream) == (
        10,
        10,
        True,
        False,
    )
    assert (request.tags, request.hints) == ({"a": "b"}, True)
    events = DIALECT.decode(json.dumps({**BODY, "stream_format": "sse"}).encode())
    assert (events.stream, events.piped) == (True, False)


def test_tokens_are_estimated_by_the_time_it_takes_to_say() -> None:
    """Fifteen bytes a second, 1,250 tokens a minute."""
    minute = spoken("a" * 900)
    assert (minute.output_tokens, minute.audio_output_tokens, minute.input_tokens) == (1250, 1250, 225)
    assert spoken("字" * 300).output_tokens == 1250


def test_a_request_in_neutral_words() -> None:
    asked = DIALECT.parse(json.dumps({**BODY, "voice": {"id": "own"}, "speed": 2, "seed": 1}).encode())
    assert (asked.voice, asked.speed, asked.format, list(asked.rest)) == ("own", 2, None, ["seed"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("input", ""), ("speed", 0.1), ("response_format", "x"), ("stream_format", "x"), ("voice", 1)],
)
def test_values_that_are_none(field: str, value: object) -> None:
    with pytest.raises(InvalidField) as refused:
        DIALECT.decode(json.dumps({**BODY, field: value}).encode())
    assert refused.value.param == field
