"""Items read as turns: what a model said in one go is one turn, signatures find their way back."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.codecs.responses.items import ItemReader
from inference.codecs.responses.seals import Seal, write_seal
from inference.ir.chat import Message, Role
from inference.ir.content import Family, Opaque, Reasoning, Text, ToolCall, ToolResult
from inference.ir.errors import InvalidField

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{not json", "id": "fc_1"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "1"}


def read(*items: object, continued: bool = False) -> tuple[Message, ...]:
    return ItemReader("input", continued=continued).read([Raw(json.dumps(item).encode()) for item in items])


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text, **more}


def test_what_a_model_said_in_one_go_is_one_turn() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "so"}]}
    turns = read({"role": "user", "content": "hi"}, thought, said("yes", id="msg_1"), CALL, RESULT)
    assert [turn.role for turn in turns] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert turns[1] == Message(
        role=Role.ASSISTANT,
        id="msg_1",
        parts=(
            Reasoning(id="rs_1", summaries=("so",)),
            Text(text="yes"),
            ToolCall(id="c1", name="f", arguments="{not json", item_id="fc_1"),
        ),
    )
    assert turns[2].parts == (ToolResult(call_id="c1", content=(Text(text="1"),)),)


def test_two_messages_are_two_turns() -> None:
    turns = read(said("one", id="m1", phase="commentary"), said("two", id="m2"), CALL)
    assert [(turn.id, sorted(turn.rest), len(turn.parts)) for turn in turns] == [
        ("m1", ["phase"], 1),
        ("m2", [], 2),
    ]


def test_another_providers_signatures_go_back_to_their_parts() -> None:
    def sealed(**fields: Any) -> dict[str, Any]:
        content = write_seal(Seal(**fields))
        return {"type": "reasoning", "summary": [], "encrypted_content": content}

    turns = read(
        sealed(issuer=Family.ANTHROPIC, signature="a:b"),
        sealed(issuer=Family.ANTHROPIC, redacted="zzz"),
        said("text"),
        sealed(issuer=Family.GEMINI, signature="t", text=True),
        CALL,
        sealed(issuer=Family.GEMINI, signature="s", call="c1"),
    )
    thought, redacted, text, call = turns[0].parts
    assert thought == Reasoning(signature="a:b", issuer=Family.ANTHROPIC)
    assert redacted == Reasoning(redacted="zzz", issuer=Family.ANTHROPIC)
    assert isinstance(text, Text)
    assert isinstance(call, ToolCall)
    assert (text.signature, text.issuer) == ("t", Family.GEMINI)
    assert (call.signature, call.issuer) == ("s", Family.GEMINI)


@pytest.mark.parametrize(
    "content", ["gAAAAAB", "aspendos:", "aspendos:{nonsense", 'aspendos:{"issuer":"nobody"}']
)
def test_openais_own_and_what_only_looks_sealed_stays_as_it_is(content: str) -> None:
    (turn,) = read({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": content})
    assert turn.parts == (Reasoning(id="rs", signature=content, issuer=Family.OPENAI_RESPONSES),)


def test_items_only_this_format_knows_are_kept_whole() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}}
    (turn,) = read(item, {"type": "function_call_output", "call_id": "elsewhere", "output": "x"})[:1]
    (part,) = turn.parts
    assert isinstance(part, Opaque)
    assert (part.kind, json.loads(bytes(part.raw))) == ("web_search_call", item)


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (3, "input[0]"),
        ({"role": "robot", "content": "x"}, "input[0].role"),
        ({"content": "x"}, "input[0].role"),
        ({"role": "user", "content": 3}, "input[0].content"),
        ({"role": "user", "content": [{"text": "x"}]}, "input[0].content[0].type"),
        ({"role": "user", "content": [{"type": "input_image"}]}, "input[0].content[0].image_url"),
        ({"role": "user", "content": [{"type": "input_file"}]}, "input[0].content[0].file_data"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "input[0].content[0].input_audio"),
        ({"type": "function_call", "name": "f"}, "input[0].call_id"),
        (RESULT, "input[0].call_id"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(item: object, param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        read(item)
    assert refused.value.param == param


def test_a_result_may_answer_a_call_of_a_turn_that_is_not_here() -> None:
    assert len(read(RESULT, continued=True)) == 1
