"""AWS's event stream, held against botocore's own reader on messages made here."""

import random
import struct
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from inference.codecs.aws_event_stream import EventStreamReader, Message, read_headers
from inference.ir.errors import UpstreamGarbled
from tests.aws_messages import message

HEADERS = (
    (b"yes", b"\x00", True),
    (b"no", b"\x01", False),
    (b"byte", b"\x02\xff", -1),
    (b"short", b"\x03\x80\x00", -32768),
    (b"int", b"\x04" + (70_000).to_bytes(4, "big"), 70_000),
    (b"long", b"\x05" + (-2).to_bytes(8, "big", signed=True), -2),
    (b"bytes", b"\x06\x00\x03\x00\xff\x01", b"\x00\xff\x01"),
    (b"text", b"\x07\x00\x05ab\xc3\xbcc", "abüc"),
    (b"when", b"\x08" + (1_700_000_000_000).to_bytes(8, "big"), 1_700_000_000_000),
    (b"uuid", b"\x09" + bytes(range(16)), bytes(range(16))),
)


def read(pieces: Iterable[bytes]) -> list[Message]:
    reader = EventStreamReader()
    found = [each for piece in pieces for each in reader.feed(piece)]
    reader.finish()
    return found


ALL_TYPES = message(b'{"a":1}', [(name, value) for name, value, _ in HEADERS])


def test_headers_of_all_types_read_as_botocore_reads_them() -> None:
    (found,) = read([ALL_TYPES])
    assert found.headers == {name.decode(): value for name, _, value in HEADERS}
    assert found.payload == b'{"a":1}'
    buffer: Any = EventStreamBuffer()  # botocore has no types
    buffer.add_data(ALL_TYPES)
    (theirs,) = buffer
    assert (theirs.headers, theirs.payload) == (found.headers, found.payload)


def test_cut_at_every_byte() -> None:
    stream = ALL_TYPES + message(b"") + message(b"x" * 300, [(b":event-type", b"\x07\x00\x01m")])
    whole = read([stream])
    assert len(whole) == 3
    assert read([stream[at : at + 1] for at in range(len(stream))]) == whole
    for at in range(1, len(stream)):
        assert read([stream[:at], stream[at:]]) == whole


@given(st.lists(st.binary(max_size=200), max_size=5), st.randoms())
def test_whatever_is_written_is_read(payloads: list[bytes], chance: random.Random) -> None:
    stream = b"".join(message(each, [(b"n", b"\x07\x00\x01x")]) for each in payloads)
    cuts = sorted(chance.sample(range(len(stream) + 1), min(4, len(stream) + 1)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [each.payload for each in read(pieces)] == payloads


def test_no_flipped_bit_passes() -> None:
    """One bit anywhere changed: never another message, at best one that is never whole."""
    for at in range(len(ALL_TYPES)):
        for bit in range(8):
            broken = bytearray(ALL_TYPES)
            broken[at] ^= 1 << bit
            reader = EventStreamReader()
            with pytest.raises(UpstreamGarbled):
                reader.feed(bytes(broken))


@pytest.mark.parametrize(
    ("total", "headers"), [(15, 0), (0, 0), (20, 5), (0xFFFFFFFF, 0), (200_000, 131_073), (30_000_000, 0)]
)
def test_impossible_lengths_are_refused_at_once(total: int, headers: int) -> None:
    head = struct.pack(">II", total, headers)
    with pytest.raises(UpstreamGarbled, match="impossible length"):
        EventStreamReader().feed(head + struct.pack(">I", crc32(head)))


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05abc",
        b"\x01a",
        b"\x01a\x0a",
        b"\x01a\x07\x00",
        b"\x01a\x07\x00\x05abc",
        b"\x01a\x05\x00\x00",
        b"\x01a\x09\x00",
        b"\x01\xff\x00",
        b"\x01a\x07\x00\x01\xff",
    ],
)
def test_headers_that_do_not_add_up(headers: bytes) -> None:
    with pytest.raises(UpstreamGarbled, match="headers"):
        read_headers(headers)


def test_an_end_within_a_message() -> None:
    reader = EventStreamReader()
    assert list(reader.feed(ALL_TYPES[:-1])) == []
    with pytest.raises(UpstreamGarbled, match="within an event"):
        reader.finish()
