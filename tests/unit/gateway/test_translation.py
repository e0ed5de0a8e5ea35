"""A stream translated on its way: what metering is told of it. A request: what is told in its client's own paths."""

import json
from typing import Any

import pytest

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import Dialect, Setting
from gateway.dialects.gemini import Gemini
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_responses import Responses
from gateway.media.fetcher import Fetched
from gateway.translation import TranslatingTap, Translation
from inference.deployment import Deployment
from inference.fleet.load import Load
from inference.ir.cards import Kind, Model, Price, Provider, Target
from inference.ir.chat import ChatRequest
from inference.ir.content import Family
from inference.ir.errors import InvalidField
from inference.ir.usage import UsageSource
from inference.providers.anthropic.chat_stream import ChatStream


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


HEAD = event(
    "message_start", message={"id": "m", "model": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}
)
PIECE = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "abcdefgh"})
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}) + event(
    "message_stop"
)


def tap() -> TranslatingTap:
    asked = ChatRequest(model="m", messages=(), family=Family.ANTHROPIC)
    assert Messages.chat is not None
    return TranslatingTap(ChatStream(), Messages.chat.writer(asked, Setting(id="1", model="m", created=0)))


def test_a_stream_that_broke_is_the_prompt_reported_and_the_answer_estimated() -> None:
    broken = tap()
    broken.feed(HEAD + PIECE * 10)
    usage = broken.usage()
    assert (usage.input_tokens, usage.output_tokens, usage.source) == (9, 20, UsageSource.COUNTED)


def test_a_whole_stream_is_as_reported() -> None:
    whole = tap()
    whole.feed(HEAD + PIECE * 10 + END)
    usage = whole.usage()
    assert whole.done
    assert (usage.input_tokens, usage.output_tokens, usage.source) == (9, 3, UsageSource.REPORTED)
    assert whole.finish_reason == "stop"


# where in the client's own words something stands

HINT = {"cache_control": {"type": "ephemeral"}}
SYSTEM, SAID = {"type": "text", "text": "be", **HINT}, {"type": "text", "text": "hi"}
BAD = "bm8="
SETTING = Setting(id="1", model="m", created=0)
CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=0, output=0, version="v"), max_output=100)
MESSAGES: dict[str, Any] = {"model": "m", "max_tokens": 5, "system": [SYSTEM]}
ASKS: list[tuple[Dialect, dict[str, Any], str, str]] = [
    (
        Messages(),
        MESSAGES | {"messages": [{"role": "user", "content": [SAID, SAID | HINT]}]},
        "cohere",
        "system[0].cache_control, messages[0].content[1].cache_control",
    ),
    (
        Messages(),
        MESSAGES | {"messages": [{"role": "user", "content": [SAID, SAID | HINT]}]},
        "openai_responses",
        "system[0].cache_control, messages[0].content[1].cache_control",
    ),
    (
        Gemini("m", stream=False),
        {
            "systemInstruction": {"parts": [{"text": "be"}]},
            "contents": [{"parts": [{"text": "a"}, {"text": "b", "partMetadata": {}}]}],
        },
        "anthropic",
        "contents[0].parts[1].partMetadata",
    ),
    (
        Gemini("m", stream=False),
        {
            "contents": [{"parts": [{"text": "a"}]}],
            "generationConfig": {"seed": 1, "responseLogprobs": True},
            "labels": {"a": "b"},
        },
        "anthropic",
        "generationConfig.seed, generationConfig.responseLogprobs, labels",
    ),
    (
        Responses(),
        {
            "model": "m",
            "instructions": "be",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "a", "mood": 1}]},
                {"role": "assistant", "content": "b", "phase": "c"},
            ],
        },
        "gemini",
        "input[0].content[0].mood, input[1].phase",
    ),
    (
        Chat(),
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be"},
                {"role": "user", "content": [SAID, SAID | {"mood": 1}], "name": "bob"},
            ],
        },
        "gemini",
        "messages[1].name, messages[1].content[1].mood",
    ),
]


def target(wire: str) -> Deployment:
    provider = Provider(name="p", wire=wire.replace("_", "-"), base_urls=("http://127.0.0.1:1",), key="k")
    return Deployment(Target(provider=provider, model="real"), "http://127.0.0.1:1", Load())


def translation(dialect: Dialect, asked: dict[str, Any], *, strict: bool = False) -> Translation:
    assert dialect.chat is not None
    made = Translation(dialect.chat, json.dumps(asked).encode(), SETTING, strict=strict)
    made.admitted(CARD, None)
    return made


@pytest.mark.parametrize(("dialect", "asked", "wire", "names"), ASKS, ids=lambda given: str(given)[:20])
def test_what_is_dropped_is_named_as_its_client_wrote_it(
    dialect: Dialect, asked: dict[str, Any], wire: str, names: str
) -> None:
    assert sorted(translation(dialect, asked).outgoing(target(wire)).dropped) == sorted(names.split(", "))
    with pytest.raises(InvalidField) as refused:
        translation(dialect, asked, strict=True).outgoing(target(wire))
    assert refused.value.param in names.split(", ")
    assert refused.value.param in refused.value.message


def picture(**source: Any) -> dict[str, Any]:
    content = [SAID, {"type": "image", "source": source}]
    return MESSAGES | {"messages": [{"role": "user", "content": content}]}


def test_a_picture_that_is_none_is_found_by_the_clients_path() -> None:
    with pytest.raises(InvalidField) as refused:
        translation(Messages(), picture(type="base64", media_type="image/png", data=BAD))
    assert refused.value.param == "messages[0].content[1]"
    assert "`messages[0].content[1]`" in refused.value.message
    said = {
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{BAD}"}],
            }
        ]
    }
    with pytest.raises(InvalidField) as refused:
        translation(Responses(), {"model": "m", "instructions": "be"} | said)
    assert refused.value.param == "input[0].content[0]"


async def test_an_address_that_is_refused_is_too() -> None:
    class Refusing:
        async def fetch(self, url: str, *, param: str) -> Fetched:
            raise InvalidField(f"The address in `{param}` is no good.", param=param, code="media_url_refused")

    made = translation(Messages(), picture(type="url", url="http://127.0.0.1/x.png"))
    with pytest.raises(InvalidField) as refused:
        await made.fetch([target("bedrock")], Refusing())
    assert refused.value.param == "messages[0].content[1]"
    assert refused.value.code == "media_url_refused"


def test_what_a_target_cannot_be_shown_is_named_by_the_clients_path() -> None:
    made = translation(Messages(), picture(type="file", file_id="f"))
    with pytest.raises(InvalidField) as refused:
        made.outgoing(target("cohere"))
    assert refused.value.param == "messages[0].content[1]"


# what of an answer is named as left out


@pytest.mark.parametrize(
    ("tier", "names"),
    [(None, ("choices[1]", "logprobs", "odd")), ("auto", ("choices[1]", "logprobs", "odd", "service_tier"))],
)
def test_what_only_wraps_an_answer_is_not_named_as_left_out(tier: str | None, names: tuple[str, ...]) -> None:
    choice: dict[str, Any] = {"finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    answer: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "real",
        "system_fingerprint": "fp",
        "service_tier": "scale",
        "odd": 1,
        "choices": [{"index": 0, "logprobs": {"content": []}, **choice}, {"index": 1, **choice}],
    }
    asked = MESSAGES | {"messages": [{"role": "user", "content": "hi"}]}
    if tier is not None:
        asked |= {"service_tier": tier}
    rendered, _ = translation(Messages(), asked).whole(target("openai"), json.dumps(answer).encode())
    assert tuple(sorted(rendered.dropped)) == names
