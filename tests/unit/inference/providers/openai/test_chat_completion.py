"""Whole answers of OpenAI's chat format."""

import json
from typing import Any

import pytest

from inference.ir.completion import Completion, Finish
from inference.ir.content import Family, Opaque, Reasoning, Refusal, Text, ToolCall
from inference.ir.errors import UpstreamFailed, UpstreamGarbled, UpstreamRefused
from inference.providers.openai.chat_completion import CompletionReader


def read(message: dict[str, Any], finish: str = "stop", **fields: Any) -> Completion:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, "seed": 9}
    body = {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [choice],
    }
    return CompletionReader().read(json.dumps({**body, **fields}).encode())


def test_everything_a_message_may_hold_in_its_order() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{ "x": 1 }'}}
    choice = read(
        {"reasoning_content": "hm", "content": "so", "refusal": "no", "tool_calls": [call]}
    ).choices[0]
    assert choice.parts == (
        Reasoning(text="hm"),
        Text(text="so"),
        Refusal(text="no"),
        ToolCall(id="c", name="f", arguments='{ "x": 1 }'),
    )
    assert (choice.finish, choice.native) == (Finish.TOOL_CALLS, "stop")


@pytest.mark.parametrize(
    ("word", "finish"),
    [("eos", Finish.STOP), ("length", Finish.LENGTH), ("sensitive", Finish.FILTER), ("later", Finish.OTHER)],
)
def test_finish_reasons(word: str, finish: Finish) -> None:
    assert read({"content": "x"}, word).choices[0].finish is finish


def test_what_it_does_not_know_is_kept() -> None:
    found = read(
        {"content": "x", "executed_tools": [1], "channel": None}, system_fingerprint="fp", provider=None
    )
    assert {name: bytes(value) for name, value in found.rest.items()} == {"system_fingerprint": b'"fp"'}
    assert {name: bytes(value) for name, value in found.choices[0].rest.items()} == {
        "seed": b"9",
        "message.executed_tools": b"[1]",
    }


def test_calls_without_ids_and_arguments_that_are_no_text() -> None:
    (call,) = read({"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}).choices[0].parts
    assert call == ToolCall(id="call_abc0", name="f", arguments='{"x": 1}')
    (call,) = read({"function_call": {"name": "f", "arguments": "{}"}}, "function_call").choices[0].parts
    assert call == ToolCall(id="call_abc0", name="f", arguments="{}")


def test_details_say_the_thought_and_who_signed_it() -> None:
    details = [
        {
            "type": "reasoning.text",
            "text": "hm",
            "signature": "S",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {"type": "reasoning.encrypted", "data": "D", "format": "xai-responses-v1", "index": 1},
    ]
    signed, sealed = read({"reasoning": "hm", "reasoning_details": details}).choices[0].parts
    assert signed == Reasoning(text="hm", signature="S", issuer=Family.ANTHROPIC)
    assert isinstance(sealed, Reasoning)
    assert (sealed.redacted, sealed.issuer) == ("D", Family.OPENAI_CHAT)
    assert bytes(sealed.rest["format"]) == b'"xai-responses-v1"'


def test_content_that_is_a_list() -> None:
    text, other = (
        read({"content": [{"type": "text", "text": "x"}, {"type": "table", "rows": []}]}).choices[0].parts
    )
    assert text == Text(text="x")
    assert isinstance(other, Opaque)


def test_a_choice_without_a_message_says_nothing() -> None:
    body = b'{"id":"x","choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{}}]}'
    (choice,) = CompletionReader().read(body).choices
    assert (choice.parts, choice.finish) == ((), Finish.FILTER)


def test_an_error_with_status_200() -> None:
    with pytest.raises(UpstreamRefused, match="too long"):
        CompletionReader().read(b'{"error":{"code":400,"message":"too long"}}')
    with pytest.raises(UpstreamFailed, match="lost"):
        CompletionReader().read(b'{"error":{"message":"lost"},"choices":null}')


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"choices":{}}', b'{"choices":[{"message":7}]}']
)
def test_what_is_no_answer_is_garbled(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        CompletionReader().read(body)
