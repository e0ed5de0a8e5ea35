"""Streams of OpenAI's chat format, as its kin really send them, and as nobody should."""

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.completion import Completion, Finish
from inference.ir.content import (
    Audio,
    Citation,
    Family,
    Image,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from inference.ir.errors import UpstreamFailed, UpstreamGarbled, UpstreamRateLimited
from inference.ir.events import CallBegan, CallDelta, Event
from inference.ir.folding import fold
from inference.providers.openai.chat_stream import ChatParser

DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    event = {"id": "chatcmpl-abc", "object": "chat.completion.chunk", "created": 5, "model": "m-1"}
    return b"data: " + json.dumps({**event, "choices": [choice], **fields}).encode() + b"\n\n"


def calling(*pieces: dict[str, Any]) -> bytes:
    return chunk({"tool_calls": list(pieces)})


def heard(*stream: bytes, ended: bool = True) -> list[Event]:
    parser = ChatParser()
    events = list(parser.feed(b"".join(stream) + (chunk(finish="stop") + DONE if ended else b"")))
    return [*events, *parser.finish()]


def read(*stream: bytes) -> Completion:
    return fold(heard(*stream))


def calls(*stream: bytes) -> list[tuple[str, str, str]]:
    parts = read(*stream).choices[0].parts
    return [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolCall)]


def parts(*stream: bytes) -> Sequence[Any]:
    return read(*stream).choices[0].parts


# calls


def test_parallel_calls_whose_pieces_come_interleaved() -> None:
    a = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    b = {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}
    stream = [calling(a), calling(b)]
    for index, text in ((1, '{"x'), (0, "{"), (1, '":1}'), (0, "}")):
        stream.append(calling({"index": index, "function": {"arguments": text}}))
    assert calls(*stream) == [("a", "f", "{}"), ("b", "g", '{"x":1}')]


def test_calls_without_an_index_are_told_apart_by_id() -> None:
    """As Mistral sends them."""
    one = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    two = {"id": "b", "function": {"name": "f", "arguments": "[]"}}
    assert calls(calling(one, two)) == [("a", "f", "{}"), ("b", "f", "[]")]
    assert calls(calling(one), calling({"id": "a", "function": {"arguments": " "}})) == [("a", "f", "{} ")]
    assert calls(calling(one), calling({"function": {"arguments": " "}})) == [("a", "f", "{} ")]


def test_calls_that_share_an_index_are_told_apart_by_id() -> None:
    one = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    two = {"index": 0, "id": "b", "function": {"name": "g", "arguments": "[]"}}
    assert calls(calling(one), calling(two)) == [("a", "f", "{}"), ("b", "g", "[]")]


def test_an_id_that_is_repeated_or_changes_without_a_name_is_the_same_call() -> None:
    one = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}
    again = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "}"}}
    other = {"index": 0, "id": "z", "function": {"arguments": " "}}
    assert calls(calling(one), calling(again), calling(other)) == [("a", "f", "{} ")]


@pytest.mark.parametrize("given", [None, "", "null"])
def test_calls_without_an_id_get_one_that_stays_the_same(given: str | None) -> None:
    one = {"index": 0, "id": given, "function": {"name": "f", "arguments": "{}"}}
    two = {"index": 1, "id": given, "function": {"name": "f", "arguments": "{}"}}
    found = calls(calling(one), calling(two))
    assert [call[0] for call in found] == ["call_abc0", "call_abc1"]


def test_a_name_that_comes_after_the_first_arguments() -> None:
    early = {"index": 0, "id": "a", "function": {"arguments": '{"x'}}
    late = {"index": 0, "function": {"name": "f", "arguments": '":1}'}}
    events = heard(calling(early), calling(late))
    assert [type(event) for event in events[1:4]] == [CallBegan, CallDelta, CallDelta]
    assert calls(calling(early), calling(late)) == [("a", "f", '{"x":1}')]


def test_custom_tools_and_the_older_functions() -> None:
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "select "}}
    (part,) = parts(calling(custom), calling({"index": 0, "custom": {"input": "1"}}))
    assert part == ToolCall(id="a", name="sql", arguments="select 1", custom=True)
    older = (
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
    )
    assert calls(*older) == [("call_abc0", "f", "{}")]


def test_arguments_sent_as_an_object_become_text() -> None:
    assert calls(calling({"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": [1]}}})) == [
        ("a", "f", '{"x":[1]}')
    ]


