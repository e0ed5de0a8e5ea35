"""Recorded chat calls of OpenAI and its kin through the gateway, against what the official SDKs make of the bytes.

Every answer is read twice: as neutral words, and as the SDK reads what the gateway would say to an OpenAI client. Every
request comes back as it was.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
import openai
import pytest
from openai.types import CompletionUsage

from gateway.dialects.dialect import Setting
from gateway.dialects.openai_chat import OpenAIChatDialect
from inference.ir.cards import Kind, Model, Price
from inference.ir.completion import Completion
from inference.ir.errors import UpstreamError, UpstreamRefused
from inference.ir.events import Event, Failed
from inference.ir.folding import fold
from inference.providers.azure_openai import WIRE as AZURE
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_reasoning import WIRE as REASONING
from inference.wire import ChatFormat
from tests.recorded.calls import Recorded, calls, crlf, cuts
from tests.recorded.chat_facts import (
    Call,
    Counts,
    Facts,
    Said,
    extra,
    facts,
    gathered,
    ours,
    replaying,
    sdk_stream,
    sdk_whole,
)

DIALECT = OpenAIChatDialect()
SETTING = Setting(id="abc", model="m", created=1, include_usage=True)
CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=0, output=0, version="v"))
FORMATS: dict[str, ChatFormat | None] = {
    "openai": OPENAI.chat,
    "azure-openai": AZURE.chat,
    "groq": OPENAI.chat,
    "openrouter": OPENAI.chat,
    "deepseek": REASONING.chat,
    "together": OPENAI.chat,
    "cerebras": OPENAI.chat,
    "huggingface": OPENAI.chat,
    "ollama": OPENAI.chat,
    "zai": REASONING.chat,
    "mistral": MISTRAL.chat,
}
LEAST = {"openai": 560, "azure-openai": 40, "groq": 70, "openrouter": 35, "mistral": 50}
"""How many answers of a provider there are at least, so that a test does not pass for want of calls."""


def format_of(provider: str) -> ChatFormat:
    found = FORMATS[provider]
    assert found is not None
    return found


def answered(provider: str, *, stream: bool) -> Iterator[Recorded]:
    for call in calls(provider, path_contains="chat/completions", stream=stream, status=200):
        if call.body:
            yield call


def parsed(format: ChatFormat, pieces: Sequence[bytes]) -> list[Event]:
    parser = format.stream()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return [*events, *parser.finish()]


def said_again(completion: Completion, request: bytes) -> Facts:
    """What an OpenAI client of the gateway reads."""
    asked = DIALECT.parse(request)
    return facts(sdk_whole(DIALECT.answer(completion, asked, SETTING).body))


def streamed_again(events: Sequence[Event], request: bytes) -> Facts:
    writer = DIALECT.writer(DIALECT.parse(request), SETTING)
    stream = b"".join(writer.write([event]) for event in events) + writer.finish()
    assert stream.endswith(b"data: [DONE]\n\n")
    return facts(gathered(sdk_stream(stream)))


def nameless(found: Facts) -> Facts:
    """Without the ids of calls: some came without, and calls of OpenAI's older kind have none."""
    return Facts(
        {
            index: msgspec.structs.replace(
                said, calls=tuple(Call("", call.name, call.arguments) for call in said.calls)
            )
            for index, said in found.choices.items()
        },
        found.usage,
    )


def same(found: Facts, expected: Facts, label: str) -> None:
    ids = all(call.id not in ("", "null") for said in expected.choices.values() for call in said.calls)
    if not ids:
        assert all(call.id for said in found.choices.values() for call in said.calls), label
    assert (found if ids else nameless(found)) == (expected if ids else nameless(expected)), label


def request_of(call: Recorded) -> bytes:
    return call.asked or b'{"model":"m","messages":[{"role":"user","content":"?"}]}'


@pytest.mark.parametrize("provider", [name for name in FORMATS if name != "mistral"])
def test_whole_answers_say_what_the_sdk_reads(provider: str) -> None:
    seen = 0
    for call in answered(provider, stream=False):
        seen += whole_agrees(call, format_of(provider))
    assert seen >= 1 or provider == "deepseek"


def whole_agrees(call: Recorded, format: ChatFormat) -> bool:
    """Whether it was an answer; else an error told with status 200, and read as one."""
    body, request = call.body, request_of(call)
    if b'"error"' in body and json.loads(body).get("error"):
        with pytest.raises(UpstreamError):
            format.completion(body)
        return False
    completion = format.completion(body)
    expected = facts(sdk_whole(body))
    same(ours(completion), expected, call.label)
    again = said_again(completion, request)
    if "functions" in json.loads(request):
        assert nameless(again) == nameless(expected), call.label
    else:
        same(again, expected, call.label)
    return True


