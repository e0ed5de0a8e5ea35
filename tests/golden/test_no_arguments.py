"""A call without arguments has an empty object of them, whoever made it, whole and streamed: SDKs parse the text."""

import json
from typing import Any

import pytest
from msgspec import Struct

from gateway.dialects.dialect import ChatDialect, Setting
from gateway.dialects.openai_chat import OpenAIChatDialect
from gateway.dialects.openai_responses import Responses
from inference.ir.content import ToolCall
from inference.ir.folding import fold
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.azure_openai import WIRE as AZURE
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.cohere import WIRE as COHERE
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.mistral import WIRE as MISTRAL
from inference.wire import ChatFormat
from tests import anthropic_peer, gemini_peer
from tests.aws_messages import event

SETTING = Setting(id="req-1", model="m", created=1)
NAMES = ["now", "later"]


class Said(Struct, frozen=True, kw_only=True):
    """The same two calls, whole and streamed."""

    name: str
    format: ChatFormat | None
    whole: dict[str, Any]
    streamed: bytes


def data(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)


def chat(arguments: str | None) -> tuple[dict[str, Any], bytes]:
    given: dict[str, str] = {} if arguments is None else {"arguments": arguments}
    calls = [
        {"index": at, "id": f"call{at}abcd", "type": "function", "function": {"name": name, **given}}
        for at, name in enumerate(NAMES)
    ]
    head = {"id": "c", "created": 1, "model": "m"}

    def chunk(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return {**head, "object": "chat.completion.chunk", "choices": choices}

    message = {"role": "assistant", "content": None, "tool_calls": calls}
    whole = {**head, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    chunks = [chunk({"tool_calls": [each]}, None) for each in calls]
    return whole, data(*chunks, chunk({}, "tool_calls")) + b"data: [DONE]\n\n"


def converse(*, pieces: bool) -> tuple[dict[str, Any], bytes]:
    stream = event("messageStart", b'{"role":"assistant"}')
    for at, name in enumerate(NAMES):
        begun = {"contentBlockIndex": at, "start": {"toolUse": {"toolUseId": f"c{at}", "name": name}}}
        stream += event("contentBlockStart", json.dumps(begun).encode())
        if pieces:
            piece = {"contentBlockIndex": at, "delta": {"toolUse": {"input": ""}}}
            stream += event("contentBlockDelta", json.dumps(piece).encode())
        stream += event("contentBlockStop", json.dumps({"contentBlockIndex": at}).encode())
    stream += event("messageStop", b'{"stopReason":"tool_use"}') + event("metadata", b"{}")
    content = [{"toolUse": {"toolUseId": f"c{at}", "name": name}} for at, name in enumerate(NAMES)]
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, "stopReason": "tool_use"}, stream


def command(*, ends: bool) -> tuple[dict[str, Any], bytes]:
    calls = [
        {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": ""}}
        for at, name in enumerate(NAMES)
    ]
    events: list[dict[str, Any]] = [{"type": "message-start", "id": "c"}]
    for at, call in enumerate(calls):
        events.append({"type": "tool-call-start", "index": at, "delta": {"message": {"tool_calls": call}}})
        if ends:
            events.append({"type": "tool-call-end", "index": at})
    events.append({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}})
    whole = {"id": "c", "finish_reason": "TOOL_CALL", "message": {"role": "assistant", "tool_calls": calls}}
    return whole, data(*events)


def claude() -> tuple[dict[str, Any], bytes]:
    blocks: list[dict[str, Any]] = [
        {"type": "tool_use", "id": f"c{at}", "name": name, "input": {}} for at, name in enumerate(NAMES)
    ]
    stream = anthropic_peer.started()
    for at, block in enumerate(blocks):
        stream += anthropic_peer.event("content_block_start", index=at, content_block=block)
        stream += anthropic_peer.event("content_block_stop", index=at)
    end = {"stop_reason": "tool_use", "stop_sequence": None}
    stream += anthropic_peer.event("message_delta", delta=end, usage={"output_tokens": 7})
    return anthropic_peer.message(blocks, "tool_use"), stream + anthropic_peer.event("message_stop")


def gemini() -> tuple[dict[str, Any], bytes]:
    parts = [{"functionCall": {"name": name}} for name in NAMES]
    return gemini_peer.answer(parts, "STOP"), gemini_peer.event(parts) + gemini_peer.event([], "STOP")


def row(name: str, wire: ChatFormat | None, said: tuple[dict[str, Any], bytes]) -> Said:
    return Said(name=name, format=wire, whole=said[0], streamed=said[1])


ROWS = (
    row("OpenAI", AZURE.chat, chat("")),
    row("OpenAI without the field", AZURE.chat, chat(None)),
    row("Mistral", MISTRAL.chat, chat("")),
    row("Anthropic", ANTHROPIC.chat, claude()),
    row("Bedrock", BEDROCK.chat, converse(pieces=True)),
    row("Bedrock without a piece", BEDROCK.chat, converse(pieces=False)),
    row("Cohere", COHERE.chat, command(ends=True)),
    row("Cohere without an end", COHERE.chat, command(ends=False)),
    row("Gemini", GEMINI.chat, gemini()),
)


@pytest.mark.parametrize("dialect", [OpenAIChatDialect(), Responses().chat], ids=["chat", "responses"])
@pytest.mark.parametrize("said", ROWS, ids=lambda said: said.name)
def test_its_arguments_are_an_empty_object(said: Said, dialect: ChatDialect) -> None:
    assert said.format is not None
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}], "input": "x"}
    body.pop("input" if isinstance(dialect, OpenAIChatDialect) else "messages")
    asked = dialect.parse(json.dumps(body).encode())
    completion = said.format.completion(json.dumps(said.whole).encode())
    parser = said.format.stream()
    events = list(parser.feed(said.streamed))
    events += [] if parser.complete else parser.finish()
    for made in (completion, fold(events)):
        calls = [part for part in made.choices[0].parts if isinstance(part, ToolCall)]
        assert [(call.name, call.arguments) for call in calls] == [(name, "{}") for name in NAMES]
    whole = dialect.answer(completion, asked, SETTING).body.decode()
    assert whole.replace(" ", "").count('"arguments":"{}"') == len(NAMES)
    writer = dialect.writer(asked, SETTING)
    told = writer.write(events) + writer.finish()
    assert list(writer.dropped) == []
    pieces: dict[int, str] = {}
    for line in told.decode().splitlines():
        if not line.startswith("data: {"):
            continue
        got = json.loads(line[6:])
        if got.get("type") == "response.function_call_arguments.done":
            pieces[got["output_index"]] = got["arguments"]
        for choice in got.get("choices", ()):
            for call in choice["delta"].get("tool_calls", ()):
                at = call["index"]
                pieces[at] = pieces.get(at, "") + call["function"].get("arguments", "")
    assert list(pieces.values()) == ["{}"] * len(NAMES)
