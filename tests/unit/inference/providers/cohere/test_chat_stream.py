"""Streams of Cohere's that no recording has: thoughts, citations, errors, what nobody knows, what is none."""

import json

import pytest

from inference.ir.completion import Finish
from inference.ir.content import Opaque, Reasoning, Text, ToolCall
from inference.ir.errors import UpstreamFailed, UpstreamGarbled
from inference.ir.events import Counted, Ended, Failed
from inference.ir.folding import fold
from inference.providers.cohere.chat_stream import CohereStream

START = {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}}
USAGE = {"billed_units": {"input_tokens": 3, "output_tokens": 2}}
END = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": USAGE}}


def content(index: int, **piece: str) -> dict[str, object]:
    return {"type": "content-delta", "index": index, "delta": {"message": {"content": piece}}}


def start(index: int, kind: str, **more: str) -> dict[str, object]:
    return {
        "type": "content-start",
        "index": index,
        "delta": {"message": {"content": {"type": kind, **more}}},
    }


def cite(**more: object) -> dict[str, object]:
    cited = {"start": 0, "end": 2, "text": "so", "type": "TEXT_CONTENT", **more}
    return {"type": "citation-start", "index": 0, "delta": {"message": {"citations": cited}}}


def stream(*events: object) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def read(*events: object) -> tuple[CohereStream, list[object]]:
    parser = CohereStream()
    found: list[object] = [*parser.feed(stream(*events)), *parser.finish()]
    return parser, found


def test_thoughts_text_and_citations() -> None:
    source = {"type": "document", "document": {"title": "t", "url": "https://e.org"}}
    parser = CohereStream()
    events = parser.feed(
        stream(
            START,
            start(0, "thinking"),
            content(0, thinking="hm"),
            start(1, "text"),
            content(1, text="so "),
            cite(sources=[source]),
            cite(type="PLAN"),
            content(1, text="it is"),
            cite(content_index=1, start=3),
            END,
        )
    )
    (choice,) = fold(events).choices
    thought, text = choice.parts
    assert isinstance(thought, Reasoning)
    assert isinstance(text, Text)
    assert (thought.text, text.text) == ("hm", "so it is")
    assert [(each.start, each.url, each.title) for each in text.citations] == [
        (0, "https://e.org", "t"),
        (3, None, None),
    ]
    assert parser.complete


def test_parallel_calls_stay_apart() -> None:
    def call(index: int, name: str) -> dict[str, object]:
        function = {"name": name, "arguments": ""}
        return {
            "type": "tool-call-start",
            "index": index,
            "delta": {"message": {"tool_calls": {"id": f"id-{name}", "function": function}}},
        }

    def piece(index: int, text: str) -> dict[str, object]:
        return {
            "type": "tool-call-delta",
            "index": index,
            "delta": {"message": {"tool_calls": {"function": {"arguments": text}}}},
        }

    events = CohereStream().feed(
        stream(
            START,
            call(0, "a"),
            call(1, "b"),
            piece(1, '{"y"'),
            piece(0, '{"x":1'),
            piece(1, ":2}"),
            piece(0, "}"),
            END,
        )
    )
    (choice,) = fold(events).choices
    assert [(part.id, part.name, part.arguments) for part in choice.parts if isinstance(part, ToolCall)] == [
        ("id-a", "a", '{"x":1}'),
        ("id-b", "b", '{"y":2}'),
    ]


def test_an_error_at_the_end_and_one_instead_of_events() -> None:
    failed = {
        "type": "message-end",
        "delta": {"error": "overloaded", "finish_reason": "ERROR", "usage": USAGE},
    }
    for events in ((START, content(0, text="a"), failed), (START, {"message": "overloaded"})):
        parser, found = read(*events)
        last = found[-1]
        assert isinstance(last, Failed)
        assert isinstance(last.error, UpstreamFailed)
        assert "overloaded" in last.error.message
        assert parser.complete
    counted = read(START, failed)[1][-2]
    assert isinstance(counted, Counted)
    assert counted.usage.output_tokens == 2


def test_what_nobody_knows_is_kept_or_skipped() -> None:
    video = start(0, "video", uri="u")
    _, found = read(START, {"type": "new-thing", "delta": 3}, {"type": "debug"}, video, END)
    (part,) = fold(found).choices[0].parts  # pyright: ignore[reportArgumentType]  # they are events
    assert isinstance(part, Opaque)
    assert part.kind == "video"
    assert json.loads(bytes(part.raw)) == {"type": "video", "uri": "u"}


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("MAX_TOKENS", Finish.LENGTH),
        ("ERROR_TOXIC", Finish.FILTER),
        ("SOMETHING", Finish.OTHER),
        (None, Finish.OTHER),
    ],
)
def test_why_it_stopped(word: str | None, finish: Finish) -> None:
    _, found = read(START, {"type": "message-end", "delta": {"finish_reason": word}})
    assert found[-1] == Ended(finish=finish, native=word)


@pytest.mark.parametrize(
    "body",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        b"data: {}\n\n",
        stream({"type": "content-delta", "delta": 3}),
        b"data: 1\n\n",
    ],
)
def test_what_is_no_stream(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        CohereStream().feed(body)


def test_a_stream_cut_short() -> None:
    parser = CohereStream()
    parser.feed(stream(START, content(0, text="a")))
    with pytest.raises(UpstreamGarbled):
        parser.finish()
    assert not parser.complete


def test_an_end_without_a_blank_line_and_comments_between() -> None:
    parser = CohereStream()
    events = [*parser.feed(b": ping\n\n" + stream(START, END).removesuffix(b"\n\n")), *parser.finish()]
    assert isinstance(events[-1], Ended)
