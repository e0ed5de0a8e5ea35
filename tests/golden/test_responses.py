"""Answers of another family as a Responses client has them, readable in review: golden/responses/*.sse.

A file is the stream as it goes out, its ids and numbers included; to accept a change, delete the file and run again.
"""

from pathlib import Path

import pytest

from gateway.dialects.dialect import Setting
from gateway.dialects.openai_responses.parse import parse
from gateway.dialects.openai_responses.writer import ResponsesWriter
from inference.ir.completion import Finish
from inference.ir.content import Citation, Family
from inference.ir.events import (
    Began,
    CallBegan,
    CallDelta,
    Cited,
    Counted,
    Ended,
    Event,
    ReasoningDelta,
    Sealed,
    TextDelta,
)
from inference.ir.usage import Usage, UsageSource

FOLDER = Path(__file__).parent / "responses"
USAGE = Usage(input_tokens=20, output_tokens=9, cache_read_tokens=4, source=UsageSource.REPORTED)
BEGAN = Began(family=Family.ANTHROPIC, id="msg_1", model="claude")
CASES: dict[str, list[Event]] = {
    "thought_and_cited_text": [
        BEGAN,
        ReasoningDelta("Let me ", 0),
        ReasoningDelta("see.", 0),
        Sealed(0, 0, signature="EqQB", issuer=Family.ANTHROPIC),
        TextDelta("Paris", 1),
        Cited(Citation(url="https://example.org", title="Atlas", start=0, end=5), 1),
        TextDelta(" é🎈.", 1),
        Ended(finish=Finish.STOP, native="end_turn"),
        Counted(USAGE),
    ],
    "parallel_calls": [
        BEGAN,
        TextDelta("Both:", 0),
        CallBegan(id="toolu_1", name="weather", block=1),
        CallDelta('{"city":', 1),
        CallBegan(id="toolu_2", name="time", block=2),
        CallDelta('"Paris"}', 1),
        CallDelta("{}", 2),
        Ended(finish=Finish.TOOL_CALLS, native="tool_use"),
        Counted(USAGE),
    ],
    "cut_by_length": [
        BEGAN,
        TextDelta("So f", 0),
        Ended(finish=Finish.LENGTH, native="max_tokens"),
        Counted(USAGE),
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_an_answer_as_events(name: str) -> None:
    asked = parse(b'{"model":"m","input":"hi","stream":true}')
    writer = ResponsesWriter(asked, Setting(id="req-1", model="m", created=1_700_000_000))
    stream = b"".join(writer.write([event]) for event in CASES[name]) + writer.finish()
    file = FOLDER / f"{name}.sse"
    if not file.exists():
        file.write_bytes(stream)
        pytest.fail(f"{file.name} was written: read it, and add it to the commit")
    assert stream.decode() == file.read_text()
