"""The OpenAI lane: what is patched, and what usage means."""

import json

import pytest
from msgspec import Raw

from inference.ir.errors import UpstreamGarbled, UpstreamRateLimited
from inference.ir.usage import Usage, UsageSource
from inference.providers.openai.lanes import OpenAILane
from inference.providers.openai.usage import read_usage
from inference.wire import Original, StreamOptions

LANE = OpenAILane("/chat/completions")
VLLM = OpenAILane("/v1/chat/completions", continuous_usage=True)


def test_a_body_that_needs_no_change_is_the_clients_own() -> None:
    body = b'{ "model": "m", "messages": [] }'
    assert LANE.request(Original(body=body, model="m", stream=False), "m") is body


def test_only_model_and_stream_options_change() -> None:
    body = b'{"model":"alias","messages":[1.0],"stream":true,"x":{"deep":null},"stream_options":{"other":1}}'
    sent = json.loads(LANE.request(Original(body=body, model="alias", stream=True), "real"))
    assert sent == {
        "model": "real",
        "messages": [1.0],
        "stream": True,
        "x": {"deep": None},
        "stream_options": {"other": 1, "include_usage": True},
    }


def test_usage_is_forced_even_when_the_client_says_no() -> None:
    body = b'{"model":"m","stream":true,"stream_options":{"include_usage":false}}'
    assert json.loads(LANE.request(Original(body=body, model="m", stream=True), "m"))["stream_options"] == {
        "include_usage": True
    }
    body = b'{"model":"m","stream":true,"stream_options":null}'
    assert json.loads(VLLM.request(Original(body=body, model="m", stream=True), "m"))["stream_options"] == {
        "include_usage": True,
        "continuous_usage_stats": True,
    }


def test_routing_hints_are_taken_out() -> None:
    sent = LANE.request(
        Original(body=b'{"model":"m","aspendos":{"tags":[]}}', model="m", stream=False, hints=True), "m"
    )
    assert json.loads(sent) == {"model": "m"}


@pytest.mark.parametrize(
    ("options", "usage_hidden", "continuous_hidden"),
    [
        (None, True, True),
        (StreamOptions(include_usage=True), False, True),
        (StreamOptions(include_usage=True, continuous_usage_stats=True), False, False),
    ],
)
def test_what_only_we_asked_for_is_hidden(
    options: StreamOptions | None, usage_hidden: bool, continuous_hidden: bool
) -> None:
    tap = VLLM.stream(options)
    assert (tap.hide_usage, tap.hide_continuous) == (usage_hidden, continuous_hidden)
    assert not LANE.stream(options).hide_continuous


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}, (9, 4, 0, 0, 0)),
        (
            {
                "prompt_tokens": 90,
                "completion_tokens": 40,
                "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            (90, 40, 64, 0, 30),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8}, (10, 2, 8, 0, 0)),
        # xAI: reasoning is outside completion_tokens, which the total gives away
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            (32, 103, 0, 0, 94),
        ),
        ({"prompt_tokens": 5, "total_tokens": 5}, (5, 0, 0, 0, 0)),
        ({"prompt_tokens": 5.0, "completion_tokens": 2.0, "prompt_tokens_details": None}, (5, 2, 0, 0, 0)),
        ({"prompt_tokens": -5, "completion_tokens": 2}, (0, 0, 0, 0, 0)),
        ({"prompt_tokens": 10**30, "completion_tokens": 1}, (0, 0, 0, 0, 0)),
        ({"prompt_tokens": "many"}, (0, 0, 0, 0, 0)),
    ],
)
def test_usage_counts_each_token_once(reported: dict[str, object], expected: tuple[int, ...]) -> None:
    usage = read_usage(Raw(json.dumps(reported).encode()))
    assert (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    ) == expected


@pytest.mark.parametrize(
    ("given", "made", "cached", "believed"),
    [
        (67_000_000, 99_999_999, 100_000_000, True),  # whose bits together are more than any call has
        (100_000_001, 1, 0, False),
        (1, 100_000_001, 0, False),
        (1, 1, 2**70, False),
        (-1, 5, 0, False),
        (5, 1, -1, False),
    ],
)
def test_usage_that_no_call_can_have_is_not_believed(
    given: int, made: int, cached: int, believed: bool
) -> None:
    said = {
        "prompt_tokens": given,
        "completion_tokens": made,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    usage = read_usage(Raw(json.dumps(said).encode()))
    expected = (given, made, cached) if believed else (0, 0, 0)
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == expected
    assert (usage.source is UsageSource.REPORTED) is believed


def test_a_whole_response() -> None:
    body = b'{"choices":[{"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    completed = LANE.completion(body)
    assert completed.finish_reason == "length"
    assert completed.usage == Usage(input_tokens=3, output_tokens=1, source=UsageSource.REPORTED)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"choices":[', b"[]", b"1"])
def test_a_response_that_is_no_json_object_is_garbled(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        LANE.completion(body)


def test_a_response_of_surprising_types_is_still_metered() -> None:
    body = b'{"choices":[{"finish_reason":7}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    assert LANE.completion(body).usage.input_tokens == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", b"{}"),
        ("/chat/completions", b'{"choices":null}'),
        ("/chat/completions", b'{"choices":"none","usage":{"prompt_tokens":3}}'),
        ("/chat/completions", b'{"id":"x","data":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}'),
        ("/completions", b'{"usage":{"prompt_tokens":3,"completion_tokens":1}}'),
        ("/v1/embeddings", b'{"object":"list","usage":{"prompt_tokens":3}}'),
        ("/embeddings", b'{"choices":[],"usage":{"prompt_tokens":3}}'),
        ("/moderations", b"{}"),
    ],
)
def test_a_response_that_holds_no_answer_is_garbled(path: str, body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        OpenAILane(path).completion(body)


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        ("/chat/completions", b'{"choices":[],"usage":{"prompt_tokens":3}}', 3),
        ("/chat/completions", b'{"choices":[]}', 0),
        ("/embeddings", b'{"data":[],"usage":{"prompt_tokens":3}}', 3),
        ("/embeddings", b'{"data":[{"embedding":[1.5]}]}', 0),
        ("/embeddings", b'{"data":[{"embedding":[1.5]}],"usage":{"prompt_tokens":"?"}}', 0),
        ("/moderations", b'{"results":[{"flagged":false}]}', 0),
    ],
)
def test_an_answer_may_be_empty_but_not_absent(path: str, body: bytes, read: int) -> None:
    completed = OpenAILane(path).completion(body)
    assert (completed.usage.input_tokens, completed.finish_reason) == (read, None)


def test_an_error_in_the_place_of_choices_is_raised_whatever_it_counts() -> None:
    body = b'{"error":{"message":"too busy","code":429},"usage":{"prompt_tokens":3,"completion_tokens":0}}'
    with pytest.raises(UpstreamRateLimited):
        LANE.completion(body)


def test_stream_usage_from_groqs_place_and_its_source() -> None:
    tap = LANE.stream(None)
    tap.feed(b'data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":4,"completion_tokens":2}}}\n\n')
    assert tap.usage() == Usage(input_tokens=4, output_tokens=2, source=UsageSource.REPORTED)
    odd = LANE.stream(None)
    odd.feed(
        b'data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":"4","completion_tokens":2}},"usage":null}\n\n'
    )
    assert odd.usage() == Usage(input_tokens=4, output_tokens=2, source=UsageSource.REPORTED)
    cut = VLLM.stream(None)
    cut.feed(b'data: {"choices":[{}],"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\n')
    assert cut.usage().source is UsageSource.CONTINUOUS
    assert LANE.stream(None).usage().source is UsageSource.NONE
