"""Whole answers for Gemini's clients, whoever gave them."""

import json
from typing import Any

from msgspec import Raw

from gateway.dialects.dialect import Rendered, Setting
from gateway.dialects.gemini.answer import answer
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Citation, Family, Reasoning, Text, ToolCall
from inference.ir.usage import Usage, UsageSource

SETTING = Setting(id="req-1", model="asked", created=7)


def told(
    *choices: Choice, family: Family = Family.OPENAI_CHAT, **more: Any
) -> tuple[dict[str, Any], Rendered]:
    rendered = answer(Completion(family=family, choices=choices, **more), SETTING)
    return json.loads(rendered.body), rendered


def test_thoughts_text_and_calls() -> None:
    parts = (Reasoning(text="hm"), Text(text="Hi"), ToolCall(id="1", name="f", arguments='{"x": 1.50}'))
    usage = Usage(input_tokens=5, output_tokens=3, reasoning_tokens=1, source=UsageSource.REPORTED)
    body, rendered = told(Choice(parts=parts, finish=Finish.TOOL_CALLS), usage=usage)
    (candidate,) = body["candidates"]
    assert candidate == {
        "content": {
            "parts": [
                {"text": "hm", "thought": True},
                {"text": "Hi"},
                {"functionCall": {"id": "1", "name": "f", "args": {"x": 1.5}}},
            ],
            "role": "model",
        },
        "finishReason": "STOP",
        "index": 0,
    }
    assert b'"args":{"x": 1.50}' in rendered.body
    assert (body["usageMetadata"]["promptTokenCount"], body["usageMetadata"]["thoughtsTokenCount"]) == (5, 1)
    assert (body["modelVersion"], body["responseId"], rendered.dropped) == ("asked", "req-1", ())


def test_a_call_whose_arguments_are_no_object_is_told_as_gemini_tells_it() -> None:
    body, _ = told(Choice(parts=(ToolCall(id="1", name="f", arguments='{"x":'),), finish=Finish.TOOL_CALLS))
    (candidate,) = body["candidates"]
    assert candidate["finishReason"] == "MALFORMED_FUNCTION_CALL"
    assert candidate["finishMessage"] == 'Malformed function call: f({"x":)'
    assert candidate["content"]["parts"] == []


def test_half_of_a_character_costs_no_call() -> None:
    call = ToolCall(id="1", name="f", arguments=r'{"x": "\ud83c"}')
    body, _ = told(Choice(parts=(call,), finish=Finish.TOOL_CALLS))
    (candidate,) = body["candidates"]
    assert candidate["finishReason"] == "STOP"
    assert candidate["content"]["parts"][0]["functionCall"]["args"] == {"x": "\ufffd"}


def test_citations_stand_beside_the_content_and_count_from_its_beginning() -> None:
    cited = Text(text="Paris.", citations=(Citation(url="https://x/", title="X", start=0, end=5),))
    body, rendered = told(Choice(parts=(Text(text="Ah: "), cited), finish=Finish.STOP))
    grounding = body["candidates"][0]["groundingMetadata"]
    assert grounding["groundingChunks"][0]["web"] == {"uri": "https://x/", "title": "X"}
    segment = grounding["groundingSupports"][0]["segment"]
    assert (segment.get("startIndex", 0), segment["endIndex"]) == (4, 9)
    assert rendered.dropped == ()


def test_what_another_family_says_beside_is_named() -> None:
    choice = Choice(parts=(), finish=Finish.STOP, stop_sequence="END", rest={"odd": Raw(b"1")})
    _, rendered = told(choice, rest={"system_fingerprint": Raw(b'"x"')})
    assert set(rendered.dropped) == {"stop_sequence", "odd", "system_fingerprint"}


def test_geminis_own_come_back_as_they_were() -> None:
    choice = Choice(
        parts=(Text(text="x"),), finish=Finish.STOP, native="STOP", rest={"avgLogprobs": Raw(b"-0.50")}
    )
    body, rendered = told(choice, family=Family.GEMINI, rest={"createTime": Raw(b'"now"')}, model="there")
    assert b'"avgLogprobs":-0.50' in rendered.body
    assert (body["createTime"], body["modelVersion"], rendered.dropped) == ("now", "there", ())


def test_a_refused_prompt_has_no_candidate() -> None:
    rest = {"promptFeedback": Raw(b'{"blockReason":"SAFETY"}')}
    body, _ = told(Choice(parts=(), finish=Finish.FILTER), family=Family.GEMINI, rest=rest)
    assert "candidates" not in body
    assert body["promptFeedback"] == {"blockReason": "SAFETY"}
