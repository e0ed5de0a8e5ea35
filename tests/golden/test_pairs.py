"""Every chat dialect through every chat wire format and back, streamed and not: what was said is what is heard.

Each side is made by the other's own code: a provider's answer is what the dialect of its family writes, a client's
request what the wire format of its family writes. Both are held elsewhere against official SDKs and recorded calls,
so what is shown here is the way between them.
"""

import json
import random
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import ChatDialect, Dialect, Setting
from gateway.dialects.gemini import Gemini
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_responses import Responses
from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import (
    ChatRequest,
    Format,
    FormatKind,
    Message,
    Role,
    Tool,
    ToolChoice,
    ToolMode,
)
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Family, Image, Reasoning, Source, Text, ToolCall, ToolResult
from inference.ir.folding import fold, unfold
from inference.ir.usage import Usage, UsageSource
from inference.providers.anthropic import WIRE as ANTHROPIC
from inference.providers.bedrock import WIRE as BEDROCK
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_responses import WIRE as RESPONSES
from inference.wire import ChatFormat, Wire
from tests.aws_shapes import check_request

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SETTING = Setting(id="req-00000000000000ab00000001", model="m", created=1_700_000_000, include_usage=True)
CARD = Model(
    name="m",
    kind=Kind.CHAT,
    price=Price(input=1, output=1, version="p"),
    capabilities=frozenset({"tools", "json_schema", "vision", "reasoning"}),
    max_output=4096,
)


def _chat(dialect: Dialect) -> ChatDialect:
    assert dialect.chat is not None
    return dialect.chat


def _format(wire: Wire) -> ChatFormat:
    assert wire.chat is not None
    return wire.chat


SIDES: dict[str, tuple[Family, ChatDialect, ChatFormat]] = {
    "openai-chat": (Family.OPENAI_CHAT, _chat(Chat()), _format(OPENAI)),
    "openai-responses": (Family.OPENAI_RESPONSES, _chat(Responses()), _format(RESPONSES)),
    "anthropic": (Family.ANTHROPIC, _chat(Messages()), _format(ANTHROPIC)),
    "gemini": (Family.GEMINI, _chat(Gemini("m", stream=False)), _format(GEMINI)),
}
PAIRS = [(client, target) for client in SIDES for target in SIDES]
SCHEMA = Raw(
    b'{"type":"object","properties":{"city":{"type":"string","description":"Where."}},"required":["city"]}'
)
USAGE = Usage(
    input_tokens=100,
    output_tokens=40,
    cache_read_tokens=30,
    source=UsageSource.REPORTED,
)


def request(family: Family) -> ChatRequest:
    """A conversation in which everything happens that all four have words for."""
    return ChatRequest(
        model="m",
        family=family,
        messages=(
            Message(role=Role.SYSTEM, parts=(Text(text="Be brief. 🤖"),)),
            Message(
                role=Role.USER,
                parts=(
                    Text(text="What is this, and what is the weather?"),
                    Image(source=Source(data=PIXEL, media_type="image/png")),
                ),
            ),
            Message(
                role=Role.ASSISTANT,
                parts=(
                    Text(text="Let me look."),
                    ToolCall(id="call_1", name="weather", arguments='{"city":"Ankara"}'),
                    ToolCall(id="call_2", name="weather", arguments='{"city":"İzmir \\"x\\""}'),
                ),
            ),
            Message(role=Role.TOOL, parts=(ToolResult(call_id="call_1", content=(Text(text="sunny"),)),)),
            Message(role=Role.TOOL, parts=(ToolResult(call_id="call_2", content=(Text(text="windy"),)),)),
            Message(role=Role.USER, parts=(Text(text="And tomorrow?"),)),
        ),
        tools=(Tool(name="weather", description="Weather of a city.", parameters=SCHEMA),),
        tool_choice=ToolChoice(mode=ToolMode.REQUIRED),
        max_output=333,
        temperature=0.5,
        top_p=0.9,
    )


