"""What answers about sound and pictures say they took."""

import json

import pytest

from inference.ir.usage import NO_USAGE, Usage, UsageSource, filled
from inference.providers.openai.media_usage import usage_in


def test_pictures_by_the_piece_and_by_the_token() -> None:
    assert usage_in(b'{"created":1,"data":[{"url":"a"},{"url":"b"}]}').images == 2
    told = {
        "input_tokens": 50,
        "output_tokens": 300,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40, "cached_tokens": 5},
    }
    usage = usage_in(json.dumps({"data": [{"b64_json": "a"}], "usage": told}).encode())
    assert (usage.input_tokens, usage.image_input_tokens, usage.cache_read_tokens) == (50, 40, 5)
    assert (usage.output_tokens, usage.image_output_tokens, usage.images) == (300, 300, 1)


@pytest.mark.parametrize(
    ("body", "milliseconds"),
    [
        ('{"text":"a","usage":{"type":"duration","seconds":3}}', 3000),
        ('{"text":"a","duration":2.25}', 2250),
        ('{"text":"a","duration":"2.25"}', 2250),
        ('{"text":"a","duration":9,"usage":{"type":"duration","seconds":3}}', 3000),
    ],
)
def test_recordings_by_their_length(body: str, milliseconds: int) -> None:
    assert usage_in(body.encode()).audio_ms == milliseconds


@pytest.mark.parametrize(
    "body",
    [
        "Good day.",
        "",
        "1\n00:00",
        '{"text":"a"}',
        '{"duration":"long"}',
        '{"duration":-1}',
        '{"usage":{"seconds":1e9}}',
    ],
)
def test_what_says_nothing(body: str) -> None:
    assert usage_in(body.encode()) is NO_USAGE


def test_more_tokens_than_there_can_be_are_none() -> None:
    assert usage_in(b'{"usage":{"input_tokens":-5,"output_tokens":99999999999}}') is NO_USAGE


def test_what_a_target_does_not_say_is_filled_in() -> None:
    counted = Usage(audio_ms=1500, input_tokens=9, source=UsageSource.COUNTED)
    told = Usage(input_tokens=14, source=UsageSource.REPORTED)
    assert filled(told, counted) == Usage(input_tokens=14, audio_ms=1500, source=UsageSource.REPORTED)
    assert filled(NO_USAGE, counted) is counted
    assert filled(told, NO_USAGE) is told
    longer = Usage(audio_ms=3000, source=UsageSource.REPORTED)
    assert filled(longer, counted).audio_ms == 3000
