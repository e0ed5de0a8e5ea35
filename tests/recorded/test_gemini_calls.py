"""Every recorded call of Gemini's, at AI Studio and at Vertex: read as Google's own SDK reads it, nothing lost.

Whole answers and streams are compared with what google-genai's types make of the same bytes, streams however they
are cut; requests go through our words and back; answers go out again as Gemini's.
"""

import base64
import itertools
import json
import random
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
from google.genai import types

from gateway.dialects.dialect import Setting
from gateway.dialects.gemini import Gemini
from inference.codecs.gemini.spelling import camel
from inference.ir.cards import Kind, Model, Price
from inference.ir.completion import Completion, Finish
from inference.ir.content import Audio, File, Image, Opaque, Reasoning, Text, ToolCall
from inference.ir.embedding import EmbeddingRequest, InputType
from inference.ir.errors import AspendosError, UpstreamAuth, UpstreamRefused
from inference.ir.folding import fold
from inference.ir.usage import Usage, UsageSource
from inference.providers.gemini import WIRE
from inference.providers.gemini.chat_completion import read_completion
from inference.providers.gemini.chat_stream import GeminiParser
from inference.providers.vertex import WIRE as VERTEX
from tests.recorded.calls import Recorded, calls, crlf, cuts

PROVIDERS = ("gemini", "vertex")
SETTING = Setting(id="req-1", model="gemini", created=0)
CARD = Model(name="gemini", kind=Kind.CHAT, price=Price(input=0, output=0, version=""))


def recorded(verb: str, status: int = 200) -> Iterator[Recorded]:
    for provider in PROVIDERS:
        yield from calls(provider, path_contains=f":{verb}", status=status)


def whole() -> Iterator[Recorded]:
    return recorded("generateContent")


def streams() -> list[bytes]:
    return [call.body for call in recorded("streamGenerateContent")]


def b64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def standard(signature: str | None) -> str | None:
    """The SDK's bytes can be written in two alphabets."""
    return None if signature is None else signature.replace("-", "+").replace("_", "/")


def parsed(payload: bytes) -> types.GenerateContentResponse:
    """What the SDK makes of one answer or event; a number that it does not know as a reason it takes by name."""
    said = json.loads(payload)
    for candidate in said.get("candidates", ()):
        if candidate.get("finishReason") == 1:
            candidate["finishReason"] = "STOP"
    for key in ("promptTokensDetails", "candidatesTokensDetails"):
        for detail in said.get("usageMetadata", {}).get(key, ()):
            if detail["modality"] == 1:
                detail["modality"] = "TEXT"
    if isinstance(said.get("usageMetadata", {}).get("trafficType"), int):
        del said["usageMetadata"]["trafficType"]
    read = types.GenerateContentResponse._from_response  # pyright: ignore[reportPrivateUsage] - how the SDK reads
    return read(response=said, kwargs={})


def sdk_parts(answers: list[types.GenerateContentResponse]) -> list[types.Part]:
    return [
        part
        for answer in answers
        for candidate in answer.candidates or []
        for part in (candidate.content.parts if candidate.content else None) or []
    ]


def check_usage(usage: Usage, said: types.GenerateContentResponseUsageMetadata | None) -> None:
    if said is None or not said.model_dump(exclude_none=True, exclude={"traffic_type"}):
        assert usage.source is UsageSource.NONE
        return
    thought = said.thoughts_token_count or 0
    assert usage.source is UsageSource.REPORTED
    assert usage.input_tokens == (said.prompt_token_count or 0) + (said.tool_use_prompt_token_count or 0)
    assert usage.output_tokens == (said.candidates_token_count or 0) + thought
    assert usage.reasoning_tokens == thought
    assert usage.cache_read_tokens == (said.cached_content_token_count or 0)
    if said.prompt_token_count is not None:
        assert usage.input_tokens + usage.output_tokens == said.total_token_count
    for details, sound, sight in (
        (said.prompt_tokens_details, usage.audio_input_tokens, usage.image_input_tokens),
        (said.candidates_tokens_details, usage.audio_output_tokens, usage.image_output_tokens),
    ):
        by_kind = {detail.modality: detail.token_count or 0 for detail in details or []}
        assert sound == by_kind.get(types.MediaModality.AUDIO, 0)
        assert sight == by_kind.get(types.MediaModality.IMAGE, 0)


