"""Recorded calls of Claude at Bedrock by InvokeModel, held against what Anthropic's SDK makes of the same bytes.

An Anthropic client sends the recorded request with the model in it, and without the version: Bedrock's own way to write
it is what the SDK's client for Bedrock makes of it.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from anthropic._constants import ANTHROPIC_API_VERSION
from anthropic._models import FinalRequestOptions
from anthropic.lib.bedrock._client import _prepare_options  # pyright: ignore[reportPrivateUsage]  # what it sends
from anthropic.lib.bedrock._stream_decoder import AWSEventStreamDecoder
from msgspec import Raw

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.anthropic_messages.parse import parse
from gateway.http.count_tokens import CountTokens
from inference.ir.errors import UpstreamRefused
from inference.providers.anthropic.chat_stream import ChatStream
from inference.providers.bedrock import WIRE
from inference.providers.bedrock.chat import BedrockChat
from inference.providers.bedrock.claude import CountedClaude
from inference.providers.bedrock.invoke_lanes import read_count
from inference.providers.bedrock.naming import maker, place
from inference.wire import HeaderReading, Lane, Original
from tests.aws_shapes import check_request
from tests.recorded import test_anthropic_calls
from tests.recorded.calls import Recorded, calls, cuts
from tests.recorded.converse_words import cleaned, neutral
from tests.recorded.test_bedrock_calls import CARD, model_of

OWN = ("anthropic_version", "anthropic_beta")


def messages() -> Iterator[Recorded]:
    """Calls in Anthropic's format, whole and streamed."""
    for call in calls("bedrock", path_contains="anthropic.claude"):
        if "/invoke" in call.url and b'"messages"' in call.asked:
            yield call


def counts() -> Iterator[Recorded]:
    return calls("bedrock", path_contains="/count-tokens")


def lane_of(call: Recorded, route: str = "messages") -> Lane:
    return WIRE.lanes_for(model_of(call))[route]


def streamed(call: Recorded) -> bool:
    return call.url.endswith("-stream")


def sent_by_client(call: Recorded) -> bytes:
    """The request as a client of Anthropic's own sends it."""
    fields = {name: value for name, value in json.loads(call.asked).items() if name not in OWN}
    return json.dumps({"model": "m", **fields, **({"stream": True} if streamed(call) else {})}).encode()


def told_by_anthropic(call: Recorded) -> Recorded:
    """The call as if it were one to Anthropic: its stream as the SDK takes it out of AWS's."""
    text = call.response_text
    if streamed(call):
        events = AWSEventStreamDecoder().iter_bytes(iter([call.body]))
        text = "".join(f"event: {each.event}\ndata: {each.data}\n\n" for each in events)
    return msgspec.structs.replace(
        call,
        stream=streamed(call),
        request=Raw(sent_by_client(call)),
        response_text=text,
        response_b64=None if streamed(call) else call.response_b64,
    )


def passes_through(call: Recorded) -> None:
    """The client's request goes out as it was recorded, and as the SDK for Bedrock writes it; the answer comes back."""
    body, model, lane = sent_by_client(call), model_of(call), lane_of(call)
    request = Messages().decode(body)
    path = lane.path(model, stream=request.stream)
    assert path == place(model, "invoke-with-response-stream" if streamed(call) else "invoke")
    out = json.loads(lane.request(Original(body=body, model="m", stream=request.stream), model))
    assert out == json.loads(call.asked) | {"anthropic_version": "bedrock-2023-05-31"}
    written = {**json.loads(body), "model": model}
    options = _prepare_options(
        FinalRequestOptions(method="post", url="/v1/messages", json_data=written), custom_headers={}
    )
    assert options.json_data == out | {"anthropic_version": ANTHROPIC_API_VERSION}
    assert options.url == path.replace("%3A", ":")
    if streamed(call):
        expected = told_by_anthropic(call).body
        assert passed(call, [call.body]) == expected
    else:
        measured = lane.completion(call.body)
        usage = json.loads(call.body)["usage"]
        assert measured.usage.output_tokens == usage["output_tokens"]
        assert measured.body is None


