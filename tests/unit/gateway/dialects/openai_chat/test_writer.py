"""Chunks as OpenAI's SDK expects them, and as it puts them together; whole answers say the same."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from gateway.dialects.dialect import Setting
from gateway.dialects.openai_chat.answer import answer
from gateway.dialects.openai_chat.parse import parse
from gateway.dialects.openai_chat.writer import ChatWriter
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import (
    Citation,
    Family,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
)
from inference.ir.errors import UpstreamFailed
from inference.ir.events import (
    AudioDelta,
    Began,
    CallBegan,
    CallDelta,
    Counted,
    Ended,
    Event,
    Extra,
    Failed,
    LogProbs,
    TextDelta,
)
from inference.ir.folding import unfold
from inference.ir.usage import Usage, UsageSource

ASKED = ChatRequest(model="m", family=Family.OPENAI_CHAT, messages=(Message(role=Role.USER),))
USAGE = Usage(input_tokens=10, output_tokens=4, cache_read_tokens=8, source=UsageSource.REPORTED)


def setting(*, usage: bool = False) -> Setting:
    return Setting(id="1", model="m", created=7, include_usage=usage)


def events(stream: bytes) -> list[Any]:
    blocks = stream.decode().split("\n\n")
    assert blocks.pop() == ""
    return [json.loads(block[6:]) if block != "data: [DONE]" else "[DONE]" for block in blocks]


def deltas(written: Sequence[Event], asked: ChatRequest = ASKED) -> list[dict[str, Any]]:
    found = events(ChatWriter(asked, setting()).write(written))
    return [event["choices"][0]["delta"] for event in found]


def completion(*parts: Part, family: Family = Family.ANTHROPIC) -> Completion:
    choice = Choice(parts=parts, finish=Finish.STOP)
    return Completion(family=family, choices=(choice,), usage=USAGE)


def test_the_order_of_a_stream() -> None:
    writer = ChatWriter(ASKED, setting(usage=True))
    early = writer.write(
        [Began(family=Family.GEMINI), TextDelta("é🎈"), Ended(finish=Finish.LENGTH), Counted(USAGE)]
    )
    role, text, *more = events(early)
    assert more == [], "the end is kept back"
    assert role["choices"][0] == {
        "index": 0,
        "delta": {"role": "assistant", "content": ""},
        "finish_reason": None,
    }
    assert text["choices"][0]["delta"] == {"content": "é🎈"}
    assert (text["id"], text["object"], text["created"], text["model"]) == (
        "chatcmpl-1",
        "chat.completion.chunk",
        7,
        "m",
    )
    finish, usage, done = events(writer.finish())
    assert finish["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "length"}
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 14)
    assert usage["usage"]["prompt_tokens_details"]["cached_tokens"] == 8
    assert done == "[DONE]"
    assert [event["usage"] for event in (role, text, finish)] == [None, None, None]


def test_usage_is_told_only_to_who_asked() -> None:
    writer = ChatWriter(ASKED, setting())
    stream = writer.write([Began(family=Family.GEMINI), Counted(USAGE)]) + writer.finish()
    assert b"usage" not in stream


def test_parallel_calls_are_numbered_whatever_block_they_are() -> None:
    found = deltas(
        [
            TextDelta("x", 0),
            CallBegan(id="a", name="f", block=1),
            CallBegan(id="b", name="g", block=4, custom=True),
            CallDelta("{", 1),
            CallDelta("select", 4),
        ]
    )
    assert [delta["tool_calls"][0] for delta in found[2:]] == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": ""}},
        {"index": 0, "function": {"arguments": "{"}},
        {"index": 1, "custom": {"input": "select"}},
    ]


def test_several_answers_each_begin_and_end() -> None:
    writer = ChatWriter(ASKED, setting())
    said = writer.write([TextDelta("a", 0, 0), TextDelta("b", 0, 1), Ended(finish=Finish.STOP, choice=1)])
    found = [event["choices"][0] for event in events(said) + events(writer.finish())[:-1]]
    assert [(each["index"], each["delta"].get("role"), each["finish_reason"]) for each in found] == [
        (0, "assistant", None),
        (0, None, None),
        (1, "assistant", None),
        (1, None, None),
        (0, None, "stop"),
        (1, None, "stop"),
    ]


def test_thoughts_are_told_apart_as_in_a_whole_answer() -> None:
    parts = (
        Reasoning(text="one"),
        Reasoning(summaries=("two", "three")),
        Reasoning(text="four"),
        Text(text="so"),
    )
    told = json.loads(answer(completion(*parts), ASKED, setting()).body)["choices"][0]["message"]
    stream = deltas([*unfold(completion(*parts))])
    assert "".join(each.get("reasoning_content", "") for each in stream) == told["reasoning_content"]
    assert told["reasoning_content"] == "one\n\ntwo\n\nthree\n\nfour"


def test_log_probabilities_and_speech() -> None:
    said = ChatWriter(ASKED, setting()).write(
        [TextDelta("a"), LogProbs(Raw(b'{"content":[]}')), AudioDelta(data="AA", id="au", block=1)]
    )
    _, _, probabilities, speech = events(said)
    assert probabilities["choices"][0]["logprobs"] == {"content": []}
    assert speech["choices"][0]["delta"] == {"audio": {"id": "au", "data": "AA"}}


def test_the_gateways_own_ends() -> None:
    writer = ChatWriter(ASKED, setting(usage=True))
    writer.write([TextDelta("a")])
    finish, usage = events(writer.cut(USAGE))
    assert finish["choices"][0]["finish_reason"] == "length"
    assert usage["usage"]["completion_tokens"] == 4
    (broken,) = events(writer.write([Failed(UpstreamFailed("gone", code="x"))]))
    assert (broken["error"]["message"], broken["error"]["code"]) == ("gone", "x")
    assert writer.end == b"data: [DONE]\n\n"


SIGNED = (
    Reasoning(text="hm", signature="S", issuer=Family.ANTHROPIC),
    Reasoning(redacted="D", issuer=Family.ANTHROPIC),
    Text(
        text="so",
        citations=tuple(Citation(url=url, title="X", start=0, end=2) for url in ("https://x", "https://y")),
    ),
    ToolCall(id="a", name="f", arguments="{}", signature="G", issuer=Family.GEMINI),
)


@pytest.mark.parametrize(
    "parts",
    [
        SIGNED,
        (
            Reasoning(summaries=("in short",), signature="E", issuer=Family.OPENAI_RESPONSES, id="rs"),
            Text(text="so"),
        ),
        (Text(text="so", signature="T", issuer=Family.GEMINI),),
        (Reasoning(text="plain"), Text(text="so"), Refusal(text="no")),
    ],
)
def test_a_client_that_sends_an_answer_back_loses_nothing(parts: tuple[Part, ...]) -> None:
    """Whole, and as the SDK puts the stream together."""
    family = next(
        (part.issuer for part in parts if isinstance(part, Reasoning) and part.issuer), Family.GEMINI
    )
    made = completion(*parts, family=family)
    whole = json.loads(answer(made, ASKED, setting()).body)["choices"][0]["message"]
    writer, state = ChatWriter(ASKED, setting()), ChatCompletionStreamState()
    for event in events(writer.write(list(unfold(made))) + writer.finish())[:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate(event))
    gathered = state.current_completion_snapshot.choices[0].message.model_dump(mode="json")
    for message in (whole, gathered):
        back = parse(json.dumps({"model": "m", "messages": [message]}).encode()).messages[0].parts
        assert [bare(part) for part in back] == [bare(part) for part in parts]


def bare(part: Part) -> Any:
    """Without a citation's raw form, which it has only once it was written."""
    if isinstance(part, Text):
        return (
            part.text,
            part.signature,
            [(each.url, each.title, each.start, each.end) for each in part.citations],
        )
    return part


def test_what_cannot_be_said_is_named() -> None:
    parts = (
        Opaque(family=Family.ANTHROPIC, kind="server_tool_use", raw=Raw(b"{}")),
        Text(text="x", citations=(Citation(title="no address"),)),
        ToolCall(id="a", name="f", signature="S", issuer=Family.BEDROCK),
    )
    made = completion(*parts)
    rendered = answer(made, ASKED, setting())
    assert rendered.dropped == (
        "choices[0].message.server_tool_use",
        "choices[0].message.annotations",
        "choices[0].message.tool_calls[0].signature",
    )
    writer = ChatWriter(ASKED, setting())
    writer.write([*unfold(made), Extra(Family.ANTHROPIC, {"container": Raw(b"{}")})])
    assert list(writer.dropped) == [
        "choices[0].delta.server_tool_use",
        "choices[0].delta.annotations",
        "choices[0].delta.tool_calls.signature",
        "container",
    ]


def test_pictures_the_model_made() -> None:
    made = completion(Image(source=Source(data="AA", media_type="image/png")))
    expected = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}, "index": 0}]
    assert json.loads(answer(made, ASKED, setting()).body)["choices"][0]["message"]["images"] == expected
    assert deltas(list(unfold(made)))[1] == {"images": expected}
