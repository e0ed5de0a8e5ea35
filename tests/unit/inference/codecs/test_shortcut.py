"""What a shortcut takes, and what it leaves to the long way."""

import pytest

from inference.codecs.shortcut import Shortcut

PREFIX = b'data: {"choices":[{"delta":{"content":"'
SUFFIX = b'"},"finish_reason":null}]}\n\n'


class Socket:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes, /) -> None:
        self.written.append(data)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def shortcut_to(socket: Socket) -> Shortcut:
    made = Shortcut()
    made.out, made.prefix, made.suffix = socket, PREFIX, SUFFIX
    return made


def test_an_event_like_the_last_goes_out_as_it_came_and_is_counted() -> None:
    socket = Socket()
    shortcut = shortcut_to(socket)
    event = PREFIX + b"words" + SUFFIX
    assert shortcut.take(chunk(event))
    assert shortcut.take(chunk(PREFIX + SUFFIX))
    assert socket.written == [chunk(event), chunk(PREFIX + SUFFIX)]
    assert (shortcut.events, shortcut.size) == (2, 2 * len(PREFIX + SUFFIX) + len(b"words"))


KNOWN = PREFIX + b"a" + SUFFIX


@pytest.mark.parametrize(
    "read",
    [
        KNOWN,  # no chunk
        chunk(KNOWN)[:-1],
        chunk(KNOWN)[:-2] + b"xx",
        chunk(KNOWN) + chunk(KNOWN),
        chunk(KNOWN + KNOWN),
        chunk(PREFIX + b"a\n\n" + SUFFIX),
        chunk(PREFIX + b'a"},"finish_reason":"stop"}]}\n\n'),
        chunk(b'data: {"error":{"message":"gone"}}\n\n'),
        chunk(b"data: [DONE]\n\n"),
        b"0\r\n\r\n",
        b"",
    ],
)
def test_anything_else_is_left_alone(read: bytes) -> None:
    socket = Socket()
    shortcut = shortcut_to(socket)
    assert not shortcut.take(read)
    assert (socket.written, shortcut.events, shortcut.size) == ([], 0, 0)


def test_nothing_is_taken_while_nobody_may_be_written_to_or_nothing_is_known() -> None:
    socket = Socket()
    shortcut = shortcut_to(socket)
    shortcut.out = None
    assert not shortcut.take(chunk(KNOWN))
    shortcut.out, shortcut.prefix = socket, b""
    assert not shortcut.take(chunk(KNOWN))
    assert not socket.written


def test_past_the_limit_the_long_way_is_taken() -> None:
    shortcut = shortcut_to(Socket())
    shortcut.limit = len(KNOWN)
    assert [shortcut.take(chunk(KNOWN)) for _ in range(4)] == [True, True, False, False]
    shortcut.limit = 2 * len(KNOWN)
    assert shortcut.take(chunk(KNOWN))
