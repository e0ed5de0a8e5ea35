"""Refusals and filters of every provider, told at every door, whole and streamed: the table of docs/dialects.md.

Each row is what a provider says, each column what a door's client reads; the page is held to what comes out here.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import ChatDialect, Dialect, Setting
from gateway.dialects.gemini import Gemini
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_completions import Completions
from gateway.dialects.openai_responses import Responses
from inference.ir.chat import ChatRequest
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Family, Text
from inference.ir.errors import UpstreamFailed
from inference.ir.events import Began, Ended, Failed, TextDelta
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.azure_openai import WIRE as AZURE
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.wire import ByModel, ChatFormat
from tests import anthropic_peer, aws_messages, gemini_peer

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"
SETTING = Setting(id="req-1", model="m", created=1)
WHY = "This may not be answered."
HALF = "Half a"


class Said(Struct, frozen=True, kw_only=True):
    """What a provider says; `name` is the row's in the table. `spoken`: the model itself declined, and then ended."""

    name: str
    format: ChatFormat
    whole: bytes
    streamed: bytes
    spoken: bool = False


def chat(reason: str, **message: Any) -> tuple[bytes, bytes]:
    said = {"role": "assistant", "content": HALF, **message}
    head = {"id": "c", "created": 1, "model": "m"}

    def chunk(delta: dict[str, Any], finish: str | None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        told = {**head, "object": "chat.completion.chunk", "choices": choices}
        return f"data: {json.dumps(told)}\n\n".encode()

    choice = {"index": 0, "message": said, "finish_reason": reason}
    whole = json.dumps({**head, "object": "chat.completion", "choices": [choice]}).encode()
    return whole, chunk(said, None) + chunk({}, reason) + b"data: [DONE]\n\n"


def responses(status: str, reason: str | None, part: dict[str, Any]) -> tuple[bytes, bytes]:
    details = None if reason is None else {"reason": reason}
    item = {"id": "msg", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    made = {"id": "r", "model": "m", "status": status, "incomplete_details": details, "output": [item]}

    def say(kind: str, **fields: Any) -> bytes:
        return f"data: {json.dumps({'type': kind, **fields})}\n\n".encode()

    begun = say("response.created", response={**made, "status": "in_progress", "output": []})
    done = say("response.output_item.done", output_index=0, item=item)
    return json.dumps(made).encode(), begun + done + say(f"response.{status}", response=made)


def claude(**details: Any) -> tuple[bytes, bytes]:
    block = {"type": "text", "text": HALF}
    whole = json.dumps(anthropic_peer.message([block], "refusal", stop_details=details or None)).encode()
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details or None}
    end = anthropic_peer.event("message_delta", delta=delta, usage={"output_tokens": 7})
    stop = anthropic_peer.event("message_stop")
    return whole, anthropic_peer.started() + anthropic_peer.text(0, HALF) + end + stop


def gemini(reason: str) -> tuple[bytes, bytes]:
    part = {"text": HALF}
    whole = json.dumps(gemini_peer.answer([part], reason)).encode()
    return whole, gemini_peer.event([part]) + gemini_peer.event([], reason)


def blocked() -> tuple[bytes, bytes]:
    whole = json.dumps({"promptFeedback": {"blockReason": "SAFETY"}}).encode()
    return whole, b"data: " + whole + b"\r\n\r\n"


def converse(reason: str) -> tuple[bytes, bytes]:
    content = [{"text": HALF}]
    output = {"message": {"role": "assistant", "content": content}}
    event = aws_messages.event
    stream = (
        event("messageStart", b'{"role":"assistant"}')
        + event("contentBlockDelta", json.dumps({"contentBlockIndex": 0, "delta": content[0]}).encode())
        + event("messageStop", json.dumps({"stopReason": reason}).encode())
        + event("metadata", b'{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}')
    )
    return json.dumps({"output": output, "stopReason": reason}).encode(), stream


def command(reason: str) -> tuple[bytes, bytes]:
    content = {"type": "text", "text": HALF}
    whole = {"id": "c", "finish_reason": reason, "message": {"role": "assistant", "content": [content]}}
    events: list[dict[str, Any]] = [
        {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": content}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": reason}},
    ]
    stream = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)
    return json.dumps(whole).encode(), stream.encode()


def row(name: str, wire: ChatFormat | None, said: tuple[bytes, bytes], *, spoken: bool = False) -> Said:
    assert wire is not None
    return Said(name=name, format=wire, whole=said[0], streamed=said[1], spoken=spoken)


