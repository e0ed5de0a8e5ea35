"""Request bodies: what is wrong with one is named, what cannot be done is refused, the rest is taken."""

import json
from typing import Any

import pytest

from inference.ir.cards import Kind
from inference.ir.errors import AspendosError, BadRequest
from inference.local.library import LocalCard
from inference.local.questions import (
    ChatQuestion,
    Message,
    Part,
    TextQuestion,
    check_fits,
    check_supported,
    decode,
    plain_messages,
    sampling_for,
    token_lists,
)

CARD = LocalCard(name="m", kind=Kind.CHAT, context=100, parameters=1, stamp="s", source="s", temperature=0.7)


def chat(**fields: Any) -> ChatQuestion:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | fields
    return decode(json.dumps(body).encode(), ChatQuestion)


@pytest.mark.parametrize(
    ("body", "code", "param", "words"),
    [
        (b"", "invalid_json", None, "empty"),
        (b'{"model": "m", "messages": [}', "invalid_json", None, "at byte 28"),
        (b'{"model": "\xff"}', "invalid_json", None, "UTF-8 at byte 11"),
        (b'{"messages": []}', "invalid_value", "messages", "length >= 1"),
        (b'{"messages": [{"role": "user"}]}', "invalid_value", "model", "missing required field `model`"),
        (b'{"model": 3}', "invalid_value", "model", "Expected `str`"),
        (
            b'{"model": "m", "messages": [{"role": "user", "content": 3}]}',
            "invalid_value",
            "messages[0].content",
            "got `int`",
        ),
        (b'{"model": "m", "n": 99}', "invalid_value", "n", "<= 16"),
        (b'{"model": "m", "temperature": "hot"}', "invalid_value", "temperature", "got `str`"),
        (b"[]", "invalid_value", None, "Expected `object`"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, code: str, param: str | None, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(body, ChatQuestion)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "function"}]),
        ("functions", [{"name": "f"}]),
        ("response_format", {"type": "json_object"}),
        ("logit_bias", {"5": 1}),
        ("presence_penalty", 0.5),
        ("frequency_penalty", 0.5),
        ("top_logprobs", 2),
        ("modalities", ["text", "audio"]),
        ("stream_options", {"include_usage": True}),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(BadRequest) as caught:
        check_supported(chat(**{field: value}))
    assert caught.value.param == field
    assert field in caught.value.message


def test_harmless_forms_of_the_same_fields_pass() -> None:
    check_supported(
        chat(
            tools=[],
            response_format={"type": "text"},
            logit_bias={},
            presence_penalty=0,
            top_logprobs=0,
            modalities=["text"],
            stream_options=None,
            something_new={"a": 1},
        )
    )


def test_sampling_takes_what_was_asked_and_the_models_own_default_else() -> None:
    asked = sampling_for(chat(temperature=0, stop="x", max_tokens=9, max_completion_tokens=5), CARD, 10)
    assert (asked.temperature, asked.stop, asked.max_tokens) == (0, ("x",), 5)
    default = sampling_for(chat(), CARD, 10)
    assert (default.temperature, default.stop, default.max_tokens) == (0.7, (), 90)
    text = decode(b'{"model": "m", "prompt": "a"}', TextQuestion)
    assert sampling_for(text, CARD, 10).max_tokens == 16
    assert sampling_for(text, CARD, 95).max_tokens == 5


@pytest.mark.parametrize(
    ("fields", "prompt", "param"), [({}, 100, "messages"), ({"max_tokens": 41}, 60, "max_tokens")]
)
def test_what_does_not_fit_is_refused_with_the_counts(
    fields: dict[str, Any], prompt: int, param: str
) -> None:
    with pytest.raises(AspendosError) as caught:
        sampling_for(chat(**fields), CARD, prompt)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", param)
    assert "100 tokens" in caught.value.message
    assert str(prompt) in caught.value.message


def test_messages_become_plain_text() -> None:
    parts = [Part(type="text", text="a"), Part(type="text", text="b")]
    messages = [
        Message(role="developer", content="be kind"),
        Message(role="user", content=parts),
        Message(role="tool"),
    ]
    assert plain_messages(messages) == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "ab"},
        {"role": "tool", "content": ""},
    ]
    with pytest.raises(BadRequest, match="role 'alien'"):
        plain_messages([Message(role="alien", content="x")])
    with pytest.raises(BadRequest, match="'image_url' is not supported") as caught:
        plain_messages([Message(role="user", content=[Part(type="image_url")])])
    assert caught.value.param == "messages[0].content[0]"


def test_the_four_shapes_of_input() -> None:
    assert token_lists("a", param="input", vocabulary=9) == ["a"]
    assert token_lists(["a", "b"], param="input", vocabulary=9) == ["a", "b"]
    assert token_lists([1, 2], param="input", vocabulary=9) == [[1, 2]]
    assert token_lists([[1], [2, 8]], param="input", vocabulary=9) == [[1], [2, 8]]


@pytest.mark.parametrize("value", [[], [[]], [9], [[1, 9]], [None], [[-1]], [["a"]], ["a"] * 2049, [True]])
def test_other_shapes_are_refused(value: list[Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        token_lists(value, param="input", vocabulary=9)
    assert caught.value.param == "input"


def test_an_input_beyond_the_context_is_named() -> None:
    check_fits([[1] * 100, []], CARD)
    with pytest.raises(BadRequest, match=r"context of 100 tokens; input\[1\] has 101") as caught:
        check_fits([[1], [1] * 101], CARD)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
