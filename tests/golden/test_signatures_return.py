"""Signed thoughts of models at Bedrock come back to Bedrock from Chat's clients, whichever way they were answered."""

import json
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from gateway.dialects.dialect import Setting
from gateway.dialects.openai_chat import OpenAIChatDialect
from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import ChatRequest
from inference.providers.bedrock import WIRE
from inference.wire import ByModel, ChatFormat
from tests.aws_messages import event

ASKED: dict[str, Any] = {"model": "m", "reasoning_effort": "high", "max_completion_tokens": 9000}
FIRST = {"role": "user", "content": "why?"}
THOUGHT = {"text": "Because.", "signature": "c2lnbmVk"}
CHAT = OpenAIChatDialect()
SETTING = Setting(id="req-1", model="m", created=1)
FORMATS = {
    "eu.anthropic.claude-sonnet-4-5-20250929-v1:0": "anthropic-claude-v1",
    "openai.gpt-oss-120b-1:0": "aspendos-bedrock-v1",
}


def of(model: str) -> ChatFormat:
    assert isinstance(WIRE.chat, ByModel)
    return WIRE.chat.of(model)


def parsed(*more: dict[str, Any]) -> ChatRequest:
    return CHAT.parse(json.dumps({**ASKED, "messages": [FIRST, *more]}).encode())


def told_whole(model: str) -> dict[str, Any]:
    content = [{"reasoningContent": {"reasoningText": THOUGHT}}, {"text": "So."}]
    said = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"}
    answer = CHAT.answer(of(model).completion(json.dumps(said).encode()), parsed(), SETTING)
    return json.loads(answer.body)["choices"][0]["message"]


def told_streamed(model: str) -> dict[str, Any]:
    """As OpenAI's SDK puts the stream together."""

    def grown(at: int, delta: dict[str, Any]) -> bytes:
        return event("contentBlockDelta", json.dumps({"contentBlockIndex": at, "delta": delta}).encode())

    stream = (
        event("messageStart", b'{"role":"assistant"}')
        + grown(0, {"reasoningContent": {"text": "Beca"}})
        + grown(0, {"reasoningContent": {"text": "use."}})
        + grown(0, {"reasoningContent": {"signature": THOUGHT["signature"]}})
        + grown(1, {"text": "So."})
        + event("messageStop", b'{"stopReason":"end_turn"}')
        + event("metadata", b"{}")
    )
    parser, writer, state = of(model).stream(), CHAT.writer(parsed(), SETTING), ChatCompletionStreamState()
    body = writer.write(parser.feed(stream)) + writer.finish()
    for line in body.decode().splitlines():
        if line.startswith("data: {"):
            state.handle_chunk(ChatCompletionChunk.model_validate_json(line[6:]))
    message = state.current_completion_snapshot.choices[0].message
    return message.model_dump(mode="json", exclude_none=True)


@pytest.mark.parametrize("told", [told_whole, told_streamed])
@pytest.mark.parametrize("model", FORMATS)
def test_a_signed_thought_goes_back_and_thinking_stays_on(model: str, told: Any) -> None:
    message = told(model)
    assert [each["format"] for each in message["reasoning_details"]] == [FORMATS[model]]
    price = Price(input=1, output=1, version="p")
    card = Model(name="m", kind=Kind.CHAT, price=price, capabilities=frozenset({"reasoning"}))
    again = of(model).request(parsed(message, {"role": "user", "content": "and?"}), model=model, card=card)
    assert again.dropped == ()
    sent = json.loads(again.body)
    assert sent["messages"][1]["content"][0] == {"reasoningContent": {"reasoningText": THOUGHT}}
    assert {"thinking", "reasoning_effort"} & set(sent["additionalModelRequestFields"])
