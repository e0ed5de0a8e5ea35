"""What a request shows, in every dialect's words and its servers'."""

import json
from typing import Any

import pytest

from gateway.media.shown import Shown, shown
from inference.ir.errors import InvalidField, InvalidJSON

A = "http://a.example/x.png"


def said(body: dict[str, Any]) -> list[Shown]:
    return list(shown(json.dumps(body).encode()))


def chat(*parts: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": ["hi", *parts]}]}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": A}},
        {"type": "image_url", "image_url": A},
        {"image_url": A},
        {"type": "audio_url", "audio_url": {"url": A}},
        {"type": "video_url", "video_url": {"url": A}, "uuid": "1"},
        {"type": "input_image", "image_url": A},
        {"type": "document_url", "document_url": A},
        {"type": "input_audio", "input_audio": {"data": A}},
        {"type": "file", "file": {"file_data": A}},
        {"type": "video_url", "video_url": {"url": A, "fps": [1]}},
    ],
)
def test_addresses_of_chat(part: dict[str, Any]) -> None:
    (found,) = said(chat(part))
    assert found.url == A
    assert found.param.startswith("messages[0].content[1]")


def test_addresses_of_the_other_dialects() -> None:
    responses: dict[str, Any] = {
        "input": [
            {"role": "user", "content": [{"type": "input_image", "image_url": A}]},
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_file", "file_url": A}],
            },
            {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": A}},
        ]
    }
    assert [each.param for each in said(responses)] == [
        "input[0].content[0]",
        "input[1].output[0]",
        "input[2].output",
    ]
    source = {"type": "url", "url": A}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": source}]}
    document = {
        "type": "document",
        "source": {"type": "content", "content": [{"type": "image", "source": source}]},
    }
    messages: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"type": "image", "source": source}, result, document]}]
    }
    assert [each.param for each in said(messages)] == [
        "messages[0].content[0]",
        "messages[0].content[1].content[0]",
        "messages[0].content[2].source.content[0]",
    ]
    answered: dict[str, Any] = {
        "functionResponse": {"name": "f", "response": {}, "parts": [{"fileData": {"fileUri": A}}]}
    }
    gemini: dict[str, Any] = {
        "contents": [{"parts": [{"text": "a"}, {"file_data": {"file_uri": A}}, answered]}]
    }
    assert [each.param for each in said(gemini)] == [
        "contents[0].parts[1]",
        "contents[0].parts[2].functionResponse.parts[0]",
    ]
    assert [each.url for each in said({"generateContentRequest": gemini})] == [A, A]
    assert {each.url for body in (responses, messages, gemini) for each in said(body)} == {A}


def test_what_is_ranked() -> None:
    part = {"type": "image_url", "image_url": {"url": A}}
    asked = {
        "query": {"content": [part]},
        "documents": ["a", part, {"content": [part]}, {"image_url": A, "text": "b"}],
    }
    assert said(asked) == [
        Shown("query.content[0]", url=A),
        Shown("documents[1]", url=A),
        Shown("documents[2].content[0]", url=A),
    ]


def test_pictures() -> None:
    data = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert said(chat(data)) == [Shown("messages[0].content[1]", picture="AAAA")]
    assert said(chat({"type": "image_url", "image_url": "DATA:;BASE64,AAAA"}))[0].picture == "AAAA"
    assert said(chat({"type": "image_url", "image_url": "data:application/pdf;base64,AAAA"})) == []
    assert said(chat({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}})) == []
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    assert said(chat({"type": "image", "source": source}))[0].picture == "AAAA"
    assert said(chat({"type": "document", "source": source})) == []
    for inline in (
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"inline_data": {"mime_type": "IMAGE/png", "data": "AAAA"}},
    ):
        assert said({"contents": {"parts": inline}}) == [Shown("contents.parts", picture="AAAA")]
    assert said({"contents": {"parts": {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}}}) == []


@pytest.mark.parametrize("url", ["data:image/png,AAAA", "data:image/png;base64,", "data:,AAAA", "data:"])
def test_a_data_url_that_is_none(url: str) -> None:
    with pytest.raises(InvalidField, match="reads `data:image/png;base64") as caught:
        said(chat({"type": "image_url", "image_url": {"url": url}}))
    assert caught.value.param == "messages[0].content[1]"


def test_what_tools_are_told_is_theirs() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"image_url": A, "source": {"url": A}}}
    assert said(chat(call)) == []
    assert said({"contents": [{"parts": [{"functionCall": {"name": "f", "args": {"image_url": A}}}]}]}) == []
    answered = {"functionResponse": {"name": "f", "response": {"image_url": A}}}
    assert said({"contents": [{"parts": [answered]}]}) == []
    assert said({**chat("hi"), "tools": [{"image_url": A}], "metadata": {"image_url": A}}) == []


def test_text_and_free_words_are_not_looked_into() -> None:
    assert said(chat({"type": "text", "text": '{"image_url": "http://127.0.0.1/"}'})) == []
    assert said(chat({"type": "document", "source": {"type": "text", "data": "Note: nothing"}})) == []
    assert (
        said(chat({"type": "image_url", "image_url": None}, {"type": "image_url", "image_url": {"url": 5}}))
        == []
    )
    assert said(chat({"type": "search_result", "source": "http://127.0.0.1/"})) == []


def test_escapes_and_names_given_twice_are_read_as_a_server_reads_them() -> None:
    r"""The last counts; `_` is a letter too."""
    body = (
        rb'{"messages":[{"content":[{"image\u005f\u0075rl":"http://b.example/","image_url":"%b"}]}]}'
        % A.encode()
    )
    assert [each.url for each in shown(body)] == [A]
    twice = b'{"messages":[],"messages":[{"content":[{"image_url":"%b"}]}]}' % A.encode()
    assert [each.url for each in shown(twice)] == [A]


@pytest.mark.parametrize("number", ["1e400", "9" * 5000, "-" + "9" * 40])
def test_a_number_beyond_reading_hides_nothing(number: str) -> None:
    body = f'{{"messages":[{{"content":[{{"n":{number},"image_url":"{A}"}}]}}]}}'.encode()
    assert [each.url for each in shown(body)] == [A]


def test_what_is_nested_beyond_reason() -> None:
    with pytest.raises(InvalidJSON, match=r"nested too deeply|not valid JSON"):
        list(shown(b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"))
