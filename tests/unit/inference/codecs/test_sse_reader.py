"""Events are the same however the network cut them, and whichever line end the server likes."""

import pytest

from inference.codecs.sse_reader import SseReader

STREAM = (
    b"\xef\xbb\xbf: hello\n\n"
    b'event: first\ndata: {"a":1}\n\n'
    b"data:x\ndata: y\nid: 7\nretry: 5\n\n"
    b"event: nothing\n\n"
    b"data: \xf0\x9f\x98\x80\n\n"
    b"data\n\n"
)
EVENTS = [(b"first", b'{"a":1}'), (b"", b"x\ny"), (b"", "😀".encode()), (b"", b"")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_cut_at_every_byte_and_with_every_line_end(end: bytes) -> None:
    stream = STREAM.replace(b"\n", end)
    for cut in range(len(stream) + 1):
        reader = SseReader()
        assert reader.feed(stream[:cut]) + reader.feed(stream[cut:]) + reader.finish() == EVENTS
    reader = SseReader()
    found = [event for at in range(len(stream)) for event in reader.feed(stream[at : at + 1])]
    assert found + reader.finish() == EVENTS


def test_an_event_that_was_never_closed_comes_at_the_end() -> None:
    reader = SseReader()
    assert reader.feed(b"data: a\n\ndata: b") == [(b"", b"a")]
    assert reader.finish() == [(b"", b"b")]
    assert reader.finish() == []
