"""Anthropic's streams as they are written: blocks strictly one after the other, whatever order their pieces came in."""

import json
from typing import Any

import msgspec

from gateway.dialects.anthropic_messages.parse import parse
from gateway.dialects.anthropic_messages.writer import MessageWriter
from gateway.dialects.dialect import Setting
from inference.codecs.anthropic.seals import unseal
from inference.codecs.sse_reader import SseReader
from inference.ir.completion import Finish
from inference.ir.content import Citation, Family, Image, Opaque, Part, Reasoning, Source, Text
from inference.ir.errors import UpstreamFailed
from inference.ir.events import (
    Began,
    CallBegan,
    CallDelta,
    Cited,
    Counted,
    Ended,
    Event,
    Extra,
    Failed,
    LogProbs,
    ReasoningDelta,
    RefusalDelta,
    Sealed,
    TextDelta,
    Whole,
)
from inference.ir.usage import Usage, UsageSource

SETTING = Setting(id="req-7", model="asked", created=0)
USAGE = Usage(input_tokens=20, cache_read_tokens=5, output_tokens=3, source=UsageSource.REPORTED)
BEGAN = Began(family=Family.OPENAI_CHAT, id="chatcmpl-1")
STOP = Ended(finish=Finish.STOP, native="stop")


def written(*events: Event, one_by_one: bool = True) -> tuple[list[dict[str, Any]], MessageWriter]:
    writer = MessageWriter(SETTING)
    pieces = [writer.write([event]) for event in events] if one_by_one else [writer.write(events)]
    return told(b"".join(pieces) + writer.finish()), writer


def told(stream: bytes) -> list[dict[str, Any]]:
    reader = SseReader()
    found = [*reader.feed(stream), *reader.finish()]
    for name, data in found:
        assert json.loads(data)["type"] == name.decode()
    return [json.loads(data) for _, data in found]


