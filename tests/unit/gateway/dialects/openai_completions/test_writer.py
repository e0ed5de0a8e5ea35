"""Legacy completions as a stream."""

import json

from gateway.dialects.dialect import Setting
from gateway.dialects.openai_completions.writer import CompletionWriter
from inference.ir.completion import Finish
from inference.ir.content import Family
from inference.ir.errors import UpstreamFailed
from inference.ir.events import Began, CallBegan, Counted, Ended, ReasoningDelta, TextDelta
from inference.ir.usage import Usage, UsageSource

USAGE = Usage(input_tokens=3, output_tokens=2, source=UsageSource.REPORTED)


def test_text_is_said_and_the_rest_is_named() -> None:
    writer = CompletionWriter(Setting(id="1", model="m", created=7, include_usage=True))
    said = writer.write(
        [
            Began(family=Family.GEMINI),
            ReasoningDelta("hm"),
            TextDelta("so", 1),
            CallBegan(id="a", name="f", block=2),
            Ended(finish=Finish.TOOL_CALLS),
            Counted(USAGE),
        ]
    )
    event = json.loads(said[6:])
    assert event["choices"] == [{"index": 0, "text": "so", "logprobs": None, "finish_reason": None}]
    finish, usage, done, _ = writer.finish().split(b"\n\n")
    assert json.loads(finish[6:])["choices"][0]["finish_reason"] == "tool_calls"
    assert json.loads(usage[6:])["usage"]["total_tokens"] == 5
    assert done == b"data: [DONE]"
    assert list(writer.dropped) == ["choices[0].reasoning", "choices[0].call"]


def test_the_gateways_own_ends() -> None:
    writer = CompletionWriter(Setting(id="1", model="m", created=7))
    cut = json.loads(writer.cut(USAGE)[6:])
    assert (cut["choices"][0]["finish_reason"], "usage" in cut) == ("length", False)
    assert json.loads(writer.broken(UpstreamFailed("gone"))[6:])["error"]["message"] == "gone"
