"""Recorded answers with one thing changed: never a failure of ours, and words that were not touched are not lost."""

import json
import random
from collections.abc import Iterator
from typing import Any, cast

import pytest

from gateway.dialects.dialect import Setting
from inference.codecs.sse_reader import SseReader
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.ir.content import Text
from inference.ir.errors import AspendosError, InvalidField
from inference.ir.events import Event
from inference.ir.folding import fold, unfold
from inference.providers.cohere import WIRE as COHERE
from inference.providers.mistral import WIRE as MISTRAL
from inference.wire import ChatFormat
from tests.golden.test_pairs import SIDES
from tests.recorded.calls import calls

SETTING = Setting(id="req-00000000000000ab00000001", model="m", created=1_700_000_000, include_usage=True)
assert COHERE.chat is not None
assert MISTRAL.chat is not None
SOURCES: dict[str, tuple[str, str, ChatFormat]] = {
    "openai": ("openai", "/chat/completions", SIDES["openai-chat"][2]),
    "responses": ("openai", "/v1/responses", SIDES["openai-responses"][2]),
    "anthropic": ("anthropic", "/v1/messages", SIDES["anthropic"][2]),
    "gemini": ("gemini", "enerateContent", SIDES["gemini"][2]),
    "cohere": ("cohere", "/v2/chat", COHERE.chat),
    "mistral": ("mistral", "/chat/completions", MISTRAL.chat),
    "openrouter": ("openrouter", "/chat/completions", SIDES["openai-chat"][2]),
}
VALUES: tuple[Any, ...] = (
    None,
    "",
    "words",
    12345678901234567890123,
    -1.5,
    {"a": [1]},
    [{"a": 1}],
    [None],
    True,
)
GONE = object()
Answer = list[Any]
"""The events of a stream, or one whole answer; a string is no JSON."""


def answered(provider: str, path: str, format: ChatFormat) -> Iterator[tuple[bool, Answer]]:
    """Short recorded answers, and whether each is a stream."""
    found = 0
    for call in calls(provider, path_contains=path, status=200):
        if found >= 14:
            return
        if call.body and len(call.body) < 9000 and "countTokens" not in call.url:
            events = _events(call.body)
            answer = events or [json.loads(call.body)]
            try:
                heard(format, answer, stream=bool(events))
            except AspendosError:
                continue  # a failure, told with status 200
            found += 1
            yield bool(events), answer


def _events(body: bytes) -> Answer:
    reader = SseReader()
    data = [each for _, each in [*reader.feed(body), *reader.finish()]]
    return [each.decode() if each == b"[DONE]" else json.loads(each) for each in data]


def heard(format: ChatFormat, answer: Answer, *, stream: bool) -> tuple[list[Event], Completion]:
    """Raises an AspendosError."""
    if not stream:
        completion = format.completion(json.dumps(answer[0]).encode())
        return list(unfold(completion)), completion
    parser = format.stream()
    events = list(parser.feed(b"".join(b"data: " + _data(each) + b"\n\n" for each in answer)))
    if not parser.complete:
        events += parser.finish()
    return events, fold(events)


def _data(event: Any) -> bytes:
    return event.encode() if isinstance(event, str) else json.dumps(event).encode()


def told(events: list[Event], completion: Completion) -> None:
    """To clients of every dialect."""
    for family, dialect, _ in SIDES.values():
        asked = ChatRequest(model="m", messages=(), family=family)
        dialect.answer(completion, asked, SETTING)
        writer = dialect.writer(asked, SETTING)
        for event in events:
            writer.write([event])
        writer.finish()


def text(completion: Completion) -> str:
    return "".join(part.text for each in completion.choices for part in each.parts if isinstance(part, Text))


def changed(value: Any, chance: random.Random) -> Any:
    """A copy with one field, somewhere in it, that is gone or something else."""
    if isinstance(value, dict) and value:
        fields = dict(cast(dict[str, Any], value))
        key = chance.choice(list(fields))
        inner = _other(fields.pop(key), chance)
        return fields if inner is GONE else {**fields, key: inner}
    if isinstance(value, list) and value:
        items = list(cast(list[Any], value))
        at = chance.randrange(len(items))
        inner = _other(items[at], chance)
        items[at : at + 1] = [] if inner is GONE else [inner]
        return items
    return chance.choice(VALUES)


def _other(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict | list) and value and chance.random() < 0.8:
        return changed(value, chance)
    return GONE if chance.random() < 0.3 else chance.choice(VALUES)


def strange(value: Any) -> Any:
    """Every object with its fields the other way round, and one nobody knows."""
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        return {"of_tomorrow": {"a": [1, None]}, **{name: strange(fields[name]) for name in reversed(fields)}}
    return [strange(each) for each in cast(list[Any], value)] if isinstance(value, list) else value


@pytest.mark.parametrize("source", SOURCES)
def test_one_thing_is_something_else(source: str) -> None:
    provider, path, format = SOURCES[source]
    chance = random.Random(source)
    for stream, answer in answered(provider, path, format):
        for _ in range(25):
            at = chance.randrange(len(answer))
            if isinstance(answer[at], str):
                continue
            try:
                heard_of = heard(
                    format, [*answer[:at], changed(answer[at], chance), *answer[at + 1 :]], stream=stream
                )
            except AspendosError as error:
                assert not isinstance(error, InvalidField), (
                    "a mistake of the upstream's is none of the client's"
                )
                continue
            told(*heard_of)


@pytest.mark.parametrize("source", SOURCES)
def test_fields_and_events_of_tomorrow_change_nothing(source: str) -> None:
    provider, path, format = SOURCES[source]
    for stream, answer in answered(provider, path, format):
        _, before = heard(format, answer, stream=stream)
        later = [strange(each) for each in answer]
        if stream:
            later = [each for event in later for each in ({"type": "of.tomorrow", "a": 1}, event)]
        events, after = heard(format, later, stream=stream)
        assert text(after) == text(before)
        assert [each.finish for each in after.choices] == [each.finish for each in before.choices]
        assert after.usage == before.usage
        told(events, after)
