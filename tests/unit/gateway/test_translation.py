"""A stream translated on its way: what metering is told of it."""

import json
from typing import Any

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import Setting
from gateway.translation import TranslatingTap
from inference.ir.chat import ChatRequest
from inference.ir.content import Family
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