@pytest.mark.parametrize(
    "provider", [name for name in FORMATS if name not in ("mistral", "cerebras", "ollama")]
)
def test_streams_say_what_the_sdk_reads(provider: str) -> None:
    seen = 0
    for call in answered(provider, stream=True):
        seen += stream_agrees(call, format_of(provider))
    assert seen


def stream_agrees(call: Recorded, format: ChatFormat) -> bool:
    """Whether it was an answer; else an error inside a stream, and read as one."""
    body = call.body
    try:
        expected = facts(gathered(with_indexes(sdk_stream(body))))
    except openai.APIError as error:
        with pytest.raises(UpstreamRefused, match=error.message):
            fold(parsed(format, [body]))
        return False
    events = parsed(format, [body])
    same(ours(fold(events)), expected, call.label)
    same(streamed_again(events, request_of(call)), expected, call.label)
    return True


def with_indexes(chunks: Sequence[Any]) -> Sequence[Any]:
    """What the SDK needs to put these streams together: a number for each entry of a list, usage in its place."""
    counters = {name: itertools.count() for name in ("annotations", "reasoning_details")}
    for chunk in chunks:
        hidden: dict[str, Any] = extra(chunk).get("x_groq") or {}
        if hidden.get("usage") and not chunk.usage:
            chunk.usage = CompletionUsage.model_validate(hidden["usage"])
        for choice in chunk.choices:
            for name, counter in counters.items():
                for entry in cast(list[dict[str, Any]], extra(choice.delta).get(name) or []):
                    entry.setdefault("index", next(counter))
    return chunks


def test_mistral_says_what_its_own_sdk_reads() -> None:
    seen = 0
    for call in (*answered("mistral", stream=False), *answered("mistral", stream=True)):
        mistral_agrees(call)
        seen += 1
    assert seen >= LEAST["mistral"]


def mistral_agrees(call: Recorded) -> None:
    models = pytest.importorskip("mistralai.client.models")
    format, request = format_of("mistral"), request_of(call)
    if not call.stream:
        read = models.ChatCompletionResponse.model_validate_json(call.body)
        completion = format.completion(call.body)
        expected = mistral_facts(
            [(choice.index, choice.message, choice.finish_reason) for choice in read.choices], read
        )
        same(ours(completion), expected, call.label)
        return same(said_again(completion, request), expected, call.label)
    lines = [line[6:] for line in call.body.split(b"\n") if line.startswith(b"data: {")]
    expected = mistral_streamed([models.CompletionChunk.model_validate_json(line) for line in lines])
    events = parsed(format, [call.body])
    same(ours(fold(events)), expected, call.label)
    return same(streamed_again(events, request), expected, call.label)


def mistral_text(content: Any, kind: str) -> str:
    if not isinstance(content, list):
        return (content or "") if kind == "text" and isinstance(content, str) else ""
    pieces: list[str] = []
    for chunk in cast(list[Any], content):
        if chunk.type == kind == "thinking":
            pieces += [each.text for each in chunk.thinking]
        elif chunk.type == kind:
            pieces.append(chunk.text)
    return "".join(pieces)