_TEXT: dict[str, Any] = {"type": "output_text", "text": HALF, "annotations": []}
_REFUSED = {"type": "refusal", "refusal": WHY}
NOVA = BEDROCK.chat.of("amazon.nova-lite-v1:0") if isinstance(BEDROCK.chat, ByModel) else BEDROCK.chat
ROWS = (
    row("OpenAI, Azure: `content_filter`", AZURE.chat, chat("content_filter")),
    row(
        "OpenAI, Azure: `refusal` beside `stop`",
        AZURE.chat,
        chat("stop", content=None, refusal=WHY),
        spoken=True,
    ),
    row(
        "Responses: `incomplete`, `content_filter`",
        RESPONSES.chat,
        responses("incomplete", "content_filter", _TEXT),
    ),
    row("Responses: a part `refusal`", RESPONSES.chat, responses("completed", None, _REFUSED), spoken=True),
    row("Anthropic: `refusal`", ANTHROPIC.chat, claude()),
    row(
        "Anthropic: `refusal` with an explanation",
        ANTHROPIC.chat,
        claude(type="refusal", category="bio", explanation=WHY),
    ),
    *(
        row(f"Gemini: `{reason}`", GEMINI.chat, gemini(reason))
        for reason in (
            "SAFETY",
            "PROHIBITED_CONTENT",
            "BLOCKLIST",
            "SPII",
            "RECITATION",
            "LANGUAGE",
            "OTHER",
        )
    ),
    row("Gemini: `promptFeedback.blockReason`", GEMINI.chat, blocked()),
    *(
        row(f"Bedrock: `{reason}`", NOVA, converse(reason))
        for reason in ("guardrail_intervened", "content_filtered", "refusal")
    ),
    row("Cohere: `ERROR_TOXIC`", COHERE.chat, command("ERROR_TOXIC")),
    row("Cohere: `ERROR_LIMIT`", COHERE.chat, command("ERROR_LIMIT")),
)


def of_chat(told: dict[str, Any]) -> str:
    choice = told["choices"][0]
    refused = choice["message"].get("refusal") == WHY
    return f"`{choice['finish_reason']}`" + (", `refusal`" if refused else "")


def of_completions(told: dict[str, Any]) -> str:
    return f"`{told['choices'][0]['finish_reason']}`"


def of_responses(told: dict[str, Any]) -> str:
    parts = [part for item in told["output"] for part in item["content"]]
    reason = told["incomplete_details"] and told["incomplete_details"]["reason"]
    refused = _REFUSED in parts
    return ", ".join([f"`{each}`" for each in (told["status"], reason) if each] + ["`refusal`"] * refused)


def of_messages(told: dict[str, Any]) -> str:
    details: dict[str, Any] = told.get("stop_details") or {}
    explained = details.get("explanation") == WHY
    spoken = any(block.get("text") == WHY for block in told["content"])
    return (
        f"`{told['stop_reason']}`" + (", `stop_details`" if explained else "") + (", text" if spoken else "")
    )


def of_gemini(told: dict[str, Any]) -> str:
    if "candidates" not in told:
        return f"`{told['promptFeedback']['blockReason']}`"
    candidate = told["candidates"][0]
    explained = candidate.get("finishMessage") == WHY
    spoken = any(part.get("text") == WHY for part in candidate["content"]["parts"])
    more = (", `finishMessage`" if explained else "") + (", text" if spoken else "")
    return f"`{candidate['finishReason']}`" + more


def events(body: bytes) -> Iterator[dict[str, Any]]:
    for line in body.decode().splitlines():
        if line.startswith("data: {"):
            yield json.loads(line[6:])


def whole_chat(body: bytes) -> dict[str, Any]:
    """A stream of chunks as the answer it is."""
    choices = [choice for event in events(body) for choice in event["choices"]]
    refusal = "".join(choice.get("delta", {}).get("refusal") or "" for choice in choices)
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return {"choices": [{"message": {"refusal": refusal}, "finish_reason": reasons[-1]}]}


def whole_messages(body: bytes) -> dict[str, Any]:
    texts: dict[int, str] = {}
    told: dict[str, Any] = {}
    for event in events(body):
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
            texts[event["index"]] = texts.get(event["index"], "") + event["delta"]["text"]
        elif event["type"] == "message_delta":
            told = event["delta"]
    return {**told, "content": [{"text": text} for text in texts.values()]}


def whole_gemini(body: bytes) -> dict[str, Any]:
    every = list(events(body))
    said = [candidate for event in every for candidate in event.get("candidates", ())]
    last = every[-1]
    if "candidates" in last:
        parts = [part for candidate in said for part in candidate["content"]["parts"]]
        last["candidates"][0]["content"] = {"parts": parts}
    return last


class Door(Struct, frozen=True, kw_only=True):
    name: str
    dialect: Dialect
    body: bytes
    told: Callable[[dict[str, Any]], str]
    whole: Callable[[bytes], dict[str, Any]]

    def asked(self) -> tuple[ChatDialect, ChatRequest]:
        assert self.dialect.chat is not None
        return self.dialect.chat, self.dialect.chat.parse(self.body)


_MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
DOORS = (
    Door(
        name="Chat Completions",
        dialect=Chat(),
        body=json.dumps({"model": "m", "messages": _MESSAGES}).encode(),
        told=of_chat,
        whole=whole_chat,
    ),
    Door(
        name="Completions",
        dialect=Completions(),
        body=b'{"model":"m","prompt":"hi"}',
        told=of_completions,
        whole=whole_chat,
    ),
    Door(
        name="Responses",
        dialect=Responses(),
        body=b'{"model":"m","input":"hi"}',
        told=of_responses,
        whole=lambda body: list(events(body))[-1]["response"],
    ),
    Door(
        name="Messages",
        dialect=Messages(),
        body=json.dumps({"model": "m", "max_tokens": 9, "messages": _MESSAGES}).encode(),
        told=of_messages,
        whole=whole_messages,
    ),
    Door(
        name="Gemini",
        dialect=Gemini("m", stream=False),
        body=b'{"contents":[{"parts":[{"text":"hi"}]}]}',
        told=of_gemini,
        whole=whole_gemini,
    ),
)


def told_whole(said: Said, door: Door) -> str:
    dialect, asked = door.asked()
    answer = dialect.answer(said.format.completion(said.whole), asked, SETTING)
    return door.told(json.loads(answer.body))


def told_streamed(said: Said, door: Door) -> str:
    dialect, asked = door.asked()
    parser, writer = said.format.stream(), dialect.writer(asked, SETTING)
    body = writer.write(parser.feed(said.streamed))
    if not parser.complete:
        body += writer.write(parser.finish())
    return door.told(door.whole(body + writer.finish()))


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
@pytest.mark.parametrize("said", ROWS, ids=lambda said: said.name)
def test_every_refusal_is_told_at_every_door(said: Said, door: Door) -> None:
    told = told_whole(said, door)
    assert told_streamed(said, door) == told
    if not said.spoken:
        assert not {"`stop`", "`STOP`", "`end_turn`", "`completed`"} & set(told.split(", "))


FAILED = (
    *(
        row(f"{name}: `{reason}`", wire, chat(reason))
        for name, wire in (("OpenAI, Azure", AZURE.chat), ("Mistral", MISTRAL.chat))
        for reason in ("error", "abort", "network_error")
    ),
    *(
        row(f"Gemini: `{reason}`", GEMINI.chat, gemini(reason))
        for reason in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "NO_IMAGE")
    ),
    *(
        row(f"Bedrock: `{reason}`", NOVA, converse(reason))
        for reason in ("malformed_tool_use", "malformed_model_output")
    ),
    *(row(f"Cohere: `{reason}`", COHERE.chat, command(reason)) for reason in ("ERROR", "TIMEOUT")),
)
"""Answers that their providers call failed, though something was said: errors at every door."""


@pytest.mark.parametrize("said", FAILED, ids=lambda said: said.name)
def test_a_failed_answer_is_an_error_whole_and_streamed(said: Said) -> None:
    reason = said.name.split("`")[1]
    with pytest.raises(UpstreamFailed, match=reason):
        said.format.completion(said.whole)
    parser = said.format.stream()
    events = [*parser.feed(said.streamed), *(() if parser.complete else parser.finish())]
    assert any(isinstance(each, TextDelta) for each in events)
    assert not any(isinstance(each, Ended) for each in events)
    last = events[-1]
    assert isinstance(last, Failed)
    assert reason in last.error.message


STOPPED = (
    row("Bedrock", NOVA, converse("stop_sequence")),
    row("Cohere", COHERE.chat, command("STOP_SEQUENCE")),
)


@pytest.mark.parametrize("said", STOPPED, ids=lambda said: said.name)
def test_that_a_sequence_stopped_it_is_told_where_there_is_a_word_for_it(said: Said) -> None:
    (door,) = (each for each in DOORS if each.name == "Messages")
    dialect, asked = door.asked()
    whole = json.loads(dialect.answer(said.format.completion(said.whole), asked, SETTING).body)
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("stop_sequence", None)
    assert told_streamed(said, door) == "`stop_sequence`"


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_no_door_has_a_word_for_a_failure_that_looks_finished(door: Door) -> None:
    dialect, asked = door.asked()
    parts, finish = (Text(text=HALF),), Finish.ERROR
    made = Completion(family=Family.COHERE, choices=(Choice(parts=parts, finish=finish, native="ERROR"),))
    told = door.told(json.loads(dialect.answer(made, asked, SETTING).body))
    writer = dialect.writer(asked, SETTING)
    body = writer.write([Began(family=Family.COHERE), TextDelta(HALF), Ended(finish=finish, native="ERROR")])
    assert door.told(door.whole(body + writer.finish())) == told
    assert not {"`stop`", "`STOP`", "`end_turn`", "`completed`"} & set(told.split(", "))


def test_the_page_tells_which_answers_are_errors() -> None:
    text = PAGE.read_text().partition("## Refusals and filters")[2].partition("\n## ")[0]
    assert [said.name for said in FAILED if f"`{said.name.split('`')[1]}`" not in text] == []


def test_the_page_says_so() -> None:
    text = PAGE.read_text()
    table = text.partition("## Refusals and filters")[2].partition("\n## ")[0]
    lines = [re.split(r" *\| *", line.strip("| ")) for line in table.splitlines() if line.startswith("|")]
    assert lines[0] == ["the provider says", *(door.name for door in DOORS)]
    assert lines[2:] == [[said.name, *(told_whole(said, door) for door in DOORS)] for said in ROWS]
