"""What chat clients send, and what they are told when it is wrong."""

import pytest

from gateway.dialects.openai_chat import Chat
from inference.ir.errors import BadRequest, InvalidField

CHAT = Chat()


def test_a_chat_is_understood_only_as_far_as_needed() -> None:
    request = CHAT.decode(
        b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,'
        b'"stream_options":{"include_usage":true,"x":1},"unknown":{"a":[]}}'
    )
    assert request.model == "m"
    assert request.stream
    assert request.options is not None
    assert request.options.include_usage
    assert request.prompt == b'[{"role":"user","content":"hi"}]'
    assert not request.hints
    assert CHAT.decode(b'{"model":"m","messages":[1],"aspendos":{}}').hints


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"messages":[1]}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":5,"messages":[1]}', "model"),
        (b'{"model":"m","messages":"hi"}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":[ ]}', "messages"),
        (b'{"model":"m","messages":[1],"stream":"yes"}', "stream"),
        (b'{"model":"m","messages":[1],"max_tokens":1.5}', "max_tokens"),
        (b'{"model":"m","messages":[1],"temperature":"hot"}', "temperature"),
        (b'{"model":"m","messages":[1],"stream_options":[]}', "stream_options"),
        (
            b'{"model":"m","messages":[1],"stream_options":{"include_usage":1}}',
            "stream_options.include_usage",
        ),
    ],
)
def test_a_wrong_chat_names_the_field(body: bytes, param: str) -> None:
    with pytest.raises(InvalidField) as caught:
        CHAT.decode(body)
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"m","messages":["\xff"]}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        CHAT.decode(body)
