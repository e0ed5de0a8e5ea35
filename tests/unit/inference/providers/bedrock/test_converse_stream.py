"""Streams of Converse made by hand: what recordings do not show."""

import json

import pytest
from msgspec import Raw

from inference.ir.completion import Completion, Finish
from inference.ir.content import Citation, Family, Image, Opaque, Reasoning, Source, Text, ToolCall
from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
)
from inference.ir.events import Failed, TextDelta
from inference.ir.folding import fold
from inference.ir.usage import NO_USAGE
from inference.providers.bedrock.chat import BedrockChat
from inference.providers.bedrock.converse_stream import ConverseStream
from inference.providers.bedrock.naming import Maker
from tests.aws_messages import event, message, text

START = event("messageStart", b'{"role":"assistant"}')
METADATA = event(
    "metadata",
    b'{"usage":{"inputTokens":3,"outputTokens":5,"totalTokens":20,"cacheReadInputTokens":2,"cacheWriteInputTokens":10,'
    b'"cacheDetails":[{"ttl":"1h","inputTokens":4},{"ttl":"5m","inputTokens":6}]},"metrics":{"latencyMs":1},'
    b'"trace":{"promptRouter":{}}}',
)


def delta(index: int, written: str) -> bytes:
    return event("contentBlockDelta", f'{{"contentBlockIndex":{index},"delta":{written}}}'.encode())


def start(index: int, written: str) -> bytes:
    return event("contentBlockStart", f'{{"contentBlockIndex":{index},"start":{written}}}'.encode())


def stop(index: int) -> bytes:
    return event("contentBlockStop", f'{{"contentBlockIndex":{index}}}'.encode())


def end(reason: str, more: str = "") -> bytes:
    return event("messageStop", f'{{"stopReason":"{reason}"{more}}}'.encode())


def read(*pieces: bytes, made_by: Maker = Maker.CLAUDE) -> Completion:
    """Whole, and byte by byte."""
    stream = b"".join(pieces)
    found: list[Completion] = []
    for cut in (len(stream), 1):
        parser = ConverseStream(made_by)
        events = [each for at in range(0, len(stream), cut) for each in parser.feed(stream[at : at + cut])]
        events += parser.finish()
        assert parser.complete
        found.append(fold(events))
    assert found[0] == found[1]
    return found[0]


def test_blocks_are_numbered_as_they_begin_and_may_be_mixed() -> None:
    got = read(
        START,
        delta(7, '{"reasoningContent":{"text":"hm"}}'),
        delta(7, '{"reasoningContent":{"signature":"sig"}}'),
        start(3, '{"toolUse":{"toolUseId":"c1","name":"a"}}'),
        start(9, '{"toolUse":{"toolUseId":"c2","name":"b"}}'),
        delta(9, '{"toolUse":{"input":"{\\"x\\":"}}'),
        delta(3, '{"toolUse":{"input":""}}'),
        delta(9, '{"toolUse":{"input":"1}"}}'),
        event("somethingNew", b'{"a":1}'),
        delta(4, '{"somethingNew":{}}'),
        delta(0, '{"text":"🌍"}'),
        stop(9),
        end("tool_use"),
        METADATA,
    )
    (choice,) = got.choices
    assert choice.parts == (
        Reasoning(text="hm", signature="sig", issuer=Family.ANTHROPIC),
        ToolCall(id="c1", name="a", arguments="{}"),
        ToolCall(id="c2", name="b", arguments='{"x":1}'),
        Text(text="🌍"),
    )
    assert choice.finish is Finish.TOOL_CALLS
    usage = got.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (15, 5, 2)
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (10, 4)
    assert got.rest == {"trace": Raw(b'{"promptRouter":{}}')}


def test_what_only_bedrock_knows_comes_whole() -> None:
    got = read(
        START,
        start(0, '{"toolUse":{"toolUseId":"s1","name":"nova_grounding","type":"server_tool_use"}}'),
        delta(0, '{"toolUse":{"input":"{\\"q\\": "}}'),
        delta(0, '{"toolUse":{"input":"1}"}}'),
        stop(0),
        start(1, '{"toolResult":{"toolUseId":"s1","status":"success","type":"t"}}'),
        delta(1, '{"toolResult":[{"json":{"a":1}}]}'),
        stop(1),
        start(2, '{"image":{"format":"png"}}'),
        delta(2, '{"image":{"source":{"bytes":"iVBO"}}}'),
        end("end_turn"),
        METADATA,
        made_by=Maker.NOVA_2,
    )
    call, result, picture = got.choices[0].parts
    assert isinstance(call, Opaque)
    assert isinstance(result, Opaque)
    assert json.loads(bytes(call.raw)) == {
        "toolUse": {"toolUseId": "s1", "name": "nova_grounding", "input": {"q": 1}, "type": "server_tool_use"}
    }
    assert json.loads(bytes(result.raw))["toolResult"]["content"] == [{"json": {"a": 1}}]
    assert picture == Image(source=Source(data="iVBO", media_type="image/png"))
    assert got.choices[0].finish is Finish.STOP


