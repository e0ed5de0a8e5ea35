"""Arguments that are no JSON object: one rule for every wire format. Text where text is taken, else refused by path."""

import json
from typing import cast

import pytest

from gateway.dialects.openai_chat import OpenAIChatDialect
from gateway.dialects.places import retold
from inference.codecs.arguments import written_arguments
from inference.ir.cards import Kind, Model, Price
from inference.ir.content import ToolCall
from inference.ir.errors import InvalidField
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.wire import ByModel, ChatFormat, Wire

CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=0, output=0, version="0"), max_output=100)


def asked(arguments: str) -> bytes:
    function = {"name": "f", "arguments": arguments}
    call = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": function}]}
    said = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]
    result = {"role": "tool", "tool_call_id": "c1", "content": "x"}
    return json.dumps({"model": "m", "messages": [*said, call, result]}).encode()


def write(wire: object, body: bytes) -> bytes:
    """As Translation does it: written down, and what is refused told in the client's words."""
    dialect = OpenAIChatDialect()
    neutral = dialect.parse(body)
    found = cast(Wire, wire).chat
    assert found is not None
    writer: ChatFormat = found.of("m") if isinstance(found, ByModel) else found
    try:
        return writer.request(neutral, model="m", card=CARD).body
    except InvalidField as error:
        raise retold(error, dialect.places(body, neutral.messages)) from None


@pytest.mark.parametrize("arguments", ["{broken", "[1]", "7", '"text"', "null"])
@pytest.mark.parametrize("wire", [ANTHROPIC, BEDROCK, GEMINI])
def test_what_takes_objects_alone_refuses_by_path(wire: object, arguments: str) -> None:
    with pytest.raises(InvalidField) as refused:
        write(wire, asked(arguments))
    path = "messages[2].tool_calls[0].function.arguments"
    assert (refused.value.param, refused.value.code) == (path, "invalid_tool_arguments")
    assert f"`{path}`" in refused.value.message


@pytest.mark.parametrize("arguments", ["{broken", "[1]", "7"])
@pytest.mark.parametrize("wire", [OPENAI, RESPONSES, MISTRAL, COHERE])
def test_what_takes_text_is_given_it_as_it_is(wire: object, arguments: str) -> None:
    assert json.dumps(arguments).encode() in write(wire, asked(arguments))


@pytest.mark.parametrize("wire", [ANTHROPIC, BEDROCK, GEMINI])
def test_none_are_none(wire: object) -> None:
    assert b"{}" in write(wire, asked(""))


def test_free_text_of_a_custom_tool_is_its_input() -> None:
    call = ToolCall(id="1", name="f", arguments="free", custom=True)
    assert bytes(written_arguments(call, "p")) == b'{"input":"free"}'
    plain = ToolCall(id="1", name="f", arguments='{"a": 1.0e2}')
    assert bytes(written_arguments(plain, "p")) == b'{"a": 1.0e2}'


HALF = r'{"a": "\ud83c x", "b": "\ud83d\ude00", "c": 1.0}'


@pytest.mark.parametrize("wire", [ANTHROPIC, BEDROCK, GEMINI])
def test_half_of_a_character_is_told_as_such_and_the_rest_stays_byte_for_byte(wire: object) -> None:
    assert HALF.replace("\\ud83c", "\\ufffd").encode() in write(wire, asked(HALF))


@pytest.mark.parametrize("wire", [OPENAI, RESPONSES, MISTRAL, COHERE])
def test_half_of_a_character_within_text_is_text(wire: object) -> None:
    assert json.dumps(HALF).encode() in write(wire, asked(HALF))
