"""Every recorded call of Anthropic's: read, passed on and written again, against what its official SDK makes of it.

529 of the 544 are messages, answered or refused, and two counts of tokens; the rest (six of the older completions, six
uploads of files, one of OpenAI's format) are of surfaces this wire format does not speak, and are counted here.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

import httpx2
import pytest
from anthropic import Anthropic
from anthropic.types.beta import BetaMessage

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.anthropic_messages.parse import parse
from gateway.dialects.dialect import Setting
from inference.codecs.anthropic.usage import usage_of
from inference.codecs.anthropic.writing import BlockWriter
from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion, Finish
from inference.ir.content import Family, Opaque, Reasoning, Text, ToolCall
from inference.ir.errors import UpstreamAuth
from inference.ir.events import Counted, Event
from inference.ir.folding import fold
from inference.ir.usage import UsageSource
from inference.providers.anthropic import WIRE
from inference.providers.anthropic.chat_completion import FINISHES
from inference.providers.anthropic.chat_format import AnthropicChat
from inference.wire import Original
from tests.recorded.calls import Recorded, calls, crlf, cuts

CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=0, output=0, version="x"))
CHAT = AnthropicChat()
LANE = WIRE.lanes["messages"]
SETTING = Setting(id="req-1", model="asked", created=0)
ASKED = ChatRequest(model="asked", messages=(), family=Family.ANTHROPIC)
ALL_CUTS, SOME_CUTS = 3, 20
"""So many of the shortest streams are cut at every byte; of the others every so-manieth in random places."""


def messages(*, stream: bool | None = None, status: int | None = 200) -> Iterator[Recorded]:
    for call in calls("anthropic", path_contains="/v1/messages", stream=stream, status=status):
        if "count_tokens" not in call.url:
            yield call


def sdk_client(body: bytes, kind: str) -> Anthropic:
    """The official SDK, answered with recorded bytes."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    return Anthropic(
        api_key="k", max_retries=0, http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )


def sdk_reads(body: bytes, *, stream: bool) -> BetaMessage:
    with sdk_client(body, "text/event-stream" if stream else "application/json") as client:
        asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
        if not stream:
            return cast(BetaMessage, client.beta.messages.create(**asked))
        with client.beta.messages.stream(**asked) as opened:
            return cast(BetaMessage, opened.get_final_message())


def plain(value: Any) -> Any:
    """Without what says nothing: fields that are null."""
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        return {name: plain(each) for name, each in fields.items() if each is not None}
    return [plain(each) for each in cast(list[Any], value)] if isinstance(value, list) else value


def blocks_of(message: BetaMessage) -> list[Any]:
    found = plain([block.to_dict(mode="json") for block in message.content])
    for block in found:
        block.pop("parsed_output", None)
    return found


def agree(completion: Completion, message: BetaMessage, label: str) -> None:
    """Text, tools, thoughts, signatures, citations, finish and every count are what the SDK read."""
    choice = completion.choices[0]
    parts, blocks = choice.parts, blocks_of(message)
    assert len(parts) == len(blocks), label
    for part, block in zip(parts, blocks, strict=True):
        match part:
            case Text():
                assert (block["type"], block["text"]) == ("text", part.text), label
                cited = [plain(json.loads(bytes(each.raw or b"null"))) for each in part.citations]
                assert cited == block.get("citations", []), label
            case ToolCall():
                assert (block["type"], block["id"], block["name"]) == ("tool_use", part.id, part.name), label
                assert json.loads(part.arguments) == block["input"], label
            case Reasoning(redacted=str(data)):
                assert block == {"type": "redacted_thinking", "data": data}, label
            case Reasoning():
                assert block["thinking"] == part.text, label
                assert block["signature"] == part.signature, label
            case Opaque():
                assert plain(json.loads(bytes(part.raw))) == block, label
            case _:
                pytest.fail(f"{label}: an unexpected part {part}")
    assert choice.native == message.stop_reason, label
    if message.stop_reason is not None:
        assert choice.finish is FINISHES[message.stop_reason], label
        assert choice.finish is not Finish.OTHER, label
    assert choice.stop_sequence == message.stop_sequence, label
    counts_agree(completion, message, label)