def passed(call: Recorded, pieces: list[bytes]) -> bytes:
    tap = lane_of(call).stream(None)
    out = b"".join(tap.feed(piece) for piece in pieces) + tap.finish()
    assert tap.done
    assert tap.finish_reason
    return out


def answer_agrees(call: Recorded) -> None:
    """Passed on, and read."""
    passes_through(call)
    own = told_by_anthropic(call)
    if not streamed(call):
        return test_anthropic_calls.whole_agrees(own)
    test_anthropic_calls.stream_agrees(own)
    format = BedrockChat().of(model_of(call))
    parser, reader = format.stream(), ChatStream()
    assert list(parser.feed(call.body)) == list(reader.feed(own.body))
    assert parser.complete
    return None


def request_returns(call: Recorded) -> None:
    """Read as a client's and written again for Bedrock, it is the recorded one."""
    asked, model = parse(sent_by_client(call)), model_of(call)
    out = BedrockChat().of(model).request(asked, model=model, card=CARD)
    assert out.dropped == ()
    canonical = test_anthropic_calls.canonical
    assert canonical(json.loads(out.body)) == canonical(json.loads(call.asked))


def count_agrees(call: Recorded) -> None:
    """The question is written as it was recorded, and the answer read."""
    model, given = model_of(call), json.loads(call.asked)["input"]
    if "invokeModel" in given:
        inner = json.loads(base64.b64decode(given["invokeModel"]["body"]))
        body = json.dumps({"model": "m"} | {k: v for k, v in inner.items() if k not in OWN}).encode()
        CountTokens().decode(body)
        lane = lane_of(call, "count_tokens")
        out = json.loads(lane.request(Original(body=body, model="m", stream=False), f"us.{model}"))
        assert json.loads(base64.b64decode(out["input"]["invokeModel"]["body"])) == inner
        assert lane.path(f"us.{model}", stream=False) == place(model, "count-tokens")
    else:
        asked = neutral(given["converse"], maker(model), stream=False)
        out = json.loads(CountedClaude().count(asked, model=model, card=CARD).body)
        assert out == {"input": {"converse": cleaned(given["converse"])}}
        check_request(json.dumps(out).encode(), model, "CountTokens")
    if call.status == 200:
        assert read_count(call.body) == json.loads(call.body)["inputTokens"]
    else:
        error = WIRE.error(call.status, None, call.body)
        assert isinstance(error, UpstreamRefused)
        assert error.message == json.loads(call.body)["message"]


def test_every_recording_is_accounted_for() -> None:
    found = list(messages())
    assert (len(found), sum(map(streamed, found)), len(list(counts()))) == (17, 2, 7)


@pytest.mark.parametrize("number", range(17))
def test_calls(number: int) -> None:
    call = list(messages())[number]
    answer_agrees(call)
    request_returns(call)


def test_streams_cut_anywhere() -> None:
    for call in filter(streamed, messages()):
        whole = told_by_anthropic(call).body
        for pieces in cuts(call.body, sets=60):
            assert passed(call, pieces) == whole
            parser = BedrockChat().of(model_of(call)).stream()
            events = [event for piece in pieces for event in parser.feed(piece)]
            assert events == list(ChatStream().feed(whole))


def test_counts() -> None:
    for call in counts():
        count_agrees(call)


def test_headers_become_fields_as_the_sdk_has_them() -> None:
    body: dict[str, Any] = {"model": "us.anthropic.claude-x", "max_tokens": 5, "messages": []}
    betas = "context-1m-2025-08-07,interleaved-thinking-2025-05-14"
    options = _prepare_options(
        FinalRequestOptions(
            method="post", url="/v1/messages", json_data=dict(body), headers={"anthropic-beta": betas}
        ),
        custom_headers={},
    )
    lane = WIRE.lanes_for(body["model"])["messages"]
    headers = f"anthropic-version: {ANTHROPIC_API_VERSION}\r\nanthropic-beta: {betas}\r\n".encode()
    assert isinstance(lane, HeaderReading)
    told, left = lane.told(json.dumps(body).encode(), headers)
    assert left == b""
    out = json.loads(lane.request(Original(body=told, model=body["model"], stream=False), body["model"]))
    assert out == options.json_data
