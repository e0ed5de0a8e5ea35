"""Thoughts of others, taken out of a chat that is passed on."""

import json
from typing import Any

import pytest

from inference.codecs.foreign_thoughts import taker_of, thinks, without_foreign
from inference.ir.content import Family

CLAUDES = {
    "type": "reasoning.text",
    "text": "Hm.",
    "signature": "sig",
    "format": "anthropic-claude-v1",
    "index": 0,
}
HIDDEN = {"type": "reasoning.encrypted", "data": "xyz", "format": "anthropic-claude-v1", "index": 1}
OPENAIS = {"type": "reasoning.encrypted", "data": "abc", "id": "rs_1", "format": "openai-responses-v1"}
GEMINIS = {"type": "reasoning.text", "text": "", "signature": "g", "format": "google-gemini-v1"}
COHERES = {"type": "reasoning.encrypted", "data": "c", "format": "aspendos-cohere-v1"}
ODD = {"type": "reasoning.text", "text": "Aha.", "signature": "own", "format": "MiniMax-response-v1"}
PLAIN = {"type": "reasoning.text", "text": "So.", "format": "anthropic-claude-v1"}
NOBODYS = {"type": "reasoning.text", "text": "So."}
SIGNED = {"google": {"thought_signature": "gs"}}
GOOGLES = "extra_content.google.thought_signature"
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def left(said: dict[str, Any], host: str, wire: str = "openai") -> tuple[dict[str, Any], tuple[str, ...]]:
    """What of an assistant's message goes to a host, and what is named as gone."""
    said = {"role": "assistant", "content": "é", **said}
    messages = [{"role": "user", "content": "hi"}, said]
    body = json.dumps({"model": "m", "top_p": 1.0, "messages": messages}).encode()
    assert thinks(body)
    fits, gone = without_foreign(body, wire, host)
    sent = json.loads(fits)
    assert {**sent, "messages": sent["messages"][:1]} == {
        "model": "m",
        "top_p": 1.0,
        "messages": messages[:1],
    }
    if sent["messages"][1] == said:
        assert fits == body
    return {
        name: value for name, value in sent["messages"][1].items() if name not in ("role", "content")
    }, gone


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("10.0.0.7", [ODD, NOBODYS]),
        ("notopenrouter.ai", [ODD, NOBODYS]),
        ("api.groq.com", [ODD]),
        ("api.openai.com", [OPENAIS, ODD]),
        ("eu.api.openai.com", [OPENAIS, ODD]),
        ("mine.openai.azure.com", [OPENAIS, ODD, NOBODYS]),
        ("generativelanguage.googleapis.com", [GEMINIS, ODD, NOBODYS]),
        ("api.anthropic.com", [CLAUDES, HIDDEN, ODD, PLAIN, NOBODYS]),
        ("openrouter.ai", [CLAUDES, HIDDEN, OPENAIS, GEMINIS, ODD, PLAIN, NOBODYS]),
    ],
)
def test_sealed_thoughts_go_to_whoever_issued_them(host: str, kept: list[dict[str, Any]]) -> None:
    details = [CLAUDES, HIDDEN, OPENAIS, GEMINIS, COHERES, ODD, PLAIN, NOBODYS]
    said, gone = left({"reasoning_details": details}, host)
    assert said == {"reasoning_details": kept}
    sealed = [n for n, each in enumerate(details) if each not in (*kept, PLAIN, NOBODYS)]
    assert gone == tuple(f"messages[1].reasoning_details[{n}]" for n in sealed)


def test_no_empty_list_is_left() -> None:
    said, gone = left({"reasoning_details": [CLAUDES]}, "10.0.0.7", "vllm")
    assert (said, gone) == ({}, ("messages[1].reasoning_details[0]",))


@pytest.mark.parametrize("host", ["10.0.0.7", "api.openai.com", "openrouter.ai"])
def test_googles_signatures_go_to_google_alone(host: str) -> None:
    calls = [CALL, {**CALL, "extra_content": SIGNED}]
    more = {"google": {"thought_signature": "gs", "x": 1}, "y": 2}
    said, gone = left({"tool_calls": calls, "extra_content": more}, host)
    assert said == {"tool_calls": [CALL, CALL], "extra_content": {"google": {"x": 1}, "y": 2}}
    assert gone == (f"messages[1].{GOOGLES}", f"messages[1].tool_calls[1].{GOOGLES}")
    assert left({"extra_content": SIGNED}, host) == ({}, (f"messages[1].{GOOGLES}",))


@pytest.mark.parametrize("host", ["generativelanguage.googleapis.com", "aiplatform.googleapis.com"])
def test_google_has_its_own_back(host: str) -> None:
    said = {"tool_calls": [{**CALL, "extra_content": SIGNED}], "extra_content": SIGNED}
    assert left(said, host) == (said, ())


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("api.openai.com", ()),
        ("api.groq.com", ("reasoning",)),
        ("api.deepseek.com", ("reasoning", "reasoning_content")),
        ("10.0.0.7", ("reasoning", "reasoning_content")),
    ],
)
def test_plain_thoughts_are_left_out_unnamed_where_they_are_refused(host: str, kept: tuple[str, ...]) -> None:
    thoughts = {"reasoning": "a", "reasoning_content": "b"}
    assert left(thoughts, host) == ({name: thoughts[name] for name in kept}, ())


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning_details": 7},
        {"reasoning_details": [7, None, {"format": 7, "data": "x"}]},
        {"reasoning_details": [], "tool_calls": [7], "extra_content": 7},
        {"reasoning_details": None, "tool_calls": 7, "extra_content": {"google": 7}},
        {"content": 'it says "thought_signature" and "reasoning_details"', "thought_signature": "x"},
    ],
)
def test_what_has_another_form_is_for_the_server_to_judge(said: dict[str, Any]) -> None:
    kept, gone = left(said, "10.0.0.7")
    assert (kept, gone) == ({name: value for name, value in said.items() if name != "content"}, ())


def test_a_seal_is_found_beside_fields_of_odd_types() -> None:
    odd = {**CLAUDES, "index": "0", "text": 7}
    assert left({"reasoning_details": [odd]}, "10.0.0.7") == ({}, ("messages[1].reasoning_details[0]",))


@pytest.mark.parametrize("messages", ["7", '["reasoning_details", 7]'])
def test_what_is_no_conversation_stays(messages: str) -> None:
    body = b'{"x":{"reasoning_details":[]},"messages":%b}' % messages.encode()
    assert without_foreign(body, "openai", "10.0.0.7") == (body, ())


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"reasoning_details":[]}', True),
        (b'{"reasoning_content" : ""}', True),
        (b'{"thought_signature":""}', True),
        (b'{"reasoning":""}', True),
        (b'{"reasoning_effort":"low","content":"a reasoning"}', False),
        (b'{"content":"say \\"reasoning_details\\""}', False),
        (b'{"my_content":"", "signature":"", "file_details":""}', False),
    ],
)
def test_most_requests_are_not_looked_into(body: bytes, found: bool) -> None:
    assert (thinks(body) is not None) is found


def test_azure_is_known_by_its_wire_too() -> None:
    assert taker_of("azure-openai", "llm.example.com").own == {Family.OPENAI_RESPONSES}
    assert not taker_of("openai", "llm.example.com").own
