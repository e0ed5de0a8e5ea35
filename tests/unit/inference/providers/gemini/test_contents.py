import msgspec
import pytest

from inference.ir.chat import Message, Role
from inference.ir.content import Family, Part, Reasoning, Text, ToolCall, ToolResult
from inference.ir.errors import InvalidField
from inference.providers.gemini.contents import UNSIGNED, Contents
from inference.providers.gemini.naming import Naming


def turn(role: Role, *parts: Part) -> Message:
    return Message(role=role, parts=parts)


def contents(
    *messages: Message, family: Family = Family.OPENAI_CHAT, unsigned: bool = False
) -> tuple[Contents, Naming]:
    naming = Naming(family)
    return Contents(messages, naming, family=family, unsigned=unsigned), naming


def call(name: str, signature: str | None = None) -> ToolCall:
    return ToolCall(id=name, name=f"tool-{name}", arguments="{}", signature=signature, issuer=Family.GEMINI)


def test_answers_to_one_turns_calls_stand_in_one_turn() -> None:
    made, naming = contents(
        turn(Role.SYSTEM, Text(text="s")),
        turn(Role.USER, Text(text="u")),
        turn(
            Role.ASSISTANT,
            Reasoning(text="foreign", signature="x", issuer=Family.ANTHROPIC),
            call("a"),
            call("b"),
        ),
        turn(Role.TOOL, ToolResult(call_id="a", content=(Text(text="1"),))),
        turn(Role.TOOL, ToolResult(call_id="b", content=(Text(text="2"),))),
        turn(Role.SYSTEM, Text(text="late")),
    )
    assert made.system == [{"text": "s"}]
    assert [each["role"] for each in made.turns] == ["user", "model", "user"]
    parts = msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(made.turns[2]["parts"])))
    assert [part.get("functionResponse", {}).get("name") for part in parts] == ["tool-a", "tool-b", None]
    assert parts[2] == {"text": "late"}
    assert naming.dropped == ("messages[2].content[0]", "messages[5].role")


def test_a_thought_that_nobody_signed_goes_back_as_a_thought() -> None:
    made, naming = contents(turn(Role.ASSISTANT, Reasoning(text="hm"), Text(text="so")))
    assert made.turns[0]["parts"] == [{"text": "hm", "thought": True}, {"text": "so"}]
    assert naming.dropped == ()


def test_only_the_first_of_parallel_calls_is_signed() -> None:
    made, _ = contents(turn(Role.ASSISTANT, call("a"), call("b")), unsigned=True)
    first, second = msgspec.json.decode(msgspec.json.encode(made.turns[0]["parts"]))
    assert first["thoughtSignature"] == UNSIGNED
    assert "thoughtSignature" not in second
    made, _ = contents(turn(Role.ASSISTANT, call("a", "real"), call("b")), unsigned=True)
    first, second = msgspec.json.decode(msgspec.json.encode(made.turns[0]["parts"]))
    assert (first["thoughtSignature"], "thoughtSignature" in second) == ("real", False)


def test_geminis_own_turns_are_not_put_together() -> None:
    made, _ = contents(turn(Role.USER, Text(text="a")), turn(Role.USER, Text(text="b")), family=Family.GEMINI)
    assert len(made.turns) == 2


def test_a_system_prompt_alone_is_asked_as_a_question() -> None:
    made, _ = contents(turn(Role.SYSTEM, Text(text="s")))
    assert made.turns == [{"role": "user", "parts": [{"text": "s"}]}]
    assert made.system == []


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(InvalidField, match="no such call came before it"):
        contents(turn(Role.TOOL, ToolResult(call_id="nobody")))
    broken = ToolCall(id="a", name="f", arguments='{"half')
    with pytest.raises(InvalidField, match="no JSON object"):
        contents(turn(Role.ASSISTANT, broken))
