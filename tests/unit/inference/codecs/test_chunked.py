"""A whole chunk is known by its first bytes; a read is taken for one only where the parser then stands between two."""

from itertools import pairwise

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.codecs.chunked import START, chunk_shape, is_one_chunk


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("start", "shape"),
    [
        (b"10\r\nd", (22, 4)),
        (b"fF\r\nd", (261, 4)),
        (b"fff\r\n", (4102, 5)),
        (b"05\r\nd", (11, 4)),
        (b"04\r\nd", (0, 0)),  # shorter than what is looked at
        (b"5\r\nab", (0, 0)),
        (b"0\r\n\r\n", (0, 0)),
        (b"1000\r", (0, 0)),
        (b"10;a\r", (0, 0)),
        (b"10 \r\n", (0, 0)),
        (b"+1\r\nd", (0, 0)),
        (b"1_0\r\n", (0, 0)),
        (b"-1\r\nd", (0, 0)),
        (b"10\n\nd", (0, 0)),
        (b"data:", (0, 0)),
        (b"", (0, 0)),
    ],
)
def test_what_a_beginning_says(start: bytes, shape: tuple[int, int]) -> None:
    assert chunk_shape(start) == shape


class Parsed:
    """What a parser finds in each read."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def read(self, data: bytes) -> list[bytes]:
        self.pieces.clear()
        self.parser.feed_data(data)
        return list(self.pieces)


# Bodies that look like frames themselves, whole or in part, and so do pieces of them.
_framelike = st.sampled_from(
    [b"10\r\n", b"\r\n", b"05\r\n", b"0123456789abcdef", b"a", b"0\r\n\r\n", b"5;x\r\n"]
)
_body = st.lists(_framelike, min_size=1, max_size=12).map(b"".join)


@given(bodies=st.lists(_body, min_size=1, max_size=5), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_after_one_chunk_the_parser_stands_between_two(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(chunk(body) for body in bodies)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    parsed = Parsed()
    whole = set[int]()
    at = 0
    for body in bodies:
        at += len(chunk(body))
        whole.add(at)
    for begin, end in pairwise(edges):
        read = stream[begin:end]
        pieces = parsed.read(read)
        if len(pieces) == 1 and is_one_chunk(read, pieces[0]):
            assert end in whole
            assert begin in whole | {0}


@given(body=_body.filter(lambda body: len(body) >= START and 16 <= len(body) < 4096))
def test_a_chunk_in_one_read_is_known_unless_its_data_begins_like_it(body: bytes) -> None:
    read = chunk(body)
    assert is_one_chunk(read, body) is not body.startswith(read[:START])


def test_what_only_looks_like_a_chunk_is_none() -> None:
    body = b"0123456789abcdef"
    assert not is_one_chunk(chunk(body) + b"1", body)
    assert not is_one_chunk(chunk(body)[:-1] + b"x", body)
    assert not is_one_chunk(chunk(body), b"f123456789abcdef")


def test_a_piece_that_repeats_the_frame_is_not_taken_for_its_data() -> None:
    """It lay at the read's beginning, and the parser is in the middle of the next chunk."""
    read = b"12\r\n" * 6
    parsed = Parsed()
    assert parsed.read(b"14\r\nab") == [b"ab"]
    assert parsed.read(read) == [read[4:-2]]
    assert not is_one_chunk(read, read[4:-2])
    assert parsed.read(b"x" * 18) == [b"x" * 18]