def said(asked: ChatRequest) -> dict[str, Any]:
    """What of a request has to arrive, in a form that can be compared: names of calls, not ids, bind results."""
    names: dict[str, str] = {}
    turns: list[Any] = []
    for message in asked.messages:
        for part in message.parts:
            match part:
                case Text():
                    turns.append((_side(message.role), "text", part.text))
                case Image():
                    turns.append(("user", "image", part.source.data, part.source.media_type))
                case ToolCall():
                    names[part.id] = part.arguments
                    turns.append(("assistant", "call", part.name, json.loads(part.arguments)))
                case ToolResult():
                    answered = json.loads(names[part.call_id])
                    texts = [each.text for each in part.content if isinstance(each, Text)]
                    turns.append(("tool", answered, "".join(texts)))
                case _:
                    raise AssertionError(f"{part!r} was not said")
    choice = asked.tool_choice
    return {
        "turns": turns,
        "tools": [(tool.name, tool.description, _schema(tool.parameters)) for tool in asked.tools],
        "choice": (choice.mode, choice.names) if choice else None,
        "max": asked.max_output,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
    }


def _side(role: Role) -> str:
    return "system" if role in (Role.SYSTEM, Role.DEVELOPER) else str(role)


def _schema(raw: Raw | None) -> Any:
    """A JSON schema without the marks some formats add."""
    found: dict[str, Any] | None = json.loads(bytes(raw or b"null"))
    return found and {key: value for key, value in found.items() if key != "additionalProperties"}


@pytest.mark.parametrize(("client", "target"), PAIRS, ids=str)
def test_a_request_arrives_whole(client: str, target: str) -> None:
    family, dialect, own = SIDES[client]
    other, (_, heard_by, wire) = target, SIDES[target]
    asked = request(family)
    sent = own.request(asked, model="m", card=CARD)
    assert sent.dropped == ()
    read = dialect.parse(sent.body)
    assert said(read) == said(asked)
    written = wire.request(read, model="m", card=CARD)
    assert written.dropped == (), other
    assert said(heard_by.parse(written.body)) == said(asked)


@pytest.mark.parametrize(("client", "target"), PAIRS, ids=str)
def test_structured_output_is_asked_for_everywhere(client: str, target: str) -> None:
    family, dialect, own = SIDES[client]
    _, heard_by, wire = SIDES[target]
    wanted = Format(kind=FormatKind.SCHEMA, schema=SCHEMA, name="weather")
    asked = ChatRequest(
        model="m",
        family=family,
        messages=(Message(role=Role.USER, parts=(Text(text="hi"),)),),
        format=wanted,
        max_output=9,
    )
    read = dialect.parse(own.request(asked, model="m", card=CARD).body)
    heard = heard_by.parse(wire.request(read, model="m", card=CARD).body)
    assert heard.format is not None
    assert heard.format.kind is FormatKind.SCHEMA
    assert _schema(heard.format.schema) == _schema(SCHEMA)


ANSWERS: dict[str, Completion] = {
    "text": Completion(
        family=Family.OPENAI_CHAT,
        id="x",
        model="m",
        choices=(Choice(parts=(Text(text="Hello 🌍, «world»"),), finish=Finish.STOP),),
        usage=USAGE,
    ),
    "cut": Completion(
        family=Family.OPENAI_CHAT,
        id="x",
        model="m",
        choices=(Choice(parts=(Text(text="Once upon"),), finish=Finish.LENGTH),),
        usage=USAGE,
    ),
    "thought": Completion(
        family=Family.OPENAI_CHAT,
        id="x",
        model="m",
        choices=(
            Choice(
                parts=(Reasoning(text="Let me think."), Text(text="42")),
                finish=Finish.STOP,
            ),
        ),
        usage=USAGE,
    ),
    "calls": Completion(
        family=Family.OPENAI_CHAT,
        id="x",
        model="m",
        choices=(
            Choice(
                parts=(
                    Text(text="Looking."),
                    ToolCall(id="call_1", name="weather", arguments='{"city":"Ankara"}'),
                    ToolCall(id="call_2", name="weather", arguments='{"city":"\\u0130zmir"}'),
                ),
                finish=Finish.TOOL_CALLS,
            ),
        ),
        usage=USAGE,
    ),
}


