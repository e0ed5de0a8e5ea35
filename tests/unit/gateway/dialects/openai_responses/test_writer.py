"""Answers of other families as events of a response: opened, told in pieces, closed, and whole again at the end."""

import json
from typing import Any

import pytest
from msgspec import Raw
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.dialects.dialect import Setting
from gateway.dialects.openai_responses import Responses
from gateway.dialects.openai_responses.parse import parse
from gateway.dialects.openai_responses.writer import ResponsesWriter
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import (
    Audio,
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
from inference.ir.errors import UpstreamFailed, UpstreamTimeout
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
    Sealed,
    TextDelta,
)
from inference.ir.folding import unfold
from inference.ir.usage import Usage, UsageSource
from inference.providers.openai.responses_completion import read_completion

ASKED = parse(
    b'{"model":"m","input":"hi","instructions":"Be kind.","tools":[{"type":"function","name":"f","parameters":{}}],'
    b'"tool_choice":{"type":"function","name":"f"},"text":{"format":{"type":"json_object"}},"metadata":{"a":"b"}}'
)
SETTING = Setting(id="req-ab01", model="m", created=1_700_000_000)
USAGE = Usage(
    input_tokens=5, output_tokens=3, cache_read_tokens=2, reasoning_tokens=1, source=UsageSource.REPORTED
)
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
DIALECT = Responses().chat


def completion(*parts: Part, finish: Finish = Finish.STOP, **more: Any) -> Completion:
    choice = Choice(parts=parts, finish=finish, **more)
    return Completion(family=Family.ANTHROPIC, choices=(choice,), usage=USAGE)


def answer(given: Completion) -> dict[str, Any]:
    assert DIALECT is not None
    told = json.loads(DIALECT.answer(given, ASKED, SETTING).body)
    Response.model_validate(told)
    return told


def events(stream: bytes) -> list[dict[str, Any]]:
    found = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: ")]
    names = [line[7:].decode() for line in stream.splitlines() if line.startswith(b"event: ")]
    assert names == [event["type"] for event in found]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    for event in found:
        EVENTS.validate_python(event)
    return found


def streamed(given: list[Event]) -> tuple[list[dict[str, Any]], ResponsesWriter]:
    writer = ResponsesWriter(ASKED, SETTING)
    out = b"".join(writer.write([event]) for event in given)
    return events(out + writer.finish()), writer


PARTS: tuple[Part, ...] = (
    Reasoning(text="hm", signature="sig", issuer=Family.ANTHROPIC),
    Reasoning(redacted="zzz", issuer=Family.ANTHROPIC),
    Reasoning(summaries=("one", "two")),
    Text(text="See é🎈"),
    Refusal(text="No."),
    ToolCall(id="c1", name="f", arguments='{"x": 1}'),
    ToolCall(id="c2", name="g", arguments="any text", custom=True),
    Image(source=Source(data="AAAA", media_type="image/png")),
    Text(text="cited", citations=(Citation(url="https://x", title="X", start=0, end=5),)),
)


def test_whole_and_streamed_are_the_same_and_read_back_as_what_was_said() -> None:
    given = completion(*PARTS, finish=Finish.TOOL_CALLS)
    told = answer(given)
    found, writer = streamed(list(unfold(given)))
    assert found[-1]["type"] == "response.completed"
    assert found[-1]["response"] == told
    assert list(writer.dropped) == []
    read = read_completion(json.dumps(told).encode())
    thought, redacted, summary, text, refusal, call, custom, picture, cited = read.choices[0].parts
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.signature, thought.issuer) == ("hm", "sig", Family.ANTHROPIC)
    assert isinstance(redacted, Reasoning)
    assert (redacted.redacted, redacted.issuer) == ("zzz", Family.ANTHROPIC)
    assert isinstance(summary, Reasoning)
    assert summary.summaries == ("one", "two")
    assert (text, refusal) == (PARTS[3], PARTS[4])
    assert isinstance(call, ToolCall)
    assert isinstance(custom, ToolCall)
    assert (call.arguments, custom.arguments, custom.custom) == ('{"x": 1}', "any text", True)
    assert isinstance(picture, Opaque)
    assert picture.kind == "image_generation_call"
    assert isinstance(cited, Text)
    assert cited.citations[0].url == "https://x"
    assert read.usage == USAGE