def counts_agree(completion: Completion, message: BetaMessage, label: str) -> None:
    said, usage = message.usage, completion.usage
    read, written = said.cache_read_input_tokens or 0, said.cache_creation_input_tokens or 0
    assert usage.source is UsageSource.REPORTED, label
    assert usage.input_tokens == said.input_tokens + read + written, label
    assert usage.output_tokens == said.output_tokens, label
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (read, written), label
    hour = said.cache_creation.ephemeral_1h_input_tokens if said.cache_creation else 0
    assert usage.cache_write_1h_tokens == hour, label
    thought = said.output_tokens_details.thinking_tokens if said.output_tokens_details else 0
    assert usage.reasoning_tokens == thought, label
    assert usage.searches == (said.server_tool_use.web_search_requests if said.server_tool_use else 0), label


def parsed(pieces: Sequence[bytes]) -> list[Event]:
    parser = CHAT.stream()
    found = [event for piece in pieces for event in parser.feed(piece)]
    found += parser.finish()
    assert parser.complete
    return found


def test_every_recording_is_accounted_for() -> None:
    surfaces = Counter(
        call.url.partition("?")[0].removeprefix("https://api.anthropic.com") for call in calls("anthropic")
    )
    assert surfaces == {
        "/v1/messages": 529,
        "/v1/messages/count_tokens": 2,
        "/v1/complete": 6,
        "/v1/files": 6,
        "/v1/chat/completions": 1,
    }


def test_whole_answers() -> None:
    read = 0
    for call in messages(stream=False):
        whole_agrees(call)
        read += 1
    assert read == 370


def whole_agrees(call: Recorded) -> None:
    """Read, written again and passed on, it is what the SDK reads."""
    message = sdk_reads(call.body, stream=False)
    completion = CHAT.completion(call.body)
    agree(completion, message, call.label)
    written = Messages.chat.answer(completion, ASKED, SETTING) if Messages.chat else None
    assert written is not None
    assert written.dropped == (), call.label
    again = sdk_reads(written.body, stream=False)
    assert blocks_of(again) == blocks_of(message), call.label
    assert (again.stop_reason, again.stop_sequence) == (message.stop_reason, message.stop_sequence)
    agree(CHAT.completion(written.body), message, call.label)
    passed = LANE.completion(call.body)
    assert passed.usage == completion.usage, call.label
    assert passed.finish_reason == message.stop_reason, call.label


def test_streams() -> None:
    read = 0
    for call in messages(stream=True):
        stream_agrees(call)
        read += 1
    assert read == 148


def stream_agrees(call: Recorded) -> None:
    """Read and written again, it is what the SDK reads."""
    message = sdk_reads(call.body, stream=True)
    events = parsed([call.body])
    agree(fold(events), message, call.label)
    assert parsed([crlf(call.body)]) == events, call.label
    assert Messages.chat is not None
    writer = Messages.chat.writer(ASKED, SETTING)
    written = b"".join([writer.write([event]) for event in events]) + writer.finish()
    assert list(writer.dropped) == [], call.label
    again = sdk_reads(written, stream=True)
    assert blocks_of(again) == blocks_of(message), call.label
    agree(fold(parsed([written])), again, call.label)
    counts_agree(fold(events), again, call.label)


def test_streams_cut_anywhere() -> None:
    streams = sorted((call for call in messages(stream=True)), key=lambda call: len(call.body))
    for at, call in enumerate(streams):
        if at >= ALL_CUTS and at % SOME_CUTS:
            continue
        for body in (call.body, crlf(call.body)):
            events = parsed([body])
            for pieces in cuts(body, every_byte=at < ALL_CUTS, sets=6):
                assert parsed(pieces) == events, call.label


def test_streams_passed_on() -> None:
    """Every byte goes through, however it is cut; the end only once the call is settled."""
    for at, call in enumerate(messages(stream=True)):
        whole = fold(parsed([call.body]))
        for body in (call.body, crlf(call.body)):
            chances = cuts(body, sets=3) if at % SOME_CUTS == 0 else [[body]]
            for pieces in chances:
                tap = LANE.stream(None)
                passed = b"".join(tap.feed(piece) for piece in pieces)
                assert b"message_stop" not in passed, call.label
                assert tap.done, call.label
                assert (passed + tap.finish()).strip() == body.strip(), call.label
                assert tap.usage() == whole.usage, call.label
                assert tap.finish_reason == whole.choices[0].native, call.label
                assert tap.upstream_error == b"", call.label


