"""The fetcher over a resolver and a connector that a test holds: whatever is refused, no packet leaves."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.media.fetcher import Fetcher, Limits, Reader, Writer
from inference.ir.errors import InvalidField

OPEN = "93.184.216.34"
OK = b"HTTP/1.1 200 OK\r\ncontent-type: image/png; q=1\r\ncontent-length: 3\r\n\r\nabc"


class Net:
    """An internet of one test: names, and what each address answers."""

    def __init__(self, names: dict[str, list[str]], answers: dict[str, bytes]) -> None:
        self.names = names
        self.answers = answers
        self.visited: list[tuple[str, int, str | None]] = []
        self.asked: list[bytes] = []
        self.resolved: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append(host)
        if host not in self.names:
            raise OSError("no such host")
        return self.names[host]

    async def connect(self, address: str, port: int, name: str | None) -> tuple[Reader, Writer]:
        self.visited.append((address, port, name))
        if address not in self.answers:
            raise ConnectionRefusedError
        return _Lines(self.answers[address]), _Pen(self.asked)

    def fetcher(self, limits: Limits | None = None) -> Fetcher:
        return Fetcher(resolve=self.resolve, connect=self.connect, limits=limits)


class _Lines:
    def __init__(self, answer: bytes) -> None:
        self._left = answer

    async def read(self, most: int, /) -> bytes:
        piece, self._left = self._left[:7], self._left[7:]
        return piece


class _Pen:
    def __init__(self, asked: list[bytes]) -> None:
        self._asked = asked

    def write(self, data: bytes, /) -> None:
        self._asked.append(data)

    def close(self) -> None: ...


async def test_it_brings_what_is_there_from_the_address_that_was_judged() -> None:
    net = Net({"example.com": [OPEN]}, {OPEN: OK})
    fetched = await net.fetcher().fetch("https://example.com/cat.png?x=1", param="p")
    assert (fetched.data, fetched.content_type) == (b"abc", "image/png")
    assert net.visited == [(OPEN, 443, "example.com")]
    assert net.asked[0].startswith(b"GET /cat.png?x=1 HTTP/1.1\r\nhost: example.com\r\n")
    assert net.resolved == ["example.com"]


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["169.254.169.254"], [OPEN, "10.0.0.1"], ["::ffff:10.0.0.1"], []]
)
async def test_a_name_with_any_address_inside_is_refused_before_a_packet_leaves(addresses: list[str]) -> None:
    net = Net({"evil.example": addresses}, dict.fromkeys(addresses, OK))
    with pytest.raises(InvalidField) as caught:
        await net.fetcher().fetch("http://evil.example/", param="p")
    assert caught.value.code == "media_url_refused"
    assert net.visited == []


async def test_a_redirect_is_judged_anew() -> None:
    inside = b"HTTP/1.1 302 Found\r\nlocation: http://metadata.example/latest\r\ncontent-length: 0\r\n\r\n"
    net = Net({"example.com": [OPEN], "metadata.example": ["169.254.169.254"]}, {OPEN: inside})
    with pytest.raises(InvalidField) as caught:
        await net.fetcher().fetch("http://example.com/", param="p")
    assert caught.value.code == "media_url_refused"
    assert [address for address, _, _ in net.visited] == [OPEN]
    to_file = b"HTTP/1.1 301 Moved\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n"
    with pytest.raises(InvalidField) as caught:
        await Net({"example.com": [OPEN]}, {OPEN: to_file}).fetcher().fetch("http://example.com/", param="p")
    assert caught.value.code == "invalid_media_url"


async def test_a_redirect_within_the_open_internet_is_followed_but_not_for_ever() -> None:
    second = "1.1.1.1"
    moved = b"HTTP/1.1 307 X\r\nlocation: https://other.example/b\r\ncontent-length: 4\r\n\r\ngone"
    net = Net({"example.com": [OPEN], "other.example": [second]}, {OPEN: moved, second: OK})
    assert (await net.fetcher().fetch("http://example.com/a", param="p")).data == b"abc"
    round_and_round = b"HTTP/1.1 302 X\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n"
    loop = Net({"example.com": [OPEN]}, {OPEN: round_and_round})
    with pytest.raises(InvalidField) as caught:
        await loop.fetcher().fetch("http://example.com/a", param="p")
    assert caught.value.code == "media_unreachable"
    assert len(loop.visited) == Limits().redirects + 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n", "media_too_large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 4000, "media_too_large"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfa0\r\n" + b"x" * 4000, "media_too_large"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "media_unreachable"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "media_unreachable"),
        (b"SSH-2.0-OpenSSH\r\n", "media_unreachable"),
        (b"", "media_unreachable"),
    ],
)
async def test_what_goes_wrong_has_its_own_name(answer: bytes, code: str) -> None:
    net = Net({"example.com": [OPEN]}, {OPEN: answer})
    with pytest.raises(InvalidField) as caught:
        await net.fetcher(Limits(size=1000)).fetch("http://example.com/?token=secret", param="p")
    assert caught.value.code == code
    assert "secret" not in caught.value.message


async def test_without_a_length_the_closed_connection_is_the_end() -> None:
    net = Net({"example.com": [OPEN]}, {OPEN: b"HTTP/1.1 200 OK\r\n\r\nabc"})
    assert (await net.fetcher().fetch("http://example.com/", param="p")).data == b"abc"


async def test_who_does_not_answer_is_not_waited_for() -> None:
    async def never(address: str, port: int, name: str | None) -> tuple[Reader, Writer]:
        await asyncio.sleep(60)
        raise AssertionError

    net = Net({"example.com": [OPEN]}, {})
    fetcher = Fetcher(resolve=net.resolve, connect=never, limits=Limits(seconds=0.05))
    with pytest.raises(InvalidField) as caught:
        await fetcher.fetch("http://example.com/", param="p")
    assert caught.value.code == "media_timeout"


async def test_numbers_in_disguise_go_through_the_real_resolver_and_no_further() -> None:
    net = Net({}, {})
    fetcher = Fetcher(connect=net.connect)
    for host in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "[::1]", "[::ffff:7f00:1]"):
        with pytest.raises(InvalidField) as caught:
            await fetcher.fetch(f"http://{host}/", param="p")
        assert caught.value.code == "media_url_refused"
    assert net.visited == []


async def test_what_is_wrong_with_an_address_is_a_sentence() -> None:
    net = Net({"big.example": [OPEN]}, {OPEN: b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"})
    for url, words in (
        (
            "http://nobody.example/",
            "The address in `p` names a host that nobody knows. Give another, or send",
        ),
        ("http://big.example/", "The address in `p` holds more than 20 MiB. Give another, or send"),
    ):
        with pytest.raises(InvalidField) as caught:
            await net.fetcher().fetch(url, param="p")
        assert caught.value.message.startswith(words)