def test_a_response_repeats_what_was_asked() -> None:
    told = answer(completion(Text(text="x")))
    assert (told["id"], told["created_at"], told["model"]) == ("resp_ab01", 1_700_000_000, "m")
    assert (told["instructions"], told["metadata"]) == ("Be kind.", {"a": "b"})
    assert told["tool_choice"] == {"type": "function", "name": "f"}
    assert told["tools"][0]["name"] == "f"
    assert told["text"]["format"] == {"type": "json_object"}
    assert told["usage"]["total_tokens"] == 8


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        (Finish.STOP, "completed", None),
        (Finish.REFUSAL, "incomplete", "content_filter"),
        (Finish.LENGTH, "incomplete", "max_output_tokens"),
        (Finish.FILTER, "incomplete", "content_filter"),
    ],
)
def test_why_it_ended(finish: Finish, status: str, reason: str | None) -> None:
    told = answer(completion(Text(text="x"), finish=finish))
    assert told["status"] == status
    assert told["incomplete_details"] == (None if reason is None else {"reason": reason})


def test_signatures_of_calls_and_text_follow_them() -> None:
    given = completion(
        Text(text="a", signature="t", issuer=Family.GEMINI),
        ToolCall(id="c", name="f", arguments="{}", signature="s", issuer=Family.GEMINI),
    )
    told = answer(given)
    found, _ = streamed(list(unfold(given)))
    assert found[-1]["response"]["output"] == told["output"]
    text, call = read_completion(json.dumps(told).encode()).choices[0].parts
    assert isinstance(text, Text)
    assert isinstance(call, ToolCall)
    assert (text.signature, text.issuer, call.signature) == ("t", Family.GEMINI, "s")


def test_parallel_calls_told_in_turns_stay_apart() -> None:
    found, _ = streamed(
        [
            Began(family=Family.OPENAI_CHAT),
            CallBegan(id="c1", name="f", block=0),
            CallBegan(id="c2", name="f", block=1),
            CallDelta('{"x"', 0),
            CallDelta('{"y"', 1),
            CallDelta(":1}", 0),
            CallDelta(":2}", 1),
            Ended(finish=Finish.TOOL_CALLS),
            Counted(USAGE),
        ]
    )
    calls = [(item["call_id"], item["arguments"]) for item in found[-1]["response"]["output"]]
    assert calls == [("c1", '{"x":1}'), ("c2", '{"y":2}')]
    done = [event for event in found if event["type"] == "response.function_call_arguments.done"]
    assert [event["arguments"] for event in done] == ['{"x":1}', '{"y":2}']


def test_an_item_is_done_before_the_next_is_added() -> None:
    given: list[Event] = [Began(family=Family.OPENAI_CHAT)]
    given += [CallBegan(id=f"c{n}", name="f", block=n) for n in range(3)]
    given += [CallDelta(piece, n) for piece in ('{"x"', ":", "1}") for n in range(3)]
    found, writer = streamed([*given, Ended(finish=Finish.TOOL_CALLS), Counted(USAGE)])
    order = [event["output_index"] for event in found if "output_index" in event]
    assert order == sorted(order)
    for n in range(3):
        kinds = [event["type"].rpartition(".")[2] for event in found if event.get("output_index") == n]
        assert kinds == ["added", "delta", "delta", "delta", "done", "done"]
    output = found[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in output] == [
        (f"c{n}", '{"x":1}') for n in range(3)
    ]
    assert found[-1]["response"]["usage"]["output_tokens"] == 3
    assert list(writer.dropped) == []


def test_what_was_held_back_is_told_when_the_gateway_cuts_the_answer() -> None:
    writer = ResponsesWriter(ASKED, SETTING)
    out = writer.write([CallBegan(id=f"c{n}", name="f", block=n) for n in range(2)])
    out += writer.write([CallDelta('{"x', 0), CallDelta('{"y', 1)]) + writer.cut(USAGE)
    output = events(out)[-1]["response"]["output"]
    assert [(item["arguments"], item["status"]) for item in output] == [
        ('{"x', "incomplete"),
        ('{"y', "incomplete"),
    ]


def test_signatures_of_parallel_calls_stand_where_a_whole_answer_has_them() -> None:
    calls = [
        ToolCall(id=f"c{n}", name="f", arguments="{}", signature=f"s{n}", issuer=Family.GEMINI)
        for n in range(2)
    ]
    given = completion(*calls)
    told = answer(given)
    found, _ = streamed(list(unfold(given)))
    assert found[-1]["response"]["output"] == told["output"]
    kinds = [item["type"] for item in told["output"]]
    assert kinds == ["function_call", "reasoning", "function_call", "reasoning"]