def test_a_megabyte_of_arguments_in_pieces() -> None:
    text = json.dumps({"text": "é🎈x" * 250_000}, ensure_ascii=False)
    stream = [calling({"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}})]
    stream += [
        calling({"index": 0, "function": {"arguments": text[at : at + 9_973]}})
        for at in range(0, len(text), 9_973)
    ]
    data = b"".join(stream) + chunk(finish="tool_calls") + DONE
    parser, events, chance, at = ChatParser(), list[Event](), random.Random(1), 0
    while at < len(data):
        step = chance.randint(1, 65_536)
        events += parser.feed(data[at : at + step])
        at += step
    (part,) = fold(events).choices[0].parts
    assert isinstance(part, ToolCall)
    assert part.arguments == text


def test_a_forced_call_ends_as_a_call() -> None:
    choice = read(calling({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}})).choices[0]
    assert (choice.finish, choice.native) == (Finish.TOOL_CALLS, "stop")


# what is said


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_under_either_name_and_once_where_both_say_it(field: str) -> None:
    found = parts(
        chunk({field: "hm"}), chunk({"reasoning_content": "!", "reasoning": "!"}), chunk({"content": "so"})
    )
    assert found == (Reasoning(text="hm!"), Text(text="so"))


def test_thoughts_between_texts_are_blocks_of_their_own() -> None:
    found = parts(*(chunk({name: name}) for name in ("content", "reasoning", "content")))
    assert [type(part) for part in found] == [Text, Reasoning, Text]


def detail(**fields: Any) -> bytes:
    return chunk(
        {"content": "", "reasoning": fields.get("text"), "reasoning_details": [{"index": 0, **fields}]}
    )


def test_details_hold_signatures_of_those_who_made_them() -> None:
    claude = {"type": "reasoning.text", "format": "anthropic-claude-v1"}
    found = parts(
        detail(**claude, text="", signature=""),
        detail(**claude, text="a"),
        detail(**claude, text="b"),
        detail(**claude, signature="SIG"),
        detail(**claude, text="c", index=1),
        detail(type="reasoning.encrypted", format="anthropic-claude-v1", data="DATA"),
        chunk({"content": "so"}),
    )
    assert found == (
        Reasoning(text="ab", signature="SIG", issuer=Family.ANTHROPIC),
        Reasoning(text="c"),
        Reasoning(redacted="DATA", issuer=Family.ANTHROPIC),
        Text(text="so"),
    )


def test_openais_sealed_thoughts_belong_to_their_summary() -> None:
    found = parts(
        detail(type="reasoning.summary", summary="in "),
        detail(type="reasoning.summary", summary="short"),
        detail(type="reasoning.encrypted", data="gAAA", format="openai-responses-v1", id="rs_1", index=1),
    )
    assert found == (
        Reasoning(summaries=("in short",), signature="gAAA", issuer=Family.OPENAI_RESPONSES, id="rs_1"),
    )


def test_refusals_speech_pictures_and_citations() -> None:
    note = {
        "type": "url_citation",
        "url_citation": {"url": "https://x", "title": "X", "start_index": 1, "end_index": 2},
    }
    found = parts(
        chunk({"content": "see"}),
        chunk({"annotations": [note]}),
        chunk({"refusal": "no"}),
        chunk({"refusal": "pe"}),
        chunk({"audio": {"id": "au", "data": "AA=="}}),
        chunk({"audio": {"transcript": "hi"}}),
        chunk({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}),
        chunk({"content": [{"type": "text", "text": "more"}, {"type": "chart", "x": 1}]}),
    )
    text, refusal, audio, image, more, chart = found
    assert isinstance(text, Text)
    assert text.citations == (
        Citation(
            url="https://x",
            title="X",
            start=1,
            end=2,
            family=Family.OPENAI_CHAT,
            raw=Raw(json.dumps(note).encode()),
        ),
    )
    assert refusal == Refusal(text="nope")
    assert isinstance(audio, Audio)
    assert (audio.id, audio.source.data, audio.transcript) == ("au", "AA==", "hi")
    assert isinstance(image, Image)
    assert (image.source.media_type, image.source.data) == ("image/png", "AAAA")
    assert more == Text(text="more")
    assert isinstance(chart, Opaque)
    assert chart.kind == "chart"


def test_googles_signatures_of_calls_and_texts() -> None:
    signed = {"google": {"thought_signature": "S"}}
    one = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}, "extra_content": signed}
    text, call = parts(chunk({"content": "x", "extra_content": signed}), calling(one))
    assert text == Text(text="x", signature="S", issuer=Family.GEMINI)
    assert call == ToolCall(id="a", name="f", arguments="{}", signature="S", issuer=Family.GEMINI)


