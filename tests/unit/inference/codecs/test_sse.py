"""The tap over streams: cut at every byte, with every line end, and against what must be hidden or kept."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.codecs.sse import StreamTap, comment, data_event, event_bounds, event_json, whole_events
from inference.ir.errors import UpstreamGarbled


def event(payload: str) -> bytes:
    return b"data: " + payload.encode() + b"\n\n"


ROLE = event(
    '{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}'
)
HELLO = event(
    '{"id":"1","choices":[{"index":0,"delta":{"content":"Hel\\"usage\\":{lo 🎈"},"finish_reason":null}]}'
)
STOP = event('{"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
USAGE = event('{"id":"1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}')
DONE = b"data: [DONE]\n\n"
STREAM = ROLE + HELLO + STOP + USAGE + DONE


def run(tap: StreamTap, pieces: list[bytes]) -> bytes:
    return b"".join([*(tap.feed(piece) for piece in pieces), tap.finish()])


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_every_cut_gives_the_same_bytes_usage_and_reason(newline: bytes) -> None:
    stream = STREAM.replace(b"\n", newline)
    for cut in range(len(stream) + 1):
        tap = StreamTap(hide_usage=False, hide_continuous=False)
        assert run(tap, [piece for piece in (stream[:cut], stream[cut:]) if piece]) == stream
        assert tap.done
        assert tap.finish_reason == "stop"
        assert b'"prompt_tokens":3' in tap.usage_event
        assert tap.events == 4


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_byte_by_byte(newline: bytes) -> None:
    stream = STREAM.replace(b"\n", newline)
    tap = StreamTap(hide_usage=True, hide_continuous=False)
    assert run(tap, [stream[at : at + 1] for at in range(len(stream))]) == stream.replace(
        USAGE.replace(b"\n", newline), b""
    )
    assert b'"prompt_tokens":3' in tap.usage_event


def test_only_whole_events_are_given_out() -> None:
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    assert tap.feed(ROLE + HELLO[:20]) == ROLE
    tap.drop_tail()
    assert tap.finish() == b""


def test_the_final_usage_event_is_taken_out_again_for_a_client_that_did_not_ask() -> None:
    for cut in range(len(STREAM) + 1):
        tap = StreamTap(hide_usage=True, hide_continuous=False)
        assert (
            run(tap, [piece for piece in (STREAM[:cut], STREAM[cut:]) if piece]) == ROLE + HELLO + STOP + DONE
        )


def test_usage_beside_choices_is_the_upstreams_own_and_stays() -> None:
    last = event('{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}')
    tap = StreamTap(hide_usage=True, hide_continuous=False)
    assert run(tap, [HELLO + last + DONE]) == HELLO + last + DONE
    assert b'"prompt_tokens":1' in tap.usage_event


def continuous(text: str, tokens: int) -> tuple[bytes, bytes]:
    """An event as vLLM sends it with continuous usage, and as it is without."""
    choice = f'{{"id":"1","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]'
    usage = (
        f',"usage":{{"prompt_tokens":7,"total_tokens":{7 + tokens},"completion_tokens":{tokens},'
        '"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":null}'
    )
    return event(choice + usage + ',"prompt_text":null}'), event(choice + ',"prompt_text":null}')


def test_continuous_usage_is_hidden_everywhere_and_the_last_is_remembered() -> None:
    pairs = [continuous(text, count) for count, text in enumerate(["a", ',\\"usage\\":{', "c}"])]
    stream = b"".join(sent for sent, _ in pairs) + USAGE + DONE
    bare = b"".join(seen for _, seen in pairs)
    for cut in range(len(stream) + 1):
        pieces = [piece for piece in (stream[:cut], stream[cut:]) if piece]
        assert run(StreamTap(hide_usage=True, hide_continuous=True), pieces) == bare + DONE
        assert run(StreamTap(hide_usage=False, hide_continuous=True), pieces) == bare + USAGE + DONE
        assert run(StreamTap(hide_usage=False, hide_continuous=False), pieces) == stream
    tap = StreamTap(hide_usage=True, hide_continuous=True)
    tap.feed(pairs[0][0] + pairs[1][0])
    assert b'"completion_tokens":1' in tap.usage_event


def test_done_is_held_until_the_call_is_settled_and_nothing_follows_it() -> None:
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    assert tap.feed(STOP + DONE) == STOP
    assert tap.done
    assert tap.feed(b"data: more\n\n") == b""
    assert tap.finish() == DONE


def said(text: str, extra: str = "") -> bytes:
    return event(
        f'{{"id":"1","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]{extra}}}'
    )


def test_events_alike_pass_and_the_first_that_differs_is_noticed() -> None:
    tap = StreamTap(hide_usage=True, hide_continuous=False)
    alike = [ROLE, said("a"), said("b"), said("\\n\\n"), said("")]
    assert [tap.feed(piece) for piece in alike] == alike
    failure = event('{"error":{"message":"died"}}')
    assert tap.feed(failure) == failure
    assert tap.upstream_error
    assert tap.feed(STOP) == STOP
    assert tap.finish_reason == "stop"
    assert tap.feed(said("c") + USAGE) == said("c")
    assert b'"prompt_tokens":3' in tap.usage_event
    assert tap.events == 8  # an error delivers nothing
    assert tap.size == sum(map(len, alike[1:])) + len(STOP + said("c") + USAGE)
    assert tap.feed(DONE) == b""
    assert tap.feed(said("late")) == b""


def test_several_in_one_read_are_not_taken_for_one() -> None:
    tap = StreamTap(hide_usage=True, hide_continuous=False)
    for piece in (ROLE, said("a"), said("b")):
        tap.feed(piece)
    events = tap.events
    two = said("c") + said("d")
    assert tap.feed(two) == two
    assert tap.events == events + 2
    hidden = said("e") + event('{"error":{"message":"died"}}') + said("f")
    assert tap.feed(hidden) == hidden
    assert b"died" in tap.upstream_error


def test_events_alike_with_usage_are_stripped_and_remembered() -> None:
    def counted(text: str, tokens: int) -> bytes:
        return said(text, f',"usage":{{"prompt_tokens":7,"completion_tokens":{tokens},"details":{{"x":1}}}}')

    tap = StreamTap(hide_usage=True, hide_continuous=True)
    seen = [
        tap.feed(counted(text, tokens)) for tokens, text in enumerate(["", "a", "b", '\\"usage\\":{', "d"])
    ]
    assert seen == [said(text) for text in ["", "a", "b", '\\"usage\\":{', "d"]]
    assert b'"completion_tokens":4' in tap.usage_event
    kept = said("e", ',"usage":{"completion_tokens":5},"more":{}')
    assert tap.feed(kept) == said("e", ',"more":{}')
    assert b'"completion_tokens":5' in tap.usage_event
    shown = StreamTap(hide_usage=False, hide_continuous=False)
    pieces = [counted(text, tokens) for tokens, text in enumerate("abc")]
    assert [shown.feed(piece) for piece in pieces] == pieces


def test_a_text_that_says_done_is_not_the_end() -> None:
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    text = event('{"choices":[{"delta":{"content":"data: [DONE]"}}]}')
    assert tap.feed(text) == text
    assert not tap.done


def test_an_end_without_its_blank_line_still_ends_the_stream() -> None:
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    assert tap.feed(STOP + b"data: [DONE]") == STOP
    assert tap.finish() == b"data: [DONE]"
    assert tap.done


def test_a_last_event_never_closed_is_passed_on_and_its_usage_read() -> None:
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    assert tap.feed(HELLO + USAGE[:-2]) == HELLO
    assert tap.finish() == USAGE[:-2]
    assert b'"prompt_tokens":3' in tap.usage_event


def test_an_upstreams_error_event_is_noticed_and_passed_on() -> None:
    failure = event('{"error":{"message":"engine died","code":500}}')
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    assert run(tap, [HELLO + failure + DONE]) == HELLO + failure + DONE
    assert event_json(tap.upstream_error) == b'{"error":{"message":"engine died","code":500}}'


def test_comments_and_pings_pass() -> None:
    tap = StreamTap(hide_usage=True, hide_continuous=True)
    stream = b": PROCESSING\n\n" + HELLO + b"event: ping\ndata: {}\n\n" + DONE
    assert run(tap, [stream]) == stream


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("data", [b"{x", b'{"choices":[', b"Internal Server Error", b"<html>", b"{} {"])
def test_an_event_that_is_no_json_is_garbled(data: bytes, newline: bytes) -> None:
    broken = (HELLO + b"data: " + data + b"\n\n" + HELLO).replace(b"\n", newline)
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    tap.feed(ROLE)
    with pytest.raises(UpstreamGarbled):
        tap.feed(broken)
    assert tap.events == 1


@pytest.mark.parametrize(
    "odd",
    [
        b": wait\n\n",
        b"data:\n\n",
        b"event: x\ndata: {}\n\n",
        b"data: {}  \n\n",
        b'data: {"a":\ndata: 1\ndata: }\n\n',
    ],
)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_odd_events_that_are_json_pass(odd: bytes, newline: bytes) -> None:
    stream = (ROLE + odd + HELLO + odd + STOP + DONE).replace(b"\n", newline)
    for pieces in ([stream], [stream[:99], stream[99:]]):
        assert run(StreamTap(hide_usage=False, hide_continuous=False), pieces) == stream


def test_an_event_without_end_does_not_grow_for_ever() -> None:
    tap = StreamTap(hide_usage=False, hide_continuous=False)
    piece = b"data: " + b"x" * (1 << 20)
    passed = sum(len(tap.feed(piece)) for _ in range(12))
    assert passed > 8 << 20


_COUNTED = ',"usage":{"prompt_tokens":7,"completion_tokens":%d,"details":{"x":1}}'
_TEXTS = ["a", "b\\n", '\\"usage\\":{', "data: [DONE]", '\\"', "\\\\", ""]
_EVENTS = [
    ROLE,
    event('{"choices":[{"delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":1}}'),
    event('{"choices":[{"text":"x"}]}'),
    event('{"choices": [{"text": "x"}]}'),
    b": ping\n\n",
    b"event: x\ndata: {}\n\n",
    *(said(text) for text in _TEXTS),
    *(said(text, _COUNTED % tokens) for tokens, text in enumerate(_TEXTS)),
]


@given(
    events=st.lists(st.sampled_from(_EVENTS), max_size=8),
    failure=st.sampled_from(
        [b"", event('{"error":{"message":"died"}}'), event('{"error":null,"choices":[]}')]
    ),
    last=st.sampled_from(
        [
            [STOP, USAGE],
            [STOP, event('{"choices": [], "usage": {"prompt_tokens":3}}')],
            [said("z"), STOP],
            [STOP, said("z")],
        ]
    ),
    end=st.sampled_from([DONE, b""]),
    newline=st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]),
    cuts=st.lists(st.integers(0, 3000), max_size=4),
    hide=st.tuples(st.booleans(), st.booleans()),
)
@settings(max_examples=200, deadline=None)
def test_however_it_is_read_a_stream_is_the_same(
    events: list[bytes],
    failure: bytes,
    last: list[bytes],
    end: bytes,
    newline: bytes,
    cuts: list[int],
    hide: tuple[bool, bool],
) -> None:
    def told(pieces: list[bytes]) -> tuple[object, ...]:
        tap = StreamTap(hide_usage=hide[0], hide_continuous=hide[1])
        out = run(tap, [piece for piece in pieces if piece])
        return out, tap.events, tap.size, tap.usage_event, tap.finish_reason, tap.upstream_error, tap.done

    pieces = [each.replace(b"\n", newline) for each in (ROLE, *events, failure, *last, end)]
    stream = b"".join(pieces)
    at = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    whole = told([stream])
    assert told(pieces) == whole
    assert told([stream[start:stop] for start, stop in pairwise(at)]) == whole


def test_a_line_that_ends_in_a_carriage_return_ends_an_event() -> None:
    tap = StreamTap(hide_usage=True, hide_continuous=False)
    failure = b'data: {"error":{"message":"died"}}\n\n'
    assert tap.feed(b"data: {}\r\r" + failure) == b"data: {}\r\r" + failure
    assert tap.upstream_error == failure
    last = said("a")[:-2] + b"\r\r"
    assert tap.feed(last + USAGE) == last
    assert tap.usage_event == USAGE


def test_framing_helpers() -> None:
    assert data_event(b"{}") == b"data: {}\n\n"
    assert comment("x: 1") == b": x: 1\n\n"
    assert event_json(b"data: {}\n\n") == b"{}"
    assert event_json(b"data: {\rdata: }\n\n") == b"{\n}"
    assert event_json(b"event: a\r\ndata: {\r\ndata: }\r\n\r\n") == b"{\n}"


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_where_events_begin_and_end(blank: bytes) -> None:
    block = b"data: a" + blank + b"data: b" + blank + b"data: c"
    size = 7 + len(blank)
    assert whole_events(block) == 2 * size
    assert whole_events(b"data: c") == 0
    assert [event_bounds(block, at) for at in (3, size + 3, 2 * size + 3)] == [
        (0, size),
        (size, 2 * size),
        (2 * size, len(block)),
    ]


def test_a_shortcut_is_open_only_between_two_events_that_are_known_by_their_ends() -> None:
    tap = StreamTap(hide_usage=False, hide_continuous=True)
    known: list[bool] = []
    for piece in (ROLE, HELLO, HELLO[:20], HELLO[20:], STOP, USAGE, DONE):
        tap.feed(piece)
        known.append(bool(tap.shortcut.prefix))
    assert known == [False, True, False, True, True, True, False]
    tap = StreamTap(hide_usage=False, hide_continuous=True)
    for piece in (ROLE, *(continuous(text, 3)[0] for text in ("a", "b"))):
        tap.feed(piece)
        assert not tap.shortcut.prefix  # what usage an event brings, the tap must remember


def test_usage_that_only_comes_beside_choices_is_told_at_the_end_to_whom_it_was_promised() -> None:
    usage = '"usage":{"prompt_tokens":3,"completion_tokens":2}'
    last = event('{"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],' + usage + "}")
    alone = event('{"id":"1","choices":[],' + usage + "}")
    assert (
        run(StreamTap(hide_usage=False, hide_continuous=True), [ROLE, last, DONE])
        == ROLE + STOP + alone + DONE
    )
    assert run(StreamTap(hide_usage=True, hide_continuous=True), [ROLE, last, DONE]) == ROLE + STOP + DONE
    assert run(StreamTap(hide_usage=False, hide_continuous=False), [ROLE, last, DONE]) == ROLE + last + DONE


def test_continuous_usage_is_hidden_however_it_is_spaced() -> None:
    said = event(
        '{"choices": [{"delta": {"content": "a"}}], "usage": {"completion_tokens": 1, "d": {"x": 0}}}'
    )
    tap = StreamTap(hide_usage=True, hide_continuous=True)
    assert (
        run(tap, [ROLE, said, said, DONE])
        == ROLE + 2 * event('{"choices": [{"delta": {"content": "a"}}]}') + DONE
    )
    assert tap.usage_event == said