def check(completion: Completion, payloads: list[bytes]) -> None:
    """The same text, thoughts, calls, signatures, pictures, opaque parts, reason, names and usage."""
    answers = [parsed(payload) for payload in payloads]
    parts = sdk_parts(answers)
    ours = [part for choice in completion.choices for part in choice.parts]
    texts = [part for part in parts if part.text is not None]
    assert "".join(p.text for p in ours if isinstance(p, Text)) == "".join(
        p.text or "" for p in texts if not p.thought
    )
    assert "".join(p.text for p in ours if isinstance(p, Reasoning)) == "".join(
        p.text or "" for p in texts if p.thought
    )
    made = [p for p in ours if isinstance(p, ToolCall)]
    called = [p.function_call for p in parts if p.function_call is not None]
    assert [(c.name, json.loads(c.arguments)) for c in made] == [(c.name, c.args or {}) for c in called]
    for mine, theirs in zip(made, called, strict=True):
        assert mine.id == theirs.id if theirs.id else mine.id
    assert len({call.id for call in made}) == len(made)
    kept = [
        standard(part.signature)
        for part in ours
        if isinstance(part, Text | Reasoning | ToolCall) and part.signature
    ]
    opaque = [part for part in ours if isinstance(part, Opaque)]
    signed = [
        b64(part.thought_signature)
        for part in parts
        if part.thought_signature and (part.text is not None or part.function_call is not None)
    ]
    assert kept == signed
    raw = [
        part
        for payload in payloads
        for candidate in json.loads(payload).get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    ]
    known = ("text", "functionCall", "inlineData")
    assert [json.loads(bytes(p.raw)) for p in opaque] == [p for p in raw if not any(k in p for k in known)]
    blobs = [part.inline_data for part in parts if part.inline_data is not None]
    media = [p for p in ours if isinstance(p, Image | Audio | File)]
    assert [(m.source and m.source.media_type) for m in media] == [blob.mime_type for blob in blobs]
    last = answers[-1]
    assert completion.model == last.model_version
    assert completion.id == last.response_id
    if last.candidates:
        reason = last.candidates[0].finish_reason
        assert completion.choices[0].native == (reason.value if reason else None)
        if called and reason == types.FinishReason.STOP:
            assert completion.choices[0].finish is Finish.TOOL_CALLS
    check_usage(completion.usage, last.usage_metadata)


def test_whole_answers_are_read_as_the_sdk_reads_them() -> None:
    seen = 0
    for call in whole():
        whole_agrees(call)
        seen += 1
    assert seen > 300


def whole_agrees(call: Recorded) -> None:
    completion = WIRE.chat.completion(call.body) if WIRE.chat else None
    assert completion is not None
    check(completion, [call.body])
    measured = WIRE.lanes["gemini"].completion(call.body)
    assert measured.usage == completion.usage, call.label
    assert measured.finish_reason == str(completion.choices[0].finish), call.label


def test_a_refused_prompt_says_why() -> None:
    refused = [call for call in whole() if b'"promptFeedback"' in call.body]
    assert refused
    for call in refused:
        completion = read_completion(call.body)
        assert completion.choices[0].finish is Finish.FILTER
        assert completion.choices[0].native == "MODEL_ARMOR"


def events_of(stream: bytes) -> list[bytes]:
    return [line[5:] for line in stream.split(b"\n") if line.startswith(b"data:")]


def through(pieces: list[bytes]) -> Completion:
    parser = GeminiParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    assert not parser.complete
    events += parser.finish()
    assert parser.complete
    return fold(events)


def test_streams_are_read_as_the_sdk_reads_them_however_they_are_cut() -> None:
    found = sorted(streams(), key=len)
    assert len(found) > 50
    for number, stream in enumerate(found):
        expected = stream_agrees(stream)
        sets = 30 if len(stream) < 20_000 else 6
        for pieces in cuts(stream, every_byte=number < 3, sets=sets):
            assert through(pieces) == expected


