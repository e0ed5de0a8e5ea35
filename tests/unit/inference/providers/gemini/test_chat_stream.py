import json
from typing import Any

import pytest

from inference.ir.completion import Finish
from inference.ir.content import Opaque, Reasoning, Text, ToolCall
from inference.ir.errors import UpstreamGarbled, UpstreamRateLimited
from inference.ir.events import Counted, Failed
from inference.ir.folding import fold
from inference.ir.usage import UsageSource
from inference.providers.gemini.chat_stream import GeminiParser


def event(*parts: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    if finish is not None:
        candidate["finishReason"] = finish
    body = {"candidates": [candidate], "modelVersion": "m", "responseId": "r", **more}
    return f"data: {json.dumps(body)}\r\n\r\n".encode()


def test_parts_become_blocks_and_a_signature_closes_one() -> None:
    parser = GeminiParser()
    events = [
        *parser.feed(event({"text": "Hm", "thought": True})),
        *parser.feed(event({"text": "m.", "thought": True})),
        *parser.feed(event({"text": "A"})),
        *parser.feed(event({"text": "", "thoughtSignature": "s1"})),
        *parser.feed(event({"text": "B"}, {"executableCode": {"code": "1"}})),
        *parser.feed(
            event({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s2"}, finish="STOP")
        ),
        *parser.finish(),
    ]
    choice = fold(events).choices[0]
    thought, first, second, code, call = choice.parts
    assert isinstance(thought, Reasoning) and thought.text == "Hmm."
    assert isinstance(first, Text) and (first.text, first.signature) == ("A", "s1")
    assert isinstance(second, Text) and (second.text, second.signature) == ("B", None)
    assert isinstance(code, Opaque) and code.kind == "executableCode"
    assert isinstance(call, ToolCall) and (call.arguments, call.signature) == ('{"a": 1}', "s2")
    assert choice.finish is Finish.TOOL_CALLS


def test_several_candidates_and_counts_so_far() -> None:
    parser = GeminiParser()
    early = parser.feed(event({"text": "a"}, usageMetadata={"promptTokenCount": 5}))
    assert not [each for each in early if isinstance(each, Counted)]
    events = [
        *early,
        *parser.feed(event({"text": "b"}, index=1, finish="MAX_TOKENS")),
        *parser.feed(
            event(
                {"text": "c"}, finish="STOP", usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": 3}
            )
        ),
        *parser.finish(),
    ]
    answer = fold(events)
    assert [choice.finish for choice in answer.choices] == [Finish.STOP, Finish.LENGTH]
    assert (answer.usage.output_tokens, answer.usage.source) == (3, UsageSource.REPORTED)


def test_errors_within_and_ends_too_soon() -> None:
    parser = GeminiParser()
    said = {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}
    (failed,) = parser.feed(f"data: {json.dumps(said)}\n\n".encode())
    assert isinstance(failed, Failed) and isinstance(failed.error, UpstreamRateLimited)
    parser = GeminiParser()
    parser.feed(event({"text": "a"}))
    with pytest.raises(UpstreamGarbled, match="before it was complete"):
        parser.finish()
    with pytest.raises(UpstreamGarbled):
        GeminiParser().finish()
    with pytest.raises(UpstreamGarbled):
        GeminiParser().feed(b"data: <html>\n\n")


def test_unknown_fields_and_an_argument_of_a_megabyte() -> None:
    long = "é🎈" * 150_000
    stream = event({"functionCall": {"name": "f", "args": {"text": long}}}, finish="STOP", novelty={"x": 1})
    parser = GeminiParser()
    events = [each for at in range(0, len(stream), 65_536) for each in parser.feed(stream[at : at + 65_536])]
    call = fold([*events, *parser.finish()]).choices[0].parts[0]
    assert isinstance(call, ToolCall)
    assert json.loads(call.arguments) == {"text": long}


def test_citations_go_to_the_text_they_are_about() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a"}}],
        "groundingSupports": [{"segment": {"startIndex": 5, "endIndex": 6}, "groundingChunkIndices": [0]}],
    }
    parser = GeminiParser()
    events = [*parser.feed(event({"text": "é🎈"[:1] + "abc", "thoughtSignature": "s"}))]
    candidate = {
        "content": {"parts": [{"text": "xyz"}]},
        "finishReason": "STOP",
        "groundingMetadata": grounding,
    }
    events += parser.feed(f"data: {json.dumps({'candidates': [candidate]})}\n\n".encode())
    first, second = fold([*events, *parser.finish()]).choices[0].parts
    assert isinstance(first, Text) and first.citations == ()
    assert isinstance(second, Text)
    assert [(each.url, each.start, each.end) for each in second.citations] == [("https://a", 0, 1)]