def heard(completion: Completion) -> dict[str, Any]:
    """What of an answer has to arrive."""
    assert len(completion.choices) == 1
    choice, usage = completion.choices[0], completion.usage
    text = "".join(part.text for part in choice.parts if isinstance(part, Text))
    thought = "".join(
        part.text or "".join(part.summaries) for part in choice.parts if isinstance(part, Reasoning)
    )
    calls = [
        (part.id, part.name, json.loads(part.arguments))
        for part in choice.parts
        if isinstance(part, ToolCall)
    ]
    return {
        "text": text,
        "thought": thought,
        "calls": calls,
        "finish": choice.finish,
        "usage": (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens),
    }


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize(("client", "target"), PAIRS, ids=str)
def test_an_answer_comes_back_whole(client: str, target: str, name: str) -> None:
    completion = ANSWERS[name]
    family, dialect, own = SIDES[client]
    other, spoken_by, wire = SIDES[target]
    made = msgspec.structs.replace(completion, family=other)
    body = spoken_by.answer(made, request(other), SETTING).body
    read = wire.completion(body)
    assert heard(read) == heard(completion)
    told = dialect.answer(read, request(family), SETTING)
    assert told.dropped == ()
    assert heard(own.completion(told.body)) == heard(completion)


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize(("client", "target"), PAIRS, ids=str)
def test_a_stream_comes_back_whole_however_it_is_cut(client: str, target: str, name: str) -> None:
    completion = ANSWERS[name]
    family, dialect, own = SIDES[client]
    other, spoken_by, wire = SIDES[target]
    made = msgspec.structs.replace(completion, family=other)
    provider = spoken_by.writer(request(other), SETTING)
    stream = provider.write(list(unfold(made))) + provider.finish()
    chance = random.Random(f"{client} {target} {name}")
    for _ in range(8):
        cuts = sorted(chance.sample(range(len(stream)), 20))
        parser, writer = wire.stream(), dialect.writer(request(family), SETTING)
        out = b""
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            out += writer.write(parser.feed(stream[start:end]))
        if not parser.complete:
            out += writer.write(parser.finish())
        out += writer.finish()
        assert list(writer.dropped) == []
        again = own.stream()
        events = list(again.feed(out))
        if not again.complete:
            events += again.finish()
        assert heard(fold(events)) == heard(completion)


NOVA = "us.amazon.nova-lite-v1:0"


@pytest.mark.parametrize("client", SIDES)
def test_a_request_arrives_whole_at_bedrock(client: str) -> None:
    """Nobody speaks Bedrock's format to the gateway: what was sent is held against botocore's own shapes."""
    family, dialect, own = SIDES[client]
    asked = request(family)
    written = _format(BEDROCK).request(
        dialect.parse(own.request(asked, model="m", card=CARD).body), model=NOVA, card=CARD
    )
    assert written.dropped == ()
    check_request(written.body, NOVA, "Converse")
    assert told_to_bedrock(json.loads(written.body)) == said(asked)


def told_to_bedrock(body: dict[str, Any]) -> dict[str, Any]:
    """What Bedrock was told, in the form of `said`."""
    inputs: dict[str, Any] = {}
    turns: list[Any] = [("system", "text", block["text"]) for block in body["system"]]
    for message in body["messages"]:
        for block in message["content"]:
            match block:
                case {"text": text}:
                    turns.append((message["role"], "text", text))
                case {"image": {"format": kind, "source": {"bytes": data}}}:
                    turns.append(("user", "image", data, f"image/{kind}"))
                case {"toolUse": {"toolUseId": name, "name": tool, "input": given}}:
                    inputs[name] = given
                    turns.append(("assistant", "call", tool, given))
                case {"toolResult": {"toolUseId": name, "content": content}}:
                    turns.append(("tool", inputs[name], "".join(each["text"] for each in content)))
                case _:
                    raise AssertionError(f"{block!r} was not said")
    config, limits = body["toolConfig"], body["inferenceConfig"]
    specs = [tool["toolSpec"] for tool in config["tools"]]
    assert config["toolChoice"] == {"any": {}}
    return {
        "turns": turns,
        "tools": [
            (
                spec["name"],
                spec["description"],
                _schema(Raw(json.dumps(spec["inputSchema"]["json"]).encode())),
            )
            for spec in specs
        ],
        "choice": (ToolMode.REQUIRED, ()),
        "max": limits["maxTokens"],
        "temperature": limits["temperature"],
        "top_p": limits["topP"],
    }


@pytest.mark.parametrize("client", SIDES)
def test_structured_output_is_asked_for_at_bedrock(client: str) -> None:
    family, dialect, own = SIDES[client]
    wanted = Format(kind=FormatKind.SCHEMA, schema=SCHEMA, name="weather")
    asked = ChatRequest(
        model="m",
        family=family,
        messages=(Message(role=Role.USER, parts=(Text(text="hi"),)),),
        format=wanted,
        max_output=9,
    )
    read = dialect.parse(own.request(asked, model="m", card=CARD).body)
    body = _format(BEDROCK).request(read, model=NOVA, card=CARD).body
    check_request(body, NOVA, "Converse")
    form = json.loads(body)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert _schema(Raw(form["schema"].encode())) == _schema(SCHEMA)
