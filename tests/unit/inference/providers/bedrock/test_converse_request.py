"""What Bedrock is told, as botocore's own shapes want it, and what is named because it cannot be told."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from inference.ir.cards import Kind, Model, Price, PromptCache
from inference.ir.chat import (
    ChatRequest,
    Format,
    FormatKind,
    Message,
    Role,
    Thinking,
    Tool,
    ToolChoice,
    ToolKind,
    ToolMode,
)
from inference.ir.content import (
    Audio,
    CacheHint,
    Citation,
    Family,
    File,
    Image,
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
from inference.ir.errors import InvalidField
from inference.providers.bedrock import WIRE
from inference.wire import Outgoing, TakesBytes
from tests.aws_shapes import check_request

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
OWN_PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
CARD = Model(
    name="m",
    kind=Kind.CHAT,
    price=Price(input=1, output=1, version="p"),
    capabilities=frozenset({"tools", "reasoning"}),
)
NATIVE = msgspec.structs.replace(CARD, capabilities=frozenset({"json_schema"}))
SCHEMA = Raw(b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}')
WEATHER = Tool(name="weather", description="Of a city.", parameters=SCHEMA)
HELLO = Message(role=Role.USER, parts=(Text(text="hi"),))
CALLED = (
    HELLO,
    Message(role=Role.ASSISTANT, parts=(ToolCall(id="c1", name="weather", arguments='{"city": "Ankara"}'),)),
    Message(role=Role.TOOL, parts=(ToolResult(call_id="c1", content=(Text(text="sunny"),)),)),
)


def write(*messages: Message, model: str = CLAUDE, card: Model = CARD, **fields: Any) -> Outgoing:
    asked = ChatRequest(model="m", family=Family.OPENAI_CHAT, messages=messages or (HELLO,), **fields)
    assert WIRE.chat is not None
    out = WIRE.chat.request(asked, model=model, card=card)
    check_request(out.body, model, "ConverseStream" if asked.stream else "Converse")
    return out


def told(*messages: Message, **fields: Any) -> dict[str, Any]:
    return json.loads(write(*messages, **fields).body)


def user(*parts: Part) -> Message:
    return Message(role=Role.USER, parts=parts)


def test_the_model_stands_in_the_path() -> None:
    assert write().path == "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    own = write(model=OWN_PROFILE, stream=True)
    assert own.path.endswith("%3Aapplication-inference-profile%2Fmi1dadi0g15f/converse-stream")
    assert own.stream_types == (b"application/vnd.amazon.eventstream",)
    assert json.loads(own.body) == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


def test_turns_of_one_role_are_one_and_results_come_first() -> None:
    body = told(
        Message(role=Role.SYSTEM, parts=(Text(text="one"),)),
        *CALLED,
        user(Text(text="and"), Text(text="")),
        Message(role=Role.DEVELOPER, parts=(Text(text="two"),)),
        user(Text(text="tomorrow?")),
        tools=(WEATHER,),
    )
    assert body["system"] == [{"text": "one"}, {"text": "two"}]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    last = body["messages"][2]["content"]
    assert [next(iter(block)) for block in last] == ["toolResult", "text", "text"]
    assert last[0]["toolResult"] == {"toolUseId": "c1", "content": [{"text": "sunny"}]}
    assert body["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Ankara"}}}
    ]


def test_media_go_by_value_or_lie_in_s3() -> None:
    body = told(
        user(
            Image(source=Source(data=PIXEL)),
            Image(source=Source(url="s3://bucket/pictures/a.jpeg")),
            Video(source=Source(url="s3://bucket/a.mov?x")),
            Audio(source=Source(data="UklGRg==", media_type="audio/wav")),
            File(text="Grüße", title="A: letter.txt"),
            File(source=Source(data="JVBERi0xLjQ="), name="A letter.pdf", citations=True, context="old"),
        )
    )
    image, stored, video, audio, letter, pdf = body["messages"][0]["content"]
    assert image == {"image": {"format": "png", "source": {"bytes": PIXEL}}}
    assert stored["image"] == {
        "format": "jpeg",
        "source": {"s3Location": {"uri": "s3://bucket/pictures/a.jpeg"}},
    }
    assert video["video"]["format"] == "mov"
    assert audio["audio"]["format"] == "wav"
    assert (letter["document"]["name"], letter["document"]["source"]) == (
        "A letter",
        {"bytes": "R3LDvMOfZQ=="},
    )
    assert pdf["document"] == {
        "format": "pdf",
        "name": "A letter-2",
        "source": {"bytes": "JVBERi0xLjQ="},
        "context": "old",
        "citations": {"enabled": True},
    }


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Image(source=Source(data="Qk0=", media_type="image/bmp")), "`bmp` is no format it takes"),
        (Image(source=Source(url="https://example.com/a.png")), "address that nobody has followed"),
        (File(source=Source(file_id="file-1"), name="a.pdf"), "lies with another provider"),
        (File(name="a.pdf"), "it is empty"),
    ],
)
def test_what_cannot_be_shown_is_refused(part: Part, words: str) -> None:
    with pytest.raises(InvalidField, match=words) as refused:
        write(user(part))
    assert refused.value.param == "messages[0].content[0]"


def test_only_addresses_of_the_web_are_fetched() -> None:
    assert isinstance(WIRE.chat, TakesBytes)
    assert WIRE.chat.takes_bytes(Image(source=Source(url="https://example.com/a.png")))
    assert not WIRE.chat.takes_bytes(Image(source=Source(url="s3://bucket/a.png")))
    assert not WIRE.chat.takes_bytes(Image(source=Source(data=PIXEL)))


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(), None),
        (ToolChoice(mode=ToolMode.REQUIRED), {"any": {}}),
        (ToolChoice(mode=ToolMode.NAMED, names=("weather",)), {"tool": {"name": "weather"}}),
    ],
)
def test_tool_choices(choice: ToolChoice, written: dict[str, Any] | None) -> None:
    config = told(tools=(WEATHER,), tool_choice=choice)["toolConfig"]
    assert config.get("toolChoice") == written
    (tool,) = config["tools"]
    assert tool["toolSpec"] == {
        "name": "weather",
        "description": "Of a city.",
        "inputSchema": {"json": json.loads(bytes(SCHEMA))},
    }


def test_no_tool_to_be_called_means_none_named_until_one_was_called() -> None:
    none = ToolChoice(mode=ToolMode.NONE)
    fresh = write(tools=(WEATHER,), tool_choice=none)
    assert "toolConfig" not in json.loads(fresh.body)
    assert fresh.dropped == ()
    late = write(*CALLED, tools=(WEATHER,), tool_choice=none)
    assert len(json.loads(late.body)["toolConfig"]["tools"]) == 1
    assert late.dropped == ("tool_choice",)


def test_tools_that_were_called_and_are_gone_are_named_again() -> None:
    (tool,) = told(*CALLED)["toolConfig"]["tools"]
    assert tool["toolSpec"]["name"] == "weather"


def test_allowed_tools_are_the_only_ones() -> None:
    other = Tool(name="time")
    allowed = ToolChoice(mode=ToolMode.REQUIRED, names=("time",))
    config = told(tools=(WEATHER, other), tool_choice=allowed)["toolConfig"]
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == ["time"]


def test_arguments_stay_as_they_were_and_ids_fit() -> None:
    odd = "a" * 70
    body = write(
        HELLO,
        Message(
            role=Role.ASSISTANT,
            parts=(
                ToolCall(id=odd, name="weather", arguments='{"n": 1.0e2,\n "s":"\\u0130"}'),
                ToolCall(id="c2", name="weather", arguments=""),
            ),
        ),
        Message(role=Role.TOOL, parts=(ToolResult(call_id=odd, error=True),)),
    ).body
    assert b'{"n": 1.0e2,\n "s":"\\u0130"}' in body
    first, second = (block["toolUse"] for block in json.loads(body)["messages"][1]["content"])
    result = json.loads(body)["messages"][2]["content"][0]["toolResult"]
    assert result == {"toolUseId": first["toolUseId"], "content": [], "status": "error"}
    assert len(first["toolUseId"]) <= 64
    assert second["input"] == {}


@pytest.mark.parametrize(("model", "kept"), [(CLAUDE, False), (NOVA, True)])
def test_claude_takes_fewer_ids_than_others(model: str, kept: bool) -> None:
    odd = "functions.get_weather:0"
    called = Message(role=Role.ASSISTANT, parts=(ToolCall(id=odd, name="weather"),))
    result = Message(role=Role.TOOL, parts=(ToolResult(call_id=odd),))
    turns = json.loads(write(HELLO, called, result, model=model).body)["messages"]
    found = turns[1]["content"][0]["toolUse"]["toolUseId"]
    assert turns[2]["content"][0]["toolResult"]["toolUseId"] == found
    assert (found == odd) is kept


THOUGHTS = (
    Reasoning(text="hm", signature="sig", issuer=Family.ANTHROPIC),
    Reasoning(redacted="EuYBhidden", issuer=Family.ANTHROPIC),
    Reasoning(text="mine", signature="other", issuer=Family.BEDROCK),
    Reasoning(text="theirs", signature="gem", issuer=Family.GEMINI),
    Reasoning(text="nobody's"),
)


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        (CLAUDE, ["hm", "RXVZQmhpZGRlbg=="]),
        (NOVA_2, ["mine"]),
        (OWN_PROFILE, ["hm", "RXVZQmhpZGRlbg==", "mine"]),
    ],
)
def test_thoughts_go_back_to_whom_they_were_signed_for(model: str, kept: list[str]) -> None:
    out = write(HELLO, Message(role=Role.ASSISTANT, parts=(*THOUGHTS, Text(text="so"))), HELLO, model=model)
    blocks = json.loads(out.body)["messages"][1]["content"]
    given = [block["reasoningContent"] for block in blocks if "reasoningContent" in block]
    assert [each.get("redactedContent") or each["reasoningText"]["text"] for each in given] == kept
    assert len(out.dropped) == len(THOUGHTS) - len(kept)


@pytest.mark.parametrize(
    ("model", "fields", "dropped"),
    [
        (CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, ("top_k", "temperature")),
        (
            NOVA_2,
            {
                "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"},
                "inferenceConfig": {"topK": 5},
            },
            (),
        ),
        ("openai.gpt-oss-120b-1:0", {"reasoning_effort": "low"}, ("top_k",)),
        ("qwen.qwen3-32b-v1:0", {"reasoning_config": "low"}, ("top_k",)),
        (LLAMA, None, ("reasoning_effort", "top_k")),
    ],
)
def test_thinking_and_top_k_in_each_makers_words(
    model: str, fields: dict[str, Any] | None, dropped: tuple[str, ...]
) -> None:
    out = write(
        model=model, thinking=Thinking(effort="low"), top_k=5, temperature=0.3, max_output=5000, user=None
    )
    body = json.loads(out.body)
    assert body.get("additionalModelRequestFields") == fields
    assert out.dropped == dropped
    assert body["inferenceConfig"]["maxTokens"] == 5000


def test_nova_thinks_less_where_something_is_bounded() -> None:
    free = write(model=NOVA_2, thinking=Thinking(effort="high"))
    bound = write(model=NOVA_2, thinking=Thinking(effort="high"), max_output=100)
    said = [
        json.loads(each.body)["additionalModelRequestFields"]["reasoningConfig"] for each in (free, bound)
    ]
    assert [each["maxReasoningEffort"] for each in said] == ["high", "medium"]
    assert (free.dropped, bound.dropped) == ((), ("reasoning_effort",))


def test_a_schema_goes_natively_or_as_a_tool() -> None:
    form = Format(kind=FormatKind.SCHEMA, schema=SCHEMA, name="the city!", description="Which.")
    native = told(format=form, card=NATIVE)
    assert "toolConfig" not in native
    described = native["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert described == {"schema": bytes(SCHEMA).decode(), "name": "the_city_", "description": "Which."}
    config = told(format=form)["toolConfig"]
    assert config["toolChoice"] == {"tool": {"name": "aspendos_answer"}}
    assert config["tools"][0]["toolSpec"]["inputSchema"]["json"] == json.loads(bytes(SCHEMA))
    both = told(format=form, tools=(WEATHER,))["toolConfig"]
    assert both["toolChoice"] == {"any": {}}
    plain = told(format=Format(kind=FormatKind.JSON), card=NATIVE)["toolConfig"]
    assert plain["tools"][0]["toolSpec"]["inputSchema"]["json"] == {"type": "object"}


def test_marks_for_the_cache() -> None:
    marked = (
        Message(role=Role.SYSTEM, parts=(Text(text="long", cache=CacheHint.ONE_HOUR),)),
        user(Text(text="also long", cache=CacheHint.FIVE_MINUTES), Text(text="short")),
    )
    tool = Tool(name="weather", cache=CacheHint.FIVE_MINUTES)
    body = told(*marked, tools=(tool,))
    assert body["system"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    assert write(*marked, tools=(tool,), model=NOVA).dropped == ("tools[0].cache_control",)
    llama = write(*marked, model=LLAMA)
    assert llama.dropped == ("messages[0].content[0].cache_control", "messages[1].content[0].cache_control")
    assert b"cachePoint" not in llama.body


def test_marks_are_placed_where_the_catalogue_says_so() -> None:
    auto = msgspec.structs.replace(CARD, prompt_cache=PromptCache.AUTO)
    system = Message(role=Role.SYSTEM, parts=(Text(text="long"),))
    said = Message(role=Role.ASSISTANT, parts=(Text(text="ok"),))
    body = write(system, HELLO, said, HELLO, said, HELLO, tools=(WEATHER,), card=auto).body
    assert body.count(b"cachePoint") == 4
    turns = json.loads(body)["messages"]
    assert ["cachePoint" in str(turn) for turn in turns] == [False, False, True, False, True]
    own = user(Text(text="x", cache=CacheHint.FIVE_MINUTES))
    assert write(system, own, card=auto).body.count(b"cachePoint") == 1


def test_bedrocks_own_words_go_through() -> None:
    out = write(
        temperature=1.4,
        stop=("END", ""),
        service_tier="flex",
        metadata={"team": "a b"},
        rest={
            "guardrailConfig": Raw(b'{"guardrailIdentifier":"abc","guardrailVersion":"1"}'),
            "performanceConfig": Raw(b'{"latency":"optimized"}'),
            "additionalModelRequestFields": Raw(b'{"top_k":3}'),
            "additionalModelResponseFieldPaths": Raw(b'["/stop_sequence"]'),
            "mystery": Raw(b"1"),
        },
    )
    body = json.loads(out.body)
    assert body["guardrailConfig"] == {"guardrailIdentifier": "abc", "guardrailVersion": "1"}
    assert body["performanceConfig"] == {"latency": "optimized"}
    assert body["additionalModelRequestFields"] == {"top_k": 3}
    assert body["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert body["inferenceConfig"] == {"temperature": 1.0, "stopSequences": ["END"]}
    assert (body["serviceTier"], body["requestMetadata"]) == ({"type": "flex"}, {"team": "a b"})
    assert out.dropped == ("temperature", "stop", "mystery")


def test_what_has_no_word_is_named() -> None:
    out = write(
        Message(role=Role.SYSTEM, parts=(Text(text="s"), Image(source=Source(data=PIXEL)))),
        Message(
            role=Role.USER,
            name="Ada",
            parts=(
                Text(text="t", citations=(Citation(url="https://a"),)),
                Image(source=Source(data=PIXEL), detail="low"),
                Opaque(family=Family.ANTHROPIC, kind="x", raw=Raw(b"{}")),
                Refusal(text="no"),
            ),
        ),
        tools=(
            Tool(name="sh", kind=ToolKind.HOSTED, family=Family.ANTHROPIC, raw=Raw(b"{}")),
            Tool(name="weather", strict=True, rest={"x": Raw(b"1")}),
        ),
        parallel_tools=False,
        seed=1,
        answers=2,
        logprobs=True,
        user="u",
        cache_key="k",
        modalities=("text", "audio"),
        metadata={"a": "ü" * 300},
        service_tier="scale",
    )
    assert set(out.dropped) == {
        "messages[0].content",
        "messages[1].name",
        "messages[1].content[0].citations",
        "messages[1].content[1].detail",
        "messages[1].content[2]",
        "tools[0]",
        "tools[1].function.strict",
        "tools[1].x",
        "parallel_tool_calls",
        "seed",
        "n",
        "logprobs",
        "user",
        "prompt_cache_key",
        "modalities",
        "metadata",
        "service_tier",
    }


def test_nothing_to_answer() -> None:
    with pytest.raises(InvalidField, match="no turn") as refused:
        write(Message(role=Role.SYSTEM, parts=(Text(text="s"),)))
    assert refused.value.param == "messages"


def test_white_space_alone_is_no_block() -> None:
    listed = Message(
        role=Role.ASSISTANT, parts=(Text(text="A list:"), Text(text="\n\n"), Text(text="1. one"))
    )
    called = Message(role=Role.ASSISTANT, parts=(Text(text="\n"), *CALLED[1].parts))
    body = told(
        Message(role=Role.SYSTEM, parts=(Text(text=" "),)),
        HELLO,
        listed,
        user(Text(text="\n")),
        HELLO,
        called,
    )
    assert "system" not in body
    texts = [[block.get("text") for block in each["content"]] for each in body["messages"]]
    assert texts == [["hi"], ["A list:\n\n", "1. one"], ["hi"], [None]]


def test_sequences_to_stop_at_that_nobody_can_be_told_are_named() -> None:
    out = write(stop=("", "\n\n", "END"))
    assert (json.loads(out.body)["inferenceConfig"], out.dropped) == ({"stopSequences": ["END"]}, ("stop",))
    other = write(stop=("\n\n",), model=NOVA)
    assert (json.loads(other.body)["inferenceConfig"], other.dropped) == ({"stopSequences": ["\n\n"]}, ())