def mistral_calls(message: Any) -> tuple[Call, ...]:
    return tuple(
        Call(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()
    )


def mistral_facts(choices: Sequence[tuple[int, Any, str]], answer: Any) -> Facts:
    beside = extra(answer.usage)
    details: dict[str, Any] = beside.get("prompt_tokens_details") or {}
    return Facts(
        {
            index: Said(
                text=mistral_text(message.content, "text"),
                reasoning=mistral_text(message.content, "thinking"),
                calls=mistral_calls(message),
                finish=finish,
            )
            for index, message, finish in choices
        },
        Counts(
            input=answer.usage.prompt_tokens,
            output=answer.usage.completion_tokens,
            cached=details.get("cached_tokens") or beside.get("num_cached_tokens") or 0,
            thought=0,
        ),
    )


def mistral_streamed(chunks: Sequence[Any]) -> Facts:
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    finish = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    made = Said(
        text="".join(mistral_text(delta.content, "text") for delta in deltas),
        reasoning="".join(mistral_text(delta.content, "thinking") for delta in deltas),
        calls=tuple(call for delta in deltas for call in mistral_calls(delta)),
        finish=finish[-1],
    )
    last = next(chunk for chunk in reversed(chunks) if chunk.usage)
    return Facts({0: made}, mistral_facts([], last).usage)


def test_groqs_own_sdk_reads_the_same() -> None:
    groq = pytest.importorskip("groq")
    seen = 0
    for call in answered("groq", stream=False):
        with groq.Groq(api_key="k", http_client=replaying(call.body, stream=False)) as sdk:
            read = sdk.chat.completions.create(model="m", messages=[])
        found = ours(format_of("groq").completion(call.body)).choices
        for choice in read.choices:
            message = choice.message
            assert found[choice.index].text == (message.content or ""), call.label
            assert found[choice.index].reasoning == (message.reasoning or ""), call.label
            assert [(each.id, each.name, each.arguments) for each in found[choice.index].calls] == [
                (each.id, each.function.name, each.function.arguments) for each in message.tool_calls or ()
            ], call.label
        seen += 1
    assert seen > 60


def test_however_a_stream_is_cut_its_events_are_the_same() -> None:
    streams: dict[str, list[bytes]] = {}
    for provider in FORMATS:
        if provider not in ("cerebras", "ollama"):
            streams[provider] = sorted((call.body for call in answered(provider, stream=True)), key=len)
    # The shortest of a provider at every byte, some longer ones at random places.
    for provider, bodies in streams.items():
        format = format_of(provider)
        for number, body in enumerate([*bodies[:1], *bodies[len(bodies) // 2 :: 40]]):
            whole = merged(parsed(format, [body]))
            for pieces in cuts(body[:65536], every_byte=number == 0 and len(body) < 6000, sets=6):
                if len(body) <= 65536:
                    assert merged(parsed(format, pieces)) == whole
            assert merged(parsed(format, [crlf(body)])) == whole


def merged(events: Sequence[Event]) -> list[Any]:
    """Events as plain words, an error as its message, so that they compare."""
    return [
        ("failed", event.error.message)
        if isinstance(event, Failed)
        else msgspec.to_builtins(event, enc_hook=raw)
        for event in events
    ]


def raw(value: Any) -> Any:
    return bytes(value).decode()


@pytest.mark.parametrize("provider", [name for name in FORMATS if name != "mistral"])
def test_requests_come_back_as_they_were(provider: str) -> None:
    seen = 0
    for call in calls(provider, path_contains="chat/completions"):
        if call.request is None:
            continue
        request_returns(call)
        seen += 1
    assert seen


def request_returns(call: Recorded) -> None:
    asked = DIALECT.parse(call.asked)
    outgoing = format_of("openai").request(asked, model=asked.model, card=CARD)
    assert outgoing.dropped == ()
    assert plain(json.loads(outgoing.body)) == plain(as_sent(json.loads(call.asked))), call.label


def as_sent(request: dict[str, Any]) -> dict[str, Any]:
    """What the gateway adds: usage of a stream is always asked for, and a request that is no stream does not say so."""
    if request.get("stream"):
        request["stream_options"] = (request.get("stream_options") or {}) | {"include_usage": True}
    else:
        request.pop("stream", None)
        request.pop("stream_options", None)
    return request


def plain(value: Any, inside: str = "") -> Any:
    """JSON by its meaning: null is absent, a text alone is a string, an index of a call says nothing."""
    if isinstance(value, list):
        return [plain(each, inside) for each in cast(list[Any], value)]
    if not isinstance(value, dict) or inside == "parameters":
        return cast(Any, value)
    known = {name: each for name, each in cast(dict[str, Any], value).items() if each is not None}
    if "max_completion_tokens" in known:
        known["max_tokens"] = known.pop("max_completion_tokens")
    content = known.get("content")
    if content in ("", []):
        known.pop("content")
    elif isinstance(content, list) and [each.keys() for each in cast(list[Any], content)] == [
        {"type", "text"}
    ]:
        known["content"] = content[0]["text"]
    for name in ("annotations", "tools"):
        if known.get(name) == []:
            known.pop(name)
    if known.get("ttl") == "5m":
        known.pop("ttl")
    if "function" in known:
        known.setdefault("type", "function")
        known.pop("index", None)
    return {name: plain(each, name) for name, each in known.items()}


def test_mistral_is_told_all_that_its_own_clients_say() -> None:
    """Recorded bodies were made for Mistral; what the dialect reads of them and Mistral's words say is the same."""
    seen = sum(
        told_mistral(call)
        for call in calls("mistral", path_contains="chat/completions")
        if call.request is not None
    )
    assert seen >= 30


def told_mistral(call: Recorded) -> bool:
    """Whether it is one that a client of OpenAI's dialect could send: without parts that only Mistral has."""
    models = pytest.importorskip("mistralai.client.models")
    sent = json.loads(call.asked)
    if any(isinstance(message["content"], list) for message in sent["messages"]):
        return False
    asked = DIALECT.parse(call.asked)
    outgoing = format_of("mistral").request(asked, model=asked.model, card=CARD)
    written = json.loads(outgoing.body)
    models.ChatCompletionRequest.model_validate(written)
    assert outgoing.dropped == (), call.label
    kept = {name: each for name, each in sent.items() if each not in (None, False) or name == "safe_prompt"}
    if "tools" not in kept:
        kept.pop("tool_choice", None)
    kept["messages"] = [{k: v for k, v in each.items() if k != "prefix"} for each in sent["messages"]]
    assert plain(written) == plain(kept), call.label
    return True