def blocks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks, put together; fails where one begins before another has ended."""
    found: list[dict[str, Any]] = []
    under_way = False
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert not under_way
                assert event["index"] == len(found)
                under_way = True
                found.append({**event["content_block"], "pieces": ""})
            case "content_block_delta":
                assert under_way
                assert event["index"] == len(found) - 1
                delta = event["delta"]
                found[-1]["signature"] = delta.get("signature", found[-1].get("signature"))
                for name in ("text", "thinking", "partial_json"):
                    found[-1]["pieces"] += delta.get(name, "")
            case "content_block_stop":
                assert under_way
                under_way = False
            case _:
                assert not under_way
    return found


def test_text_and_usage() -> None:
    events, writer = written(BEGAN, TextDelta("Hel"), TextDelta('lo é\n"🎈'), STOP, Counted(USAGE))
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    head, last = events[0]["message"], events[-2]
    assert (head["id"], head["model"], head["content"]) == ("msg_7", "asked", [])
    assert blocks(events)[0]["pieces"] == 'Hello é\n"🎈'
    assert last["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (last["usage"]["input_tokens"], last["usage"]["cache_read_input_tokens"]) == (15, 5)
    assert list(writer.dropped) == []


def test_nothing_tells_of_the_end_before_finish() -> None:
    writer = MessageWriter(SETTING)
    before = writer.write([BEGAN, TextDelta("x"), STOP, Counted(USAGE)])
    assert b"message_delta" not in before
    assert b"message_stop" in writer.finish()


def test_the_prompts_count_is_in_the_head_where_it_is_known() -> None:
    events, _ = written(BEGAN, Counted(USAGE), TextDelta("x"), STOP, one_by_one=False)
    assert events[0]["message"]["usage"]["input_tokens"] == 15


def test_calls_whose_pieces_come_mixed_are_told_apart() -> None:
    events, _ = written(
        BEGAN,
        TextDelta("I look."),
        CallBegan(id="a", name="f", block=1),
        CallDelta('{"x":', 1),
        CallBegan(id="b", name="g", block=2),
        CallDelta('{"y', 2),
        CallDelta("1}", 1),
        CallDelta('":2}', 2),
        CallBegan(id="c", name="h", block=3),
        CallDelta("{}", 3),
        Ended(finish=Finish.TOOL_CALLS),
    )
    found = blocks(events)
    assert [(each.get("id"), each["pieces"]) for each in found] == [
        (None, "I look."),
        ("a", '{"x":1}'),
        ("b", '{"y":2}'),
        ("c", "{}"),
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_calls_one_after_the_other_are_not_held_up() -> None:
    writer = MessageWriter(SETTING)
    writer.write([BEGAN, CallBegan(id="a", name="f"), CallDelta('{"x":1}')])
    out = writer.write([CallBegan(id="b", name="g", block=1), CallDelta('{"y":', 1)])
    assert b'"id":"b"' in out
    assert b"partial_json" in out


def test_thought_and_its_signature() -> None:
    seal = Sealed(0, 0, "sig=", issuer=Family.ANTHROPIC)
    events, _ = written(BEGAN, ReasoningDelta("hm"), seal, TextDelta("x", 1), STOP)
    thought, _ = blocks(events)
    assert (thought["type"], thought["pieces"], thought["signature"]) == ("thinking", "hm", "sig=")
    events, _ = written(BEGAN, Sealed(0, 0, redacted="zz", issuer=Family.ANTHROPIC), STOP)
    assert blocks(events)[0]["data"] == "zz"


def test_another_familys_seal_comes_back_to_it() -> None:
    """It is wrapped for the way through the client, and known again when the client gives it back."""
    pieces = (Sealed(0, 0, id="rs_1"), Sealed(0, 0, "gAAA", issuer=Family.OPENAI_RESPONSES))
    events, _ = written(BEGAN, ReasoningDelta("a", summary=0), ReasoningDelta("b", summary=1), *pieces, STOP)
    (thought,) = blocks(events)
    assert thought["pieces"] == "a\n\nb"
    turn = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "a", "signature": thought["signature"]}],
    }
    asked = parse(json.dumps({"model": "m", "max_tokens": 9, "messages": [turn]}).encode())
    (part,) = asked.messages[0].parts
    assert part == Reasoning(summaries=("a",), signature="gAAA", issuer=Family.OPENAI_RESPONSES, id="rs_1")
    assert unseal("a", "aspendos.nonsense") == Reasoning(text="a")


SIGNED = Text(text="", signature="EqQB/8=", issuer=Family.GEMINI)


def given_back(found: list[dict[str, Any]]) -> tuple[Part, ...]:
    """What the client says of the blocks in the next turn."""
    fields = {"thinking": "thinking", "text": "text"}
    content = [
        {"type": each["type"], fields[each["type"]]: each["pieces"]}
        | ({"signature": each["signature"]} if each["type"] == "thinking" else {})
        for each in found
    ]
    turn = {"role": "assistant", "content": content}
    return parse(json.dumps({"model": "m", "max_tokens": 9, "messages": [turn]}).encode()).messages[0].parts


def test_a_signature_alone_begins_no_text() -> None:
    """Gemini ends its streams with it; there is no text to say, and none is begun."""
    alone = (TextDelta("", 1), Sealed(1, signature="EqQB/8=", issuer=Family.GEMINI))
    events, writer = written(BEGAN, ReasoningDelta("hm"), *alone, STOP)
    found = blocks(events)
    assert [each["type"] for each in found] == ["thinking", "thinking"]
    assert given_back(found) == (Reasoning(text="hm"), SIGNED)
    assert list(writer.dropped) == []


def test_a_signed_text_and_what_follows() -> None:
    signed = (TextDelta("Hi", 0), TextDelta("", 0), Sealed(0, signature="EqQB/8=", issuer=Family.GEMINI))
    events, writer = written(BEGAN, *signed, TextDelta("", 1), TextDelta("there", 1), TextDelta("", 2), STOP)
    found = blocks(events)
    assert [(each["type"], each["pieces"]) for each in found] == [
        ("text", "Hi"),
        ("thinking", ""),
        ("text", "there"),
    ]
    assert given_back(found) == (Text(text="Hi"), SIGNED, Text(text="there"))
    assert list(writer.dropped) == []


def test_what_only_anthropic_knows_comes_through_whole() -> None:
    searched = Opaque(family=Family.ANTHROPIC, kind="x", raw=msgspec.Raw(b'{"type":"x","id":"1"}'))
    mine = Began(family=Family.ANTHROPIC, id="msg_9")
    more = Extra(Family.ANTHROPIC, {"container": msgspec.Raw(b'{"id":"c"}'), "y": msgspec.Raw(b"1")})
    events, writer = written(mine, Whole(searched), more, Ended(finish=Finish.OTHER, native="new_reason"))
    assert blocks(events)[0]["id"] == "1"
    assert events[0]["message"]["id"] == "msg_9"
    assert (events[-2]["delta"]["container"], events[-2]["y"]) == ({"id": "c"}, 1)
    assert events[-2]["delta"]["stop_reason"] == "new_reason"
    assert list(writer.dropped) == []


def test_citations() -> None:
    cited = Cited(Citation(url="https://x", title="T", cited="c"))
    events, _ = written(BEGAN, TextDelta("x"), cited, STOP)
    delta = next(each["delta"] for each in events if each.get("delta", {}).get("type") == "citations_delta")
    assert delta["citation"]["url"] == "https://x"


def test_what_cannot_be_said_is_named() -> None:
    _, writer = written(
        BEGAN,
        TextDelta("x"),
        TextDelta("another", 0, 1),
        Whole(Image(source=Source(data="AA==")), 1),
        LogProbs(msgspec.Raw(b"{}")),
        Extra(Family.OPENAI_CHAT, {"system_fingerprint": msgspec.Raw(b'"f"')}),
        STOP,
    )
    assert list(writer.dropped) == ["choices[1]", "content[1]", "logprobs", "system_fingerprint"]


def test_a_refusal_is_text_and_a_reason() -> None:
    events, _ = written(BEGAN, RefusalDelta("No."), Ended(finish=Finish.REFUSAL))
    assert blocks(events)[0]["pieces"] == "No."
    assert events[-2]["delta"]["stop_reason"] == "refusal"


def test_an_error_and_nothing_after_it() -> None:
    writer = MessageWriter(SETTING)
    error = UpstreamFailed("Overloaded", status=503)
    out = told(writer.write([BEGAN, TextDelta("x"), Failed(error)]) + writer.end)
    assert out[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def test_a_cut_closes_what_is_under_way() -> None:
    writer = MessageWriter(SETTING)
    before = writer.write([BEGAN, CallBegan(id="a", name="f"), CallDelta('{"x"')])
    waiting = writer.write([CallBegan(id="b", name="g", block=1)])
    events = told(before + waiting + writer.cut(USAGE) + writer.end)
    assert [event["type"] for event in events[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert len(blocks(events)) == 1


def test_an_empty_answer_is_whole() -> None:
    events, _ = written(BEGAN, STOP)
    assert [event["type"] for event in events] == ["message_start", "message_delta", "message_stop"]


def test_the_signature_of_a_call_that_comes_whole_stands_in_its_head() -> None:
    call = (
        CallBegan(id="c1", name="look", block=0),
        CallDelta("{}", 0),
        Sealed(0, signature="c2ln", issuer=Family.GEMINI),
    )
    events, writer = written(BEGAN, *call, STOP, one_by_one=False)
    head = next(event["content_block"] for event in events if event["type"] == "content_block_start")
    assert head["type"] == "tool_use"
    thought = unseal("", head["signature"])
    assert (thought.signature, thought.issuer) == ("c2ln", Family.GEMINI)
    assert list(writer.dropped) == []
    events, writer = written(BEGAN, *call, STOP)  # too late for the head: named, not lost in silence
    assert list(writer.dropped) == ["content[0].signature"]