def test_a_structured_answer_is_text() -> None:
    got = read(
        START,
        start(0, '{"toolUse":{"toolUseId":"c1","name":"aspendos_answer"}}'),
        delta(0, '{"toolUse":{"input":"{\\"a\\":1}"}}'),
        stop(0),
        end("tool_use"),
        METADATA,
    )
    assert got.choices[0].parts == (Text(text='{"a":1}'),)
    assert got.choices[0].finish is Finish.STOP


def test_citations_of_a_text() -> None:
    cited = '{"citation":{"title":"A page","sourceContent":[{"text":"said"}],"location":{"web":{"url":"https://a"}}}}'
    got = read(START, delta(0, '{"text":"so"}'), delta(0, cited), end("end_turn"), METADATA)
    (part,) = got.choices[0].parts
    assert isinstance(part, Text)
    (citation,) = part.citations
    raw = Raw(cited.removeprefix('{"citation":').removesuffix("}").encode())
    assert citation == Citation(url="https://a", title="A page", cited="said", family=Family.BEDROCK, raw=raw)


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("max_tokens", Finish.LENGTH),
        ("guardrail_intervened", Finish.FILTER),
        ("content_filtered", Finish.FILTER),
        ("model_context_window_exceeded", Finish.CONTEXT),
        ("a_new_word", Finish.OTHER),
    ],
)
def test_why_it_ended(word: str, finish: Finish) -> None:
    (choice,) = read(START, delta(0, '{"text":"x"}'), end(word), METADATA).choices
    assert (choice.finish, choice.native) == (finish, word)


def test_the_sequence_that_stopped_it() -> None:
    more = ',"additionalModelResponseFields":{"stop_sequence":"END"}'
    got = read(START, delta(0, '{"text":"x"}'), end("stop_sequence", more), METADATA)
    assert got.choices[0].stop_sequence == "END"


@pytest.mark.parametrize(
    ("kind", "expected", "status"),
    [
        ("throttlingException", UpstreamRateLimited, 429),
        ("validationException", UpstreamRefused, 400),
        ("modelStreamErrorException", UpstreamFailed, 502),
        ("serviceUnavailableException", UpstreamFailed, 503),
        ("modelTimeoutException", UpstreamFailed, 504),
        ("accessDeniedException", UpstreamAuth, 502),
        ("aNewException", UpstreamFailed, 502),
    ],
)
def test_exceptions_inside_a_stream(kind: str, expected: type[AspendosError], status: int) -> None:
    parser = BedrockChat().of("m").stream()
    stream = (
        START + delta(0, '{"text":"x"}') + event(kind, b'{"message":"Its words."}', "exception") + METADATA
    )
    events = list(parser.feed(stream))
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, expected)
    assert failed.error.http_status == status
    assert expected is UpstreamAuth or "Its words." in failed.error.message
    assert parser.complete
    assert any(isinstance(each, TextDelta) for each in events)


def test_an_error_of_the_stream_itself() -> None:
    headers = ((":message-type", "error"), (":error-code", "InternalError"), (":error-message", "Gone."))
    stream = message(b"", [(name.encode(), text(value)) for name, value in headers])
    (failed,) = BedrockChat().of("m").stream().feed(stream)
    assert isinstance(failed, Failed)
    assert "Gone." in failed.error.message


def test_an_end_without_usage_is_an_end() -> None:
    got = read(START, delta(0, '{"text":"x"}'), end("end_turn"))
    assert got.usage is NO_USAGE


@pytest.mark.parametrize(
    "stream",
    [
        START + delta(0, '{"text":"x"}'),
        START + end("end_turn") + METADATA[:-1],
        START + event("contentBlockDelta", b"no json"),
        START + event("contentBlockDelta", b'{"delta":{"text":1}}'),
        b"data: {}\n\n" * 4,
    ],
)
def test_what_is_no_such_stream(stream: bytes) -> None:
    parser = ConverseStream(Maker.CLAUDE)
    with pytest.raises(UpstreamGarbled):
        parser.feed(stream)
        parser.finish()