def stream_agrees(stream: bytes) -> Completion:
    expected = through([stream])
    check(expected, events_of(stream))
    assert through([crlf(stream)]) == expected
    assert through([stream.replace(b"\r\n", b"\n")]) == expected
    return expected


def test_streams_pass_the_lane_unharmed_and_their_end_is_kept_back() -> None:
    for number, stream in enumerate(sorted(streams(), key=len)):
        expected = through([stream])
        finish = str(expected.choices[0].finish)
        last = stream.rindex(b"data:")
        small = len(stream) < 6_000
        for place, pieces in enumerate(cuts(stream, every_byte=number < 2, sets=8)):
            if place == 1 and not small:
                continue  # byte by byte: for short ones only, the others take too long
            tap = WIRE.lanes["gemini"].stream(None)
            before = b"".join(tap.feed(piece) for piece in pieces)
            assert len(before) <= last, "the client could have known the end"
            assert before + tap.finish() == stream
            assert tap.done
            assert tap.finish_reason == finish or expected.choices[0].finish is Finish.TOOL_CALLS
            assert tap.usage() == expected.usage


def plain(request: Any) -> Any:
    """A request as both sides write it: one spelling, one way to say the same."""
    if isinstance(request, dict):
        return {key: plain(value) for key, value in cast(dict[str, Any], request).items()}
    if isinstance(request, list):
        return [plain(each) for each in cast(list[Any], request)]
    return int(request) if isinstance(request, float) and request.is_integer() else request


def same(given: Any) -> Any:
    """What Google takes for the same: one tool a group or all in one, one turn or an array of it."""
    asked = plain(given)
    tools: list[dict[str, Any]] | dict[str, Any] | None = asked.get("tools")
    if tools is not None:
        groups = tools if isinstance(tools, list) else [tools]
        declared = "functionDeclarations"
        flat: list[tuple[str, Any]] = [
            (declared, each) for group in groups for each in group.get(declared, ())
        ]
        flat += [each for group in groups for each in group.items() if each[0] != declared]
        asked["tools"] = flat
    asked["contents"] = asked["contents"] if isinstance(asked["contents"], list) else [asked["contents"]]
    for content in asked["contents"]:
        content.setdefault("role", "user")
    if "systemInstruction" in asked:
        asked["systemInstruction"].setdefault("role", "user")
    return {key: value for key, value in asked.items() if value not in ({}, [])}


def test_requests_through_our_words_and_back_lose_nothing() -> None:
    seen = 0
    for call in (*recorded("generateContent"), *recorded("streamGenerateContent")):
        request_returns(call)
        seen += 1
    assert seen > 400


def request_returns(call: Recorded) -> None:
    asked = Gemini("m", stream=False).chat
    assert asked is not None and WIRE.chat is not None
    outgoing = WIRE.chat.request(asked.parse(call.asked), model="m", card=CARD)
    assert outgoing.dropped == (), call.label
    assert same(json.loads(outgoing.body)) == same(json.loads(camel(call.asked))), call.label


def test_answers_go_out_again_as_they_came() -> None:
    """From our words back to Gemini's JSON: what the SDK reads of it is what it read of the original."""
    for call in whole():
        written_again(call)


def written_again(call: Recorded) -> None:
    dialect = Gemini("m", stream=False)
    assert dialect.chat is not None
    completion = read_completion(call.body)
    if completion.id is None:
        completion = msgspec.structs.replace(completion, id=SETTING.id)
    asked = dialect.chat.parse(b'{"contents":[{"parts":[{"text":"x"}]}]}')
    rendered = dialect.chat.answer(completion, asked, SETTING)
    assert rendered.dropped == (), call.label
    check(completion, [rendered.body])


def test_streams_go_out_again_as_they_came() -> None:
    chance = random.Random(3)
    for stream in streams():
        streamed_again(stream, chance)


