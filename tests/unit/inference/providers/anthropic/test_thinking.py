"""How much Anthropic's models are asked to think."""

import pytest

from inference.ir.chat import ChatRequest, Message, Role, Thinking
from inference.ir.content import Family, Part, Reasoning, Text, ToolCall, ToolResult
from inference.providers.anthropic.thinking import asked_thinking

CALL = ToolCall(id="1", name="f", arguments="{}")
RESULT = ToolResult(call_id="1")
SIGNED = Reasoning(text="t", signature="s", issuer=Family.ANTHROPIC)
FOREIGN = Reasoning(text="t", signature="s", issuer=Family.GEMINI)
CAN = frozenset({"reasoning"})


def asked(thinking: Thinking, *turns: tuple[Role, Part]) -> ChatRequest:
    messages = tuple(Message(role=role, parts=(part,)) for role, part in turns)
    return ChatRequest(model="m", messages=messages, family=Family.OPENAI_CHAT, thinking=thinking)


@pytest.mark.parametrize(
    ("thinking", "most", "budget"),
    [
        (Thinking(effort="low"), 64000, 2048),
        (Thinking(effort="high"), 64000, 24576),
        (Thinking(effort="high"), 10000, 5000),
        (Thinking(budget=100), 10000, 1024),
        (Thinking(enabled=True), 64000, 8192),
        (Thinking(effort="low"), 1025, 1024),
    ],
)
def test_a_budget_fits_between_the_least_and_the_maximum(thinking: Thinking, most: int, budget: int) -> None:
    found = asked_thinking(asked(thinking), most, CAN)
    assert found.thinking == {"type": "enabled", "budget_tokens": budget}
    assert budget < most


@pytest.mark.parametrize(
    "thinking", [Thinking(effort="none"), Thinking(enabled=False), Thinking(budget=0), Thinking()]
)
def test_not_asked_for(thinking: Thinking) -> None:
    found = asked_thinking(asked(thinking), 64000, CAN)
    assert (found.thinking, found.dropped) == (None, False)


@pytest.mark.parametrize(
    ("turns", "dropped"),
    [
        (((Role.USER, Text(text="x")), (Role.ASSISTANT, CALL), (Role.TOOL, RESULT)), True),
        (((Role.ASSISTANT, CALL), (Role.TOOL, RESULT), (Role.USER, Text(text="And?"))), True),
        (((Role.ASSISTANT, FOREIGN), (Role.TOOL, RESULT)), True),
        (((Role.ASSISTANT, SIGNED), (Role.TOOL, RESULT)), False),
        (((Role.TOOL, RESULT), (Role.ASSISTANT, Text(text="a")), (Role.USER, Text(text="x"))), False),
    ],
)
def test_a_turn_broken_off_at_a_tool_goes_on_without_thinking(
    turns: tuple[tuple[Role, Part], ...], dropped: bool
) -> None:
    found = asked_thinking(asked(Thinking(effort="low"), *turns), 64000, CAN)
    assert found.dropped is dropped
    assert found.on is not dropped


def test_a_model_that_cannot() -> None:
    assert asked_thinking(asked(Thinking(effort="low")), 64000, frozenset()).dropped
