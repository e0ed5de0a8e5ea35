"""Answers that nobody has recorded: what a provider's types allow, or a server of its kind gets slightly wrong.

Whatever is odd in one place, the words, the calls and the reason to stop arrive, in every client's dialect.
"""

import json
from typing import Any

import pytest
from msgspec import Raw

from gateway.dialects.dialect import Setting
from inference.ir.chat import ChatRequest
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Citation, Family, Reasoning, Refusal, Text, ToolCall
from inference.ir.folding import fold, unfold
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.cohere import WIRE as COHERE
from inference.providers.mistral import WIRE as MISTRAL
from inference.wire import ByModel, ChatFormat
from tests.aws_messages import event
from tests.golden.odd_answer import Odd
from tests.golden.odd_chats import CHATS
from tests.golden.odd_others import ANTHROPICS, GEMINIS
from tests.golden.odd_responses import COHERES, RESPONSES
from tests.golden.test_pairs import SIDES

SETTING = Setting(id="req-00000000000000ab00000001", model="m", created=1_700_000_000, include_usage=True)
assert COHERE.chat is not None
assert MISTRAL.chat is not None
FORMATS: dict[str, ChatFormat] = {
    **{name: own for name, (_, _, own) in SIDES.items()},
    "cohere": COHERE.chat,
    "mistral": MISTRAL.chat,
}


def said(completion: Completion) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """Words and calls of the first choice."""
    parts = completion.choices[0].parts if completion.choices else ()
    words = "".join(part.text for part in parts if isinstance(part, Text | Refusal))
    calls = tuple(
        (part.name, json.loads(part.arguments or "{}")) for part in parts if isinstance(part, ToolCall)
    )
    return words, calls


def sse(events: list[Any]) -> bytes:
    """Events as they stand on the wire; a string is the data itself."""
    return b"".join(
        b"data: " + (each.encode() if isinstance(each, str) else json.dumps(each).encode()) + b"\n\n"
        for each in events
    )


def heard(odd: Odd, cut: int | None = None) -> Completion:
    """What our parser makes of it."""
    format = FORMATS[odd.wire]
    if odd.events is None:
        return format.completion(json.dumps(odd.answer).encode())
    parser, stream = format.stream(), sse(odd.events)
    pieces = [stream] if cut is None else [stream[at : at + cut] for at in range(0, len(stream), cut)]
    found = [each for piece in pieces for each in parser.feed(piece)]
    if not parser.complete:
        found += parser.finish()
    return fold(found)


@pytest.mark.parametrize(
    "odd", [*GEMINIS, *ANTHROPICS, *RESPONSES, *COHERES, *CHATS], ids=lambda odd: f"{odd.wire}: {odd.why}"
)
def test_it_is_heard(odd: Odd) -> None:
    expected = (odd.text, odd.calls)
    for completion in [heard(odd), *([heard(odd, 1), heard(odd, 7)] if odd.events is not None else [])]:
        assert said(completion) == expected
        assert completion.choices[0].finish is odd.finish
        assert (
            "".join(each.text for each in completion.choices[0].parts if isinstance(each, Reasoning))
            == odd.thought
        )
        assert odd.input in (None, completion.usage.input_tokens)
        assert odd.output in (None, completion.usage.output_tokens)
        for family, dialect, own in SIDES.values():
            asked = ChatRequest(model="m", messages=(), family=family)
            told = own.completion(dialect.answer(completion, asked, SETTING).body)
            assert said(told) == expected, family
            assert told.choices[0].finish is odd.finish
            writer, parser = dialect.writer(asked, SETTING), own.stream()
            again = list(
                parser.feed(b"".join(writer.write([each]) for each in unfold(completion)) + writer.finish())
            )
            if not parser.complete:
                again += parser.finish()
            assert said(fold(again)) == expected, family


def test_a_call_of_bedrocks_that_never_began() -> None:
    chat = BEDROCK.chat
    assert chat is not None
    format = chat.of("anthropic.claude-3-5-haiku-20241022-v1:0") if isinstance(chat, ByModel) else chat
    parser = format.stream()
    events: list[tuple[str, dict[str, Any]]] = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"toolUse": {"input": "{}"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x"}}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1}}),
    ]
    found = parser.feed(b"".join(event(kind, json.dumps(payload).encode()) for kind, payload in events))
    for family, dialect, _ in SIDES.values():
        writer = dialect.writer(ChatRequest(model="m", messages=(), family=family), SETTING)
        assert b'"x"' in writer.write(found) + writer.finish()
    assert said(fold(found)) == ("x", ())


def test_what_only_one_dialect_says_of_a_call_or_a_source_is_named() -> None:
    call = ToolCall(id="c", name="f", arguments="{}", rest={"namespace": Raw(b'"n"')})
    text = Text(text="x", citations=(Citation(title="a page", family=Family.ANTHROPIC, raw=Raw(b"{}")),))
    completion = Completion(
        family=Family.OPENAI_RESPONSES, choices=(Choice(parts=(text, call), finish=Finish.TOOL_CALLS),)
    )
    for name in ("openai-chat", "anthropic", "gemini"):
        family, dialect, _ = SIDES[name]
        asked = ChatRequest(model="m", messages=(), family=family)
        writer = dialect.writer(asked, SETTING)
        writer.write(list(unfold(completion)))
        writer.finish()
        for dropped in (dialect.answer(completion, asked, SETTING).dropped, writer.dropped):
            assert any("namespace" in each for each in dropped), name
            assert name == "anthropic" or any(
                "citations" in each or "annotations" in each for each in dropped
            ), name
