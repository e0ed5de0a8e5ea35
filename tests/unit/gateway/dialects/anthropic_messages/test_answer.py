"""Whole answers as Anthropic's messages."""

import json
from typing import Any

import pytest
from msgspec import Raw, structs

from gateway.dialects.anthropic_messages.answer import answer
from gateway.dialects.dialect import Setting
from inference.codecs.anthropic.seals import read_seal
from inference.codecs.seal import Seal
from inference.ir.chat import ChatRequest
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import NO_REST, Family, Part, Reasoning, Refusal, Rest, Text, ToolCall
from inference.ir.usage import NO_USAGE, Usage, UsageSource

SETTING = Setting(id="req-7", model="asked", created=0)
ASKED = ChatRequest(model="asked", messages=(), family=Family.ANTHROPIC)


def said(
    *parts: Part,
    finish: Finish = Finish.STOP,
    stop_sequence: str | None = None,
    usage: Usage = NO_USAGE,
    rest: Rest = NO_REST,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    choice = Choice(parts=parts, finish=finish, stop_sequence=stop_sequence)
    completion = Completion(family=Family.OPENAI_CHAT, choices=(choice,), usage=usage, rest=rest)
    rendered = answer(completion, ASKED, SETTING)
    return json.loads(rendered.body), rendered.dropped


def test_parts_become_blocks() -> None:
    call = ToolCall(id="a", name="f", arguments='{"x": 1}')
    message, dropped = said(
        Reasoning(text="hm"), Text(text="Hi"), call, Refusal(text="No."), finish=Finish.TOOL_CALLS
    )
    assert message["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "text", "text": "No."},
    ]
    assert (message["id"], message["model"], message["stop_reason"]) == ("msg_7", "asked", "tool_use")
    assert dropped == ()


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        ('{"a":', {"INVALID_JSON": '{"a":'}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        (r'{"a": "\ud83c x"}', {"a": "\ufffd x"}),
    ],
)
def test_arguments_that_are_no_object(arguments: str, given: object) -> None:
    message, _ = said(ToolCall(id="a", name="f", arguments=arguments))
    assert message["content"][0]["input"] == given


def test_a_texts_signature_stands_behind_it() -> None:
    signed = Text(text="Hi", signature="EqQB/8=", issuer=Family.GEMINI)
    message, dropped = said(signed, structs.replace(signed, text=""))
    assert [block["type"] for block in message["content"]] == ["text", "thinking", "thinking"]
    assert dropped == ()
    for block in message["content"][1:]:
        seal = read_seal(block["signature"])
        assert seal == Seal(issuer=Family.GEMINI, signature="EqQB/8=", text=True)


def test_arguments_stay_byte_for_byte() -> None:
    rendered = answer(
        Completion(
            family=Family.OPENAI_CHAT,
            choices=(Choice(parts=(ToolCall(id="a", name="f", arguments='{"b" : 1.0, "a":1e2}'),)),),
        ),
        ASKED,
        SETTING,
    )
    assert b'"input":{"b" : 1.0, "a":1e2}' in rendered.body


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        (Finish.STOP, "end_turn"),
        (Finish.LENGTH, "max_tokens"),
        (Finish.PAUSE, "pause_turn"),
        (Finish.FILTER, "refusal"),
        (Finish.CONTEXT, "model_context_window_exceeded"),
    ],
)
def test_why_it_ended(finish: Finish, word: str) -> None:
    message, _ = said(Text(text="x"), finish=finish)
    assert message["stop_reason"] == word


def test_a_stop_sequence() -> None:
    message, _ = said(Text(text="x"), stop_sequence="END")
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_each_token_once() -> None:
    usage = Usage(
        input_tokens=100,
        cache_read_tokens=60,
        cache_write_tokens=30,
        cache_write_1h_tokens=10,
        output_tokens=9,
        reasoning_tokens=4,
        searches=2,
        source=UsageSource.REPORTED,
    )
    message, _ = said(Text(text="x"), usage=usage)
    assert message["usage"] == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "output_tokens": 9,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    }


def test_what_cannot_be_said_is_named() -> None:
    _, dropped = said(Text(text="x"), rest={"system_fingerprint": Raw(b'"f"')})
    assert dropped == ("system_fingerprint",)
