import json
from typing import Any

from msgspec import Raw

from gateway.dialects.dialect import Setting
from gateway.dialects.gemini.writer import GeminiWriter
from inference.codecs.gemini.seals import unseal
from inference.codecs.seal import Seal
from inference.ir.completion import Finish
from inference.ir.content import Citation, Family
from inference.ir.errors import UpstreamFailed
from inference.ir.events import (
    Began,
    CallBegan,
    CallDelta,
    Cited,
    Counted,
    Ended,
    Event,
    Extra,
    Failed,
    ReasoningDelta,
    Sealed,
    TextDelta,
)
from inference.ir.usage import Usage, UsageSource

SETTING = Setting(id="req-1", model="asked", created=0)
USAGE = Usage(input_tokens=5, output_tokens=7, reasoning_tokens=2, source=UsageSource.REPORTED)


def read(stream: bytes) -> list[dict[str, Any]]:
    assert stream.endswith(b"\r\n\r\n")
    return [json.loads(event[6:]) for event in stream.split(b"\r\n\r\n") if event]


def written(*events: Event) -> tuple[list[dict[str, Any]], GeminiWriter]:
    writer = GeminiWriter(SETTING)
    out = b"".join(writer.write([event]) for event in (Began(family=Family.OPENAI_CHAT, id="c"), *events))
    assert b"finishReason" not in out
    return read(out + writer.finish()), writer


def parts(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [part for each in answers for part in each["candidates"][0]["content"]["parts"]]


def test_text_thoughts_and_the_end() -> None:
    said, _ = written(ReasoningDelta("Hm."), TextDelta("é🎈", 1), Ended(finish=Finish.LENGTH), Counted(USAGE))
    assert parts(said) == [{"text": "Hm.", "thought": True}, {"text": "é🎈"}, {"text": ""}]
    last = said[-1]
    assert last["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert last["usageMetadata"] == {
        "promptTokenCount": 5,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 12,
    }
    assert {(each["modelVersion"], each["responseId"]) for each in said} == {("asked", "c")}


def test_calls_come_whole_however_their_pieces_are_mixed() -> None:
    said, _ = written(
        CallBegan(id="a", name="f", block=0),
        CallBegan(id="b", name="g", block=1),
        CallDelta('{"x":', 0),
        CallDelta("{}", 1),
        CallDelta(" 1}", 0),
        Ended(finish=Finish.TOOL_CALLS),
    )
    calls = [part["functionCall"] for part in parts(said) if "functionCall" in part]
    assert calls == [{"id": "a", "name": "f", "args": {"x": 1}}, {"id": "b", "name": "g", "args": {}}]
    assert said[-1]["candidates"][0]["finishReason"] == "STOP"


def test_arguments_that_are_no_object_are_told_as_gemini_tells_them() -> None:
    said, _ = written(CallBegan(id="a", name="f"), CallDelta('{"half'), Ended(finish=Finish.TOOL_CALLS))
    last = said[-1]["candidates"][0]
    assert last["finishReason"] == "MALFORMED_FUNCTION_CALL"
    assert 'f({"half)' in last["finishMessage"]


def test_what_cannot_be_said_is_named() -> None:
    said, writer = written(
        ReasoningDelta("t"),
        Extra(Family.ANTHROPIC, {"container": Raw(b"1")}),
        TextDelta("abc", 1),
        Cited(Citation(url="https://a", start=1, end=2), 1),
        Ended(finish=Finish.STOP, stop_sequence="x"),
    )
    assert list(writer.dropped) == [
        "container",
        "stop_sequence",
    ]
    grounding = said[-1]["candidates"][0]["groundingMetadata"]
    assert grounding["groundingSupports"][0]["segment"] == {"startIndex": 1, "endIndex": 2, "text": "b"}


def test_what_others_sealed_goes_along_sealed() -> None:
    sealed = (
        Sealed(0, signature="s", issuer=Family.ANTHROPIC),
        Sealed(1, redacted="zz", issuer=Family.ANTHROPIC),
        Sealed(2, signature="gAAA", issuer=Family.OPENAI_RESPONSES, id="rs_1"),
    )
    summed = (ReasoningDelta("x", 2, summary=0), ReasoningDelta("y", 2, summary=1))
    said, writer = written(ReasoningDelta("t"), *sealed[:2], *summed, sealed[2], TextDelta("So.", 3))
    parts = [part for event in said for part in event["candidates"][0]["content"]["parts"]][:7]
    assert [part["text"] for part in parts] == ["t", "", "", "x", "\n\ny", "", "So."]
    assert [part.get("thought", False) for part in parts] == [True] * 6 + [False]
    assert [unseal(part["thoughtSignature"]) for part in parts if "thoughtSignature" in part] == [
        Seal(issuer=Family.ANTHROPIC, signature="s"),
        Seal(issuer=Family.ANTHROPIC, redacted="zz"),
        Seal(issuer=Family.OPENAI_RESPONSES, signature="gAAA", id="rs_1"),
    ]
    assert list(writer.dropped) == []


def test_errors_and_cuts() -> None:
    writer = GeminiWriter(SETTING)
    out = writer.write([TextDelta("a"), Failed(UpstreamFailed("gone", status=503))]) + writer.finish()
    text, error = read(out)
    assert parts([text]) == [{"text": "a"}]
    assert (error["error"]["code"], error["error"]["status"]) == (503, "UNAVAILABLE")
    (cut,) = read(GeminiWriter(SETTING).cut(USAGE))
    assert cut["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert cut["usageMetadata"]["totalTokenCount"] == 12


def test_arguments_written_over_several_lines_are_one_event() -> None:
    """A line's end inside an event would end it; inside a string there can be none."""
    arguments = '{\r\n  "city": "a\\nb"\n}'
    said, _ = written(
        CallBegan(id="a", name="f", block=0), CallDelta(arguments, 0), Ended(finish=Finish.TOOL_CALLS)
    )
    assert [part["functionCall"]["args"] for part in parts(said) if "functionCall" in part] == [
        {"city": "a\nb"}
    ]
