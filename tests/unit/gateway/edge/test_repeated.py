"""What is known by its bytes is what a parser would have made of them: never more, and never another length."""

import dataclasses
import re

import httptools
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.edge.repeated import DIGITS, LONGEST, Repeated

HEAD = b"POST /e?q HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-A: b\r\n\r\n"


@dataclasses.dataclass
class Message:
    """One request as a parser tells of it."""

    url: bytes = b""
    headers: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list[tuple[bytes, bytes]])
    line: tuple[bytes, str, bool, bool] | None = None
    body: bytes = b""
    whole: bool = False


class Parsed:
    """All that a strict parser makes of some bytes that come on a new connection."""

    def __init__(self, data: bytes) -> None:
        self.messages: list[Message] = []
        self.error = ""
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.error = repr(error)

    def on_message_begin(self) -> None:
        self.messages.append(Message())

    def on_url(self, url: bytes) -> None:
        self.messages[-1].url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.messages[-1].headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        self.messages[-1].line = (
            parser.get_method(),
            parser.get_http_version(),
            parser.should_keep_alive(),
            parser.should_upgrade(),
        )

    def on_body(self, body: bytes) -> None:
        self.messages[-1].body += body

    def on_message_complete(self) -> None:
        self.messages[-1].whole = True


NAMES = st.sampled_from(
    [b"X-A", b"accept", b"Authorization", b"content-lengths", b"X-Content-Length", b"Connection", b"Cookie"]
)
VALUES = st.sampled_from([b"", b"3", b"keep-alive", b"Bearer a.b-c", b"Content-Length: 3", b"a\tb", b"\xff"])
BLANKS = st.sampled_from([b"", b" ", b"\t", b"  "])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Heads with one Content-Length, as a client may write them and as it may not."""
    lines = [
        name + b":" + draw(BLANKS) + value + draw(BLANKS)
        for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))
    ]
    written = draw(
        st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH", b"cOnTeNt-LeNgTh"])
    )
    length = draw(st.sampled_from([b"0", b"3", b"12", b"007"]))
    lines.insert(draw(st.integers(0, len(lines))), written + b":" + draw(BLANKS) + length + draw(BLANKS))
    lines.insert(draw(st.integers(0, len(lines))), b"Host: a")
    start = draw(st.sampled_from([b"", b"\r\n", b"\n"])) + draw(st.sampled_from([b"POST", b"GET", b"PATCH"]))
    return start + b" /e?q=1 HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


ODD_LENGTHS = [
    b"+5",
    b"05",
    b" 5",
    b"5 ",
    b"5\t",
    b"-5",
    b"0x5",
    b"5,5",
    b"5\r\n",
    b"5\r\nContent-Length: 6",
    b"5\r\nTransfer-Encoding: chunked",
    b"",
    b"\r\n",
    "٥".encode(),
    b"\xb2",
    b"5" * 20,
    b"0" * 19 + b"5",
    b"0" * 18 + b"5",
    b"9" * 19,
    b"18446744073709551621",
]
LENGTHS = st.one_of(st.integers(0, 40).map(lambda n: b"%d" % n), st.sampled_from(ODD_LENGTHS))
BEHIND = st.one_of(
    st.binary(max_size=50),
    st.integers(0, 40).map(lambda size: b"x" * size),
    st.integers(0, 12).map(lambda size: b"x" * size + HEAD + b"abc"),
    st.integers(0, 12).map(lambda size: b"x" * size + b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
)


@st.composite
def damage(draw: st.DrawFn, read: bytes) -> bytes:
    """Some of a read, with something put in the place of something."""
    match draw(st.sampled_from(["none", "none", "cut", "put", "change"])):
        case "cut":
            return read[: draw(st.integers(0, len(read)))]
        case "put":
            at = draw(st.integers(0, len(read)))
            return (
                read[:at]
                + draw(st.sampled_from([b" ", b"\r\n", b"\r", b"\n", b"1", b"\0", b":"]))
                + read[at:]
            )
        case "change":
            at = draw(st.integers(0, len(read) - 1))
            return read[:at] + draw(st.binary(min_size=1, max_size=1)) + read[at + 1 :]
        case _:
            return read


def good(head: bytes) -> bool:
    """Whether a strict parser takes a head as the whole beginning of one request that may be followed by others."""
    parsed = Parsed(head)
    first = parsed.messages[0] if parsed.messages else Message()
    return not parsed.error and first.line is not None and first.line[2] and not first.line[3]


@given(head=heads(), length=LENGTHS, behind=BEHIND, data=st.data())
@example(head=HEAD, length=b"5 ", behind=b"abcde", data=None)
def test_what_is_taken_is_what_a_parser_takes(
    head: bytes, length: bytes, behind: bytes, data: st.DataObject | None
) -> None:
    assume(good(head))
    repeated = Repeated.learn(head + b"abc", 65_536)
    if repeated is None:
        return
    place = re.search(rb"(?i)\ncontent-length:[ \t]*([0-9]+)", head)
    assert place is not None
    read = head[: place.start(1)] + length + head[place.end(1) :] + behind
    if data is not None:
        read = data.draw(damage(read))
    found = repeated.match(read)
    if found is None:
        return
    said, start = found
    first = Parsed(head).messages[0]
    whole = Parsed(read)
    size = int(said)
    body, rest = read[start : start + size], read[start + size :]
    told = whole.messages[0]
    assert told.line == first.line
    assert told.url == first.url
    assert told.headers == [
        (name, said if name.lower() == b"content-length" else value) for name, value in first.headers
    ]
    assert told.body == body
    assert told.whole == (len(body) == size)
    if told.whole:
        after = Parsed(rest)
        assert (whole.messages[1:], whole.error) == (after.messages, after.error)
    else:
        assert not whole.error
        assert rest == b""


@given(head=heads(), size=st.integers(0, 10**DIGITS - 1))
def test_a_plain_head_is_known_again_with_any_length(head: bytes, size: int) -> None:
    assume(good(head))
    place = re.search(rb"(?i)\ncontent-length:[ \t]*([0-9]+)\r", head)
    repeated = Repeated.learn(head, 65_536)
    assert (repeated is None) == (place is None or head.startswith(b"\r\n\r\n"))
    if place is not None and repeated is not None:
        again = head[: place.start(1)] + b"%d" % size + head[place.end(1) :]
        assert repeated.match(again + b"abc") == (b"%d" % size, len(again))
        for cut in range(len(again)):
            assert repeated.match(again[:cut]) is None


@pytest.mark.parametrize("length", [odd for odd in ODD_LENGTHS if not re.fullmatch(rb"[0-9]{1,19}", odd)])
def test_odd_lengths_are_the_parsers_to_judge(length: bytes) -> None:
    repeated = Repeated.learn(HEAD + b"abc", 65_536)
    assert repeated is not None
    read = HEAD.replace(b": 3", b": " + length) + b"abcde"
    found = repeated.match(read)
    assert found is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD[:-1],
        HEAD.replace(b"Content-Length: 3\r\n", b""),
        HEAD.replace(b"Content-Length", b"X-Content-Length"),
        HEAD.replace(b": 3", b": 3 "),
        b"\r\n\r\n" + HEAD,
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + HEAD,
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nContent-Length: 3\r\n",
        HEAD.replace(b"X-A: b", b"X-A: " + b"b" * LONGEST),
    ],
)
def test_what_is_not_learnt(data: bytes) -> None:
    assert Repeated.learn(data, 65_536) is None


def test_no_length_makes_a_known_head_larger_than_any_may_be() -> None:
    assert Repeated.learn(HEAD, len(HEAD) + DIGITS) is not None
    for limit in (len(HEAD) + DIGITS - 1, DIGITS, 1, 0):
        assert Repeated.learn(HEAD, limit) is None
