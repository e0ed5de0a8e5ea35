"""Recorded calls of real providers through tap and meter: every byte kept, usage and reason found, hidden at will.

Reads the recordings beside the project; says so and skips where they are not there.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw, Struct

from gateway.dialects.openai_chat import Chat
from inference.codecs.token_estimate import estimate_input, estimate_output
from inference.ir.errors import AspendosError
from inference.ir.usage import UsageSource
from inference.providers.openai.lanes import OpenAILane
from inference.wire import StreamOptions

RECORDED = Path(__file__).parents[3] / "shared" / "recorded"
LANE = OpenAILane("/chat/completions")
PROVIDERS = (
    "openai",
    "azure-openai",
    "groq",
    "openrouter",
    "deepseek",
    "together",
    "mistral",
    "zai",
    "huggingface",
)
NULL = Raw(b"null")


class Recording(Struct):
    url: str
    status: int
    stream: bool = False
    request: Raw = NULL
    response: Raw = NULL
    response_text: str | None = None

    @property
    def text(self) -> bytes:
        return (self.response_text or "").encode()


class Details(Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Reported(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None

    @property
    def thought(self) -> int:
        return (self.completion_tokens_details or Details()).reasoning_tokens or 0


class Groq(Struct):
    usage: Reported | None = None


class Answer(Struct):
    usage: Reported | None = None
    x_groq: Groq | None = None


class Asked(Struct):
    messages: Raw = NULL


def calls(provider: str, *, stream: bool) -> Iterator[Recording]:
    file = RECORDED / f"{provider}.jsonl"
    if not file.exists():
        pytest.skip("the recorded provider traffic is not beside the project")
    for line in file.read_bytes().splitlines():
        call = msgspec.json.decode(line, type=Recording)
        if "chat/completions" in call.url and call.status == 200 and call.stream is stream:
            yield call


def reported(stream: bytes) -> Reported | None:
    """The usage of a stream, read the slow way: every event decoded."""
    found = None
    for line in stream.splitlines():
        if line.startswith(b"data: {"):
            event = msgspec.json.decode(line[6:], type=Answer)
            found = event.usage or (event.x_groq or Groq()).usage or found
    return found


@pytest.mark.parametrize("provider", PROVIDERS)
def test_streams_pass_unharmed_and_are_metered(provider: str) -> None:
    seen = 0
    for call in calls(provider, stream=True):
        stream = call.text
        expected = reported(stream)
        reasons = re.findall(rb'"finish_reason": ?"(\w+)"', stream)
        one_by_one = [event for event in re.split(rb"(?<=\n\n)", stream) if event]
        cuts = [
            [stream[at : at + step] for at in range(0, len(stream), step)]
            for step in (len(stream), 4096, 997, 64)
        ]
        for pieces in (*cuts, one_by_one):
            tap = LANE.stream(StreamOptions(include_usage=True))
            out = b"".join(map(tap.feed, pieces)) + tap.finish()
            assert out == stream
            assert tap.done
            assert tap.finish_reason == (reasons[0].decode() if reasons else None)
            usage = tap.usage()
            if expected is None:
                assert usage.source is UsageSource.NONE
            else:
                assert usage.input_tokens == expected.prompt_tokens
                assert usage.output_tokens >= (expected.completion_tokens or 0)
        hidden = LANE.stream(None)
        rest = hidden.feed(stream) + hidden.finish()
        assert not re.search(rb'"choices": ?\[\],[^\n]*"usage": ?\{', rest)
        seen += 1
    assert seen


@pytest.mark.parametrize("provider", PROVIDERS)
def test_whole_responses_are_metered(provider: str) -> None:
    for call in calls(provider, stream=False):
        if call.response == NULL:
            continue  # recorded without its body
        if "error" in msgspec.json.decode(call.response, type=dict[str, Raw]):
            with pytest.raises(AspendosError):  # a refusal is nothing to meter
                LANE.completion(bytes(call.response))
            continue
        usage = msgspec.json.decode(call.response, type=Answer).usage
        metered = LANE.completion(bytes(call.response)).usage
        if usage is not None:
            assert metered.input_tokens == (usage.prompt_tokens or 0)
            assert metered.output_tokens >= (usage.completion_tokens or 0)
            assert metered.cache_read_tokens >= (
                (usage.prompt_tokens_details or Details()).cached_tokens or 0
            )


def near(estimate: int, count: int | None) -> bool:
    return bool(count) and 0.5 <= estimate / (count or 1) <= 2.0


def test_the_stated_bound_of_counted_output() -> None:
    """Reasoning is delivered by some and kept back by others: the estimate must be near one of the two."""
    hits = total = 0
    for call in (call for provider in PROVIDERS for call in calls(provider, stream=True)):
        usage = reported(call.text)
        if usage is None or (usage.completion_tokens or 0) < 8:
            continue
        tap = LANE.stream(None)
        tap.feed(call.text)
        estimate = estimate_output(tap.events, tap.size, tap.sample)
        count = usage.completion_tokens or 0
        total += 1
        hits += near(estimate, count) or near(estimate, count - usage.thought)
    assert total > 50
    assert hits / total >= 5 / 6, f"{hits} of {total}"


def test_the_stated_bound_of_counted_input() -> None:
    hits = total = 0
    for stream in (True, False):
        for call in (call for provider in PROVIDERS for call in calls(provider, stream=stream)):
            recorded = call.request != NULL and (stream or call.response != NULL)
            if not recorded or msgspec.json.decode(call.request, type=Asked).messages == NULL:
                continue
            usage = reported(call.text) if stream else msgspec.json.decode(call.response, type=Answer).usage
            if usage is None or not usage.prompt_tokens:
                continue
            compact = msgspec.json.format(bytes(call.request), indent=-1)
            total += 1
            hits += near(estimate_input(Chat().decode(compact).prompt), usage.prompt_tokens)
    assert total > 500
    assert hits / total >= 3 / 4, f"{hits} of {total}"