def streamed_again(stream: bytes, chance: random.Random) -> None:
    dialect = Gemini("m", stream=True)
    assert dialect.chat is not None
    asked = dialect.chat.parse(b'{"contents":[{"parts":[{"text":"x"}]}]}')
    writer, parser = dialect.chat.writer(asked, SETTING), GeminiParser()
    at = sorted(chance.sample(range(1, len(stream)), 5))
    out = b""
    for start, end in itertools.pairwise([0, *at, len(stream)]):
        out += writer.write(parser.feed(stream[start:end]))
    out += writer.write(parser.finish())
    assert b'"finishReason"' not in out
    out += writer.finish()
    assert not writer.dropped
    assert words(through([out])) == words(through([stream]))
    for payload in events_of(out):
        parsed(payload)


def words(completion: Completion) -> object:
    """All that a stream says; a signature that came after its text may come in a part of its own."""
    choice = completion.choices[0]
    said = [part for part in choice.parts if not isinstance(part, Text | Reasoning)]
    text = "".join(part.text for part in choice.parts if isinstance(part, Text))
    thought = "".join(part.text for part in choice.parts if isinstance(part, Reasoning))
    marks = [p.signature for p in choice.parts if isinstance(p, Text | Reasoning) and p.signature]
    return text, thought, marks, said, choice.finish, choice.native, completion.usage, choice.rest


@pytest.mark.parametrize(
    "verb", ["generateContent", "streamGenerateContent", "countTokens", "batchEmbedContents"]
)
def test_refusals_keep_googles_words(verb: str) -> None:
    for status in (400, 404):
        for call in recorded(verb, status):
            error = WIRE.error(status, None, call.body)
            told = json.loads(call.body)["error"]
            if "API_KEY_INVALID" in json.dumps(told):
                assert isinstance(error, UpstreamAuth)
            elif status == 404:
                assert (error.http_status, error.code) == (502, "upstream_model_not_found")
                assert told["message"] in error.message
            else:
                assert isinstance(error, UpstreamRefused)
                assert error.message == told["message"]
                assert (error.http_status, error.code) == (status, "upstream_refused")


def test_a_stream_that_breaks_off_is_told_from_one_that_ended() -> None:
    for stream in streams():
        last = stream.rindex(b"data:")
        if last == 0:
            continue
        parser = GeminiParser()
        parser.feed(stream[:last])
        with pytest.raises(AspendosError):
            parser.finish()
        tap = WIRE.lanes["gemini"].stream(None)
        tap.feed(stream[:last])
        tap.finish()
        assert not tap.done and tap.finish_reason is None


def test_vectors_of_vertex_are_asked_for_and_read_as_recorded() -> None:
    vertex_agrees(next(recorded("predict")))


def vertex_agrees(call: Recorded) -> None:
    exchange = VERTEX.exchanges[Kind.EMBEDDING]
    result = exchange.answer(call.body, "application/json")
    said = json.loads(call.body)["predictions"]
    assert [json.loads(bytes(v)) for v in result.vectors] == [each["embeddings"]["values"] for each in said]
    assert result.usage.input_tokens == 4
    asked = EmbeddingRequest(model="m", inputs=("Hello, world!",), input_type=InputType.QUERY)
    out = exchange.request(asked, model="gemini-embedding-001", card=CARD)
    assert json.loads(out.body) == json.loads(call.asked)
    assert call.url.endswith(out.path)
    assert out.dropped == ()


def test_a_vector_of_a_newer_model_of_vertex_is_asked_for_and_read_as_recorded() -> None:
    embedded_agrees(next(recorded("embedContent")))


def embedded_agrees(call: Recorded) -> None:
    exchange = VERTEX.exchanges[Kind.EMBEDDING]
    result = exchange.answer(call.body, "application/json")
    said = types.ContentEmbedding.model_validate(json.loads(call.body)["embedding"])
    assert [json.loads(bytes(v)) for v in result.vectors] == [said.values]
    (text,) = (part["text"] for part in json.loads(call.asked)["content"]["parts"])
    asked = EmbeddingRequest(model="m", inputs=(text,))
    out = exchange.request(asked, model="gemini-embedding-2", card=CARD)
    assert json.loads(out.body) == json.loads(call.asked)
    assert call.url.endswith(out.path)
    assert (out.dropped, result.usage.input_tokens) == ((), 11)
