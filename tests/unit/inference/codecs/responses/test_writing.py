"""Items written: messages, calls, thoughts and results, for their own family with everything it knows of them."""

import json
from typing import Any

import msgspec
from msgspec import Raw

from inference.codecs.responses.writing import result_item, said_items, seal_of
from inference.ir.content import (
    Audio,
    Citation,
    Family,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
)

OWN = Family.OPENAI_RESPONSES


def items(*parts: Part, own: bool = True, name: str | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    dropped: list[str] = []
    rest = {"phase": Raw(b'"commentary"')}
    made = said_items(parts, name=name, own=own, rest=rest, dropped=dropped, at="input[0]")
    return json.loads(msgspec.json.encode(made)), dropped


def test_text_and_refusals_are_one_message() -> None:
    made, _ = items(Text(text="a"), Refusal(text="b"), name="msg_1")
    assert made == [
        {
            "id": "msg_1",
            "status": "completed",
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "a", "annotations": []},
                {"type": "refusal", "refusal": "b"},
            ],
            "phase": "commentary",
        }
    ]


def test_messages_without_an_id_are_text_alone_where_they_can_be() -> None:
    """OpenAI's types take parts only in a message with an id, which those of another format have not."""
    made, _ = items(Text(text="a"), Text(text="b"), own=False)
    assert [(item["role"], item["content"]) for item in made] == [("assistant", "a"), ("assistant", "b")]
    cited = Text(text="a", citations=(Citation(url="https://x"),))
    for part in (cited, Refusal(text="no")):
        made, _ = items(Text(text="b"), part, own=False)
        assert [len(item["content"]) for item in made] == [2]


def test_everything_else_is_an_item_in_its_place() -> None:
    hosted = Opaque(family=OWN, kind="web_search_call", raw=Raw(b'{"type":"web_search_call"}'))
    call = ToolCall(id="c", name="f", item_id="fc_1", rest={"namespace": Raw(b'"n"')})
    made, dropped = items(Reasoning(id="rs_1", text="hm"), hosted, Text(text="a"), call)
    assert [item["type"] for item in made] == ["reasoning", "web_search_call", "message", "function_call"]
    assert made[0]["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert (made[3]["id"], made[3]["namespace"], made[3]["arguments"]) == ("fc_1", "n", "")
    assert dropped == []


def test_what_another_family_said_is_left_out_by_name() -> None:
    foreign = Opaque(family=Family.ANTHROPIC, kind="x", raw=Raw(b"{}"))
    thought = Reasoning(text="hm", signature="s", issuer=Family.ANTHROPIC)
    made, dropped = items(thought, foreign, Audio(source=Source(data="A")), Text(text="a"), own=False)
    assert [item["type"] for item in made] == ["message"]
    assert "phase" not in made[0]
    assert dropped == ["input[0].content[0]", "input[0].content[1]", "input[0].content[2]"]


def test_results() -> None:
    dropped: list[str] = []
    plain = ToolResult(call_id="c", content=(Text(text="1"),), rest={"id": Raw(b'"fco_1"')})
    assert json.loads(msgspec.json.encode(result_item(plain, True, dropped, "at"))) == {
        "type": "function_call_output",
        "call_id": "c",
        "output": "1",
        "id": "fco_1",
    }
    assert dropped == []
    video = ToolResult(call_id="c", content=(Video(source=Source(url="u")),), error=True, custom=True)
    assert result_item(video, False, dropped, "at") == {
        "type": "custom_tool_call_output",
        "call_id": "c",
        "output": [],
    }
    assert dropped == ["at.content[0]", "at.is_error"]


def test_a_signature_is_nothing_without_its_issuer() -> None:
    assert seal_of(Text(text="a", signature="s")) is None
    assert seal_of(ToolCall(id="c", name="f")) is None
    assert '"call":"c"' in (seal_of(ToolCall(id="c", name="f", signature="s", issuer=Family.GEMINI)) or "")