def test_log_probabilities_stop_sequences_and_several_answers() -> None:
    def of(index: int, **fields: Any) -> bytes:
        return chunk(choices=[{"index": index, "delta": {}, **fields}])

    found = read(
        of(0, delta={"content": "a"}, logprobs={"content": [{"token": "a"}]}),
        of(1, delta={"content": "b"}, logprobs=None),
        of(0, delta={"content": "c"}, logprobs={"content": [{"token": "c"}]}),
        of(1, finish_reason="stop", stop_reason="END"),
    )
    first, second = found.choices
    assert first.parts == (Text(text="ac"),)
    assert first.logprobs is not None
    assert json.loads(bytes(first.logprobs)) == {"content": [{"token": "a"}, {"token": "c"}]}
    assert (second.parts, second.stop_sequence) == ((Text(text="b"),), "END")


# usage and ends


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {"choices": None, "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {"usage": {"prompt_tokens": 3.0, "completion_tokens": 2}},
        {"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}},
    ],
)
def test_usage_wherever_it_is(fields: dict[str, Any]) -> None:
    usage = read(chunk({"content": "x"}), chunk(**fields)).usage
    assert (usage.input_tokens, usage.output_tokens) == (3, 2)


def test_an_end_said_twice_and_something_after_it() -> None:
    found = read(chunk({"content": "x"}, "length"), chunk({"content": "y"}, "length"), DONE)
    assert (found.choices[0].parts, found.choices[0].finish) == ((Text(text="xy"),), Finish.LENGTH)


def test_a_finish_reason_is_an_end_without_done() -> None:
    events = heard(chunk({"content": "x"}), chunk(finish="stop"), ended=False)
    assert fold(events).choices[0].finish is Finish.STOP


def test_the_last_event_may_lack_its_blank_line() -> None:
    events = heard(chunk({"content": "x"}), chunk(finish="stop").rstrip(), ended=False)
    assert fold(events).choices[0].finish is Finish.STOP


def test_nothing_but_an_end_is_complete() -> None:
    assert heard(DONE, ended=False) == []


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"data: {\n\n",
        b"data: 7\n\n",
        b'data: {"choices":"x"}\n\n',
        b'data: {"choices":[7]}\n\n',
        b"data: \xff\n\n",
    ],
    ids=["truncated", "cut JSON", "no object", "choices that are none", "a choice that is none", "no UTF-8"],
)
def test_garbage_is_garbled(tail: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        heard(chunk({"content": "x"}), tail, ended=False)


def test_an_error_in_the_stream_is_the_refusal_it_would_have_been() -> None:
    told = b'data: {"error":{"code":429,"message":"slow down"}}\n\n'
    with pytest.raises(UpstreamRateLimited, match="slow down"):
        read(chunk({"content": "x"}), told)
    with pytest.raises(UpstreamFailed, match="went wrong"):
        read(b'event: error\ndata: {"error":{"message":"went wrong","type":"server_error"}}\n\n')
    with pytest.raises(UpstreamFailed, match="alas"):
        read(b'event: error\ndata: {"message":"alas"}\n\n')


# oddities


def test_an_emoji_escaped_and_cut_between_two_events() -> None:
    head, tail = rb'{"content":"a\ud83c"}', rb'{"content":"\udf88b"}'
    stream = [chunk({"content": "@"}).replace(b'{"content": "@"}', piece) for piece in (head, tail)]
    assert parts(*stream) == (Text(text="a🎈b"),)


def test_unknown_fields_and_odd_types_do_no_harm() -> None:
    found = read(
        b": comment\n\n",
        b"event: ping\ndata: {}\n\n",
        chunk(
            {"content": "x", "token_id": 7, "reasoning": {"odd": 1}},
            created=5.5,
            obfuscation="zz",
            choices_extra=[],
        ),
        chunk({"content": "y", "role": "assistant", "tool_calls": []}, service_tier="default"),
    )
    assert found.choices[0].parts == (Text(text="xy"),)
    assert found.id == "chatcmpl-abc"


def test_azures_first_event_belongs_to_no_answer() -> None:
    first = b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[]}\n\n'
    found = read(first, chunk({"content": "x"}))
    assert (found.id, found.model, found.created) == ("chatcmpl-abc", "m-1", 5)