def test_a_broken_stream_is_counted_by_its_text() -> None:
    """Cut before the end, the prompt's count is the provider's and the answer's an estimate: for seven in ten within a
    factor of 2.5 (calls of tools come with tokens that are no text)."""
    close = total = 0
    for call in messages(stream=True):
        before, mark, _ = call.body.partition(b"event: message_delta")
        whole = fold(parsed([call.body])).usage
        if not mark or whole.output_tokens < 20:
            continue
        tap = LANE.stream(None)
        tap.feed(before)
        usage = tap.usage()
        assert usage.source is UsageSource.COUNTED
        started = next(event.usage for event in parsed([call.body]) if isinstance(event, Counted))
        assert usage.input_tokens == started.input_tokens
        total += 1
        close += whole.output_tokens / 2.5 <= usage.output_tokens <= whole.output_tokens * 2.5
    assert close / total > 0.7


def test_requests_come_back_as_they_were() -> None:
    """Anthropic's dialect into neutral words and out again to Anthropic loses nothing."""
    for call in messages(status=None):
        request_returns(call)


def request_returns(call: Recorded) -> None:
    asked = parse(call.asked)
    written = CHAT.request(asked, model=asked.model, card=CARD)
    assert written.dropped == (), call.label
    assert canonical(json.loads(written.body)) == canonical(json.loads(call.asked)), call.label


def canonical(value: Any, name: str = "") -> Any:
    """One way to say what may be said in several: nulls, defaults, a string for a single block of text."""
    if isinstance(value, list):
        return [canonical(each) for each in cast(list[Any], value)]
    if not isinstance(value, dict) or name in ("input", "input_schema", "schema"):
        return cast(Any, value)
    fields = cast(dict[str, Any], value)
    found = {key: canonical(each, key) for key, each in fields.items() if each is not None}
    defaults = {"is_error": False, "stream": False}
    found = {key: each for key, each in found.items() if key not in defaults or each != defaults[key]}
    if found.get("type") == "ephemeral" and found.get("ttl") == "5m":
        del found["ttl"]
    if found.get("type") == "custom" and "input_schema" in found:
        del found["type"]
    for key in ("content", "system"):
        if isinstance(found.get(key), str):
            found[key] = [{"type": "text", "text": found[key]}]
    return found


def test_requests_are_read_for_limits_and_passed_on_unchanged() -> None:
    dialect = Messages()
    for call in messages(status=None):
        sent = json.loads(call.asked)
        request = dialect.decode(call.asked)
        assert (request.model, request.stream) == (sent["model"], bool(sent.get("stream")))
        assert request.max_output == sent["max_tokens"]
        passed = LANE.request(Original(body=call.asked, model=request.model, stream=request.stream), "other")
        assert json.loads(passed) == {**sent, "model": "other"}


def test_refusals_keep_the_providers_words() -> None:
    for call in messages(status=404):
        error = WIRE.error(call.status, None, call.body)
        assert (error.http_status, error.code) == (502, "upstream_model_not_found")
        assert json.loads(call.body)["error"]["message"] in error.message
    for call in messages(status=401):
        assert isinstance(WIRE.error(call.status, None, call.body), UpstreamAuth)


def test_blocks_that_stand_alone_are_written_as_they_were_read() -> None:
    """Assistant turns that clients gave back, signatures and all, go out byte for byte in what is opaque."""
    signatures = 0
    for call in messages(status=None):
        asked = parse(call.asked)
        for message in asked.messages:
            for part in message.parts:
                if isinstance(part, Reasoning) and part.signature:
                    signatures += 1
                    dropped: list[str] = []
                    block = BlockWriter(own=True, answer=False, dropped=dropped).block(part, "x")
                    assert isinstance(block, dict)
                    assert block["signature"] == part.signature
                    assert part.signature.encode() in call.asked
    assert signatures == 17


def test_usage_of_nothing_is_no_usage() -> None:
    assert usage_of(None).source is UsageSource.NONE