def test_a_signed_text_of_nothing_is_no_message_and_keeps_its_signature() -> None:
    given = completion(
        ToolCall(id="c", name="f", arguments="{}"), Text(text="", signature="s", issuer=Family.GEMINI)
    )
    told = answer(given)
    found, _ = streamed(list(unfold(given)))
    assert found[-1]["response"]["output"] == told["output"]
    assert [item["type"] for item in told["output"]] == ["function_call", "reasoning"]
    _, text = read_completion(json.dumps(told).encode()).choices[0].parts
    assert text == Text(text="", signature="s", issuer=Family.GEMINI)


def test_arguments_that_come_after_their_end_are_named() -> None:
    _, writer = streamed(
        [
            CallBegan(id="c0", name="f", block=0),
            CallDelta("{}", 0),
            CallBegan(id="c1", name="f", block=1),
            CallDelta("{}", 1),
            CallDelta(" ", 0),
            CallDelta('{"x":1}', 0),
        ]
    )
    assert list(writer.dropped) == ["output[0].arguments"]


def test_log_probabilities_go_with_their_text() -> None:
    entry = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    logs = LogProbs(Raw(json.dumps({"content": [entry]}).encode()))
    writer = ResponsesWriter(ASKED, SETTING)
    out = writer.write([TextDelta("a"), logs]) + writer.write([TextDelta("b"), logs]) + writer.finish()
    found = events(out)
    deltas = [event["logprobs"] for event in found if event["type"] == "response.output_text.delta"]
    assert deltas == [[entry], [entry]]
    assert found[-1]["response"]["output"][0]["content"][0]["logprobs"] == [entry, entry]


def test_what_cannot_be_said_is_named() -> None:
    own = Opaque(family=Family.ANTHROPIC, kind="server_tool_use", raw=Raw(b"{}"))
    speech = Audio(source=Source(data="AA"), transcript="heard")
    given = Completion(
        family=Family.ANTHROPIC,
        choices=(
            Choice(
                parts=(own, Text(text="x", citations=(Citation(cited="y"),)), speech),
                finish=Finish.STOP,
                stop_sequence="END",
                rest={"container": Raw(b"1")},
            ),
            Choice(index=1),
        ),
        rest={"system_fingerprint": Raw(b'"f"')},
    )
    assert DIALECT is not None
    rendered = DIALECT.answer(given, ASKED, SETTING)
    assert set(rendered.dropped) == {
        "output[0].server_tool_use",
        "output[0].content[0].citations",
        "output[1].audio",
        "choices[1]",
        "stop_sequence",
        "container",
        "system_fingerprint",
    }
    assert json.loads(rendered.body)["output"][1]["content"][0]["text"] == "heard"


def test_what_cannot_be_said_in_a_stream_is_named() -> None:
    found, writer = streamed(
        [
            AudioDelta(data="AA", transcript="heard"),
            Extra(Family.ANTHROPIC, {"container": Raw(b"1")}),
            TextDelta("another answer", 0, 1),
            Ended(finish=Finish.STOP, stop_sequence="END"),
        ]
    )
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == "heard"
    assert list(writer.dropped) == ["output[0].audio", "container", "choices[1]", "stop_sequence"]


def test_a_thought_that_is_not_shown_is_an_item_of_its_own() -> None:
    found, _ = streamed([Sealed(0, 0, redacted="zzz", issuer=Family.ANTHROPIC), TextDelta("x", 1)])
    kinds = [item["type"] for item in found[-1]["response"]["output"]]
    assert kinds == ["reasoning", "message"]


def test_a_failure_of_the_providers() -> None:
    writer = ResponsesWriter(ASKED, SETTING)
    out = writer.write([TextDelta("so far"), Failed(UpstreamFailed("Broken."))])
    found = events(out + writer.finish())
    assert found[-1]["type"] == "response.failed"
    assert found[-1]["response"]["error"] == {"code": "server_error", "message": "Broken."}


def test_a_stream_that_breaks_and_one_that_is_cut() -> None:
    writer = ResponsesWriter(ASKED, SETTING)
    begun = writer.write([TextDelta("so far")])
    broken = json.loads(writer.broken(UpstreamTimeout("Late.")).split(b"data: ")[1])
    assert (broken["type"], broken["message"]) == ("error", "Late.")
    found = events(begun + writer.cut(USAGE))
    assert found[-1]["type"] == "response.incomplete"
    told = found[-1]["response"]
    assert told["incomplete_details"] == {"reason": "max_output_tokens"}
    assert told["output"][0]["content"][0]["text"] == "so far"
    assert told["usage"]["output_tokens"] == 3


def test_an_answer_of_nothing() -> None:
    found, _ = streamed([Began(family=Family.OPENAI_CHAT), Ended(finish=Finish.STOP), Counted(USAGE)])
    assert [event["type"] for event in found] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]
