"""Recorded calls of real providers, read from beside the project; a test that needs them skips where there are none."""

import base64
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw, Struct

RECORDED = Path(__file__).parents[3] / "shared" / "recorded"
_NULL = Raw(b"null")


class _Line(Struct):
    """msgspec keeps a field raw only if it can be nothing else, so an absent one reads as null here."""

    url: str
    status: int
    set: str = ""
    n: int = 0
    stream: bool = False
    headers: dict[str, str] = {}
    request: Raw = _NULL
    request_text: str | None = None
    response: Raw = _NULL
    response_text: str | None = None
    response_b64: str | None = None


class Recorded(Struct, frozen=True, kw_only=True):
    """One call. `request` and `response` are raw JSON where they were JSON, else there is a text, or base64."""

    provider: str
    url: str
    status: int
    set: str
    n: int
    stream: bool
    headers: dict[str, str]
    request: Raw | None
    request_text: str | None
    response: Raw | None
    response_text: str | None
    response_b64: str | None

    @property
    def body(self) -> bytes:
        """The answer's bytes, whichever way they were recorded; empty where they were not."""
        if self.response is not None:
            return bytes(self.response)
        if self.response_b64 is not None:
            return base64.b64decode(self.response_b64)
        return (self.response_text or "").encode()

    @property
    def asked(self) -> bytes:
        """The request's bytes; empty where they were not recorded."""
        return bytes(self.request) if self.request is not None else (self.request_text or "").encode()

    @property
    def label(self) -> str:
        """Names the call in a failure."""
        return f"{self.provider} {self.set} #{self.n} {self.url}"


_line = msgspec.json.Decoder(_Line)


def calls(
    provider: str, *, path_contains: str = "", stream: bool | None = None, status: int | None = None
) -> Iterator[Recorded]:
    """The recorded calls of one provider, in their order; skips the test where there are none to read."""
    file = RECORDED / f"{provider}.jsonl"
    if not file.exists():
        pytest.skip("the recorded provider traffic is not beside the project")
    with file.open("rb") as lines:
        for text in lines:
            line = _line.decode(text)
            if path_contains not in line.url:
                continue
            if (stream is None or line.stream is stream) and status in (None, line.status):
                yield _recorded(provider, line)


def _recorded(provider: str, line: _Line) -> Recorded:
    return Recorded(
        provider=provider,
        url=line.url,
        status=line.status,
        set=line.set,
        n=line.n,
        stream=line.stream,
        headers=line.headers,
        request=None if line.request == _NULL else line.request,
        request_text=line.request_text,
        response=None if line.response == _NULL else line.response,
        response_text=line.response_text,
        response_b64=line.response_b64,
    )


def cuts(stream: bytes, *, every_byte: bool = False, sets: int = 40, seed: int = 7) -> Iterator[list[bytes]]:
    """One stream cut to pieces in many ways: whole, byte by byte, in two at every byte or at sampled ones.

    `every_byte`: in two at each place, for short streams. Else `sets` random sets of up to nine cuts.
    """
    yield [stream]
    yield [stream[at : at + 1] for at in range(len(stream))]
    if every_byte:
        for at in range(1, len(stream)):
            yield [stream[:at], stream[at:]]
        return
    chance = random.Random(seed)
    for _ in range(sets if len(stream) > 1 else 0):
        places = sorted(chance.sample(range(1, len(stream)), min(len(stream) - 1, chance.randint(1, 9))))
        yield [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


def crlf(stream: bytes) -> bytes:
    """The same stream with lines that end in CRLF."""
    return stream.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
