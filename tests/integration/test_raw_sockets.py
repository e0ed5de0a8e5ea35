"""What a hostile or broken client may put on the wire, byte by byte, and the one answer it gets.

Every case runs against a hot route and against an ASGI route of the same server, and against a hot route on a
connection that knows the head of a good request already. `/smuggled` is a request hidden in another one's bytes:
whatever else happens, it must never reach a handler.
"""

import asyncio
import dataclasses
import json
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.edge_server import Calls, connected, serving

MAX_BODY = 4096
INNER = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    send: bytes | tuple[bytes, ...]
    """Pieces are sent 50 ms apart. PATH stands for the route."""
    statuses: tuple[int, ...]
    bodies: tuple[bytes, ...] = ()
    """What handlers read to the end."""
    code: str | None = None


def post(*lines: bytes, body: bytes = b"", version: bytes = b"1.1", host: bytes = b"Host: a\r\n") -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    return b"POST PATH HTTP/" + version + b"\r\n" + host + head + b"\r\n" + body


def chunked(body: bytes, *lines: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


def get(*lines: bytes, host: bytes = b"Host: a\r\n") -> bytes:
    return b"GET PATH HTTP/1.1\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


GOOD = post(b"Content-Length: 3", body=b"abc")
CASES = [
    # Two lengths for one body
    Case(
        name="CL.TE",
        send=post(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + INNER),
        statuses=(400,),
    ),
    Case(
        name="TE.CL",
        send=post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"5c\r\n" + INNER + b"0\r\n\r\n"),
        statuses=(400,),
    ),
    Case(
        name="TE.TE second encoding",
        send=chunked(b"0\r\n\r\n" + INNER, b"Transfer-Encoding: x"),
        statuses=(400,),
    ),
    Case(name="TE xchunked", send=post(b"Transfer-Encoding: xchunked", body=INNER), statuses=(400,)),
    Case(name="TE quoted", send=post(b'Transfer-Encoding: "chunked"', body=INNER), statuses=(400,)),
    Case(name="TE identity", send=post(b"Transfer-Encoding: identity", body=INNER), statuses=(400,)),
    Case(
        name="TE chunked not last",
        send=post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n" + INNER),
        statuses=(400,),
    ),
    Case(
        name="TE gzip, chunked",
        send=post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        statuses=(400,),
    ),
    Case(
        name="TE vertical tab",
        send=post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n" + INNER),
        statuses=(400,),
    ),
    Case(
        name="TE in HTTP/1.0",
        send=post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + INNER, version=b"1.0"),
        statuses=(400,),
    ),
    Case(
        name="TE folded",
        send=post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n" + INNER),
        statuses=(400,),
    ),
    Case(
        name="duplicate CL same",
        send=post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"),
        statuses=(400,),
    ),
    Case(
        name="duplicate CL different",
        send=post(b"Content-Length: 3", b"Content-Length: 40", body=b"abc" + INNER),
        statuses=(400,),
    ),
    Case(name="CL negative", send=post(b"Content-Length: -3", body=INNER), statuses=(400,)),
    Case(name="CL plus", send=post(b"Content-Length: +3", body=b"abc" + INNER), statuses=(400,)),
    Case(name="CL hex", send=post(b"Content-Length: 0x3", body=b"abc" + INNER), statuses=(400,)),
    Case(name="CL list", send=post(b"Content-Length: 3, 3", body=b"abc" + INNER), statuses=(400,)),
    Case(name="CL empty", send=post(b"Content-Length:", body=b"abc" + INNER), statuses=(400,)),
    Case(
        name="CL overflow",
        send=post(b"Content-Length: 18446744073709551619", body=b"abc" + INNER),
        statuses=(400,),
    ),
    # Line ends, folds and control bytes
    Case(name="bare LF throughout", send=b"GET PATH HTTP/1.1\nHost: a\n\n" + INNER, statuses=(400,)),
    Case(name="bare LF after a header", send=b"GET PATH HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", statuses=(400,)),
    Case(name="bare CR in a value", send=get(b"X: y\rz"), statuses=(400,)),
    Case(name="obs-fold", send=get(b"X: y", b" z"), statuses=(400,)),
    Case(name="space before colon", send=get(b"Content-Length : 3"), statuses=(400,)),
    Case(name="space before first header", send=get(host=b" Host: a\r\n"), statuses=(400,)),
    Case(name="NUL in a value", send=get(b"X: a\x00b"), statuses=(400,)),
    Case(name="control byte in a value", send=get(b"X: a\x01b"), statuses=(400,)),
    Case(name="control byte in a name", send=get(b"X\x01: a"), statuses=(400,)),
    Case(name="header without colon", send=get(b"X"), statuses=(400,)),
    Case(
        name="control byte in the target", send=b"GET PATH\x01 HTTP/1.1\r\nHost: a\r\n\r\n", statuses=(400,)
    ),
    # Whose request is it?
    Case(name="missing Host", send=get(host=b""), statuses=(400,), code="missing_host"),
    Case(name="two Hosts", send=get(b"Host: b"), statuses=(400,), code="duplicate_host"),
    Case(
        name="two Authorization headers",
        send=get(b"Authorization: Bearer a", b"authorization: Bearer b"),
        statuses=(400,),
        code="duplicate_authorization",
    ),
    Case(name="two equal Hosts", send=get(b"Host: a"), statuses=(400,), code="duplicate_host"),
    Case(name="empty Host", send=get(host=b"Host:\r\n"), statuses=(400,), code="invalid_host"),
    Case(name="list of Hosts", send=get(host=b"Host: a, b\r\n"), statuses=(400,), code="invalid_host"),
    Case(name="Host with a path", send=get(host=b"Host: a/b\r\n"), statuses=(400,), code="invalid_host"),
    Case(
        name="absolute target, other host",
        send=b"GET http://bPATH HTTP/1.1\r\nHost: a\r\n\r\n",
        statuses=(400,),
        code="invalid_host",
    ),
    Case(
        name="absolute target, same host",
        send=b"GET http://aPATH HTTP/1.1\r\nHost: a\r\n\r\n",
        statuses=(200,),
        bodies=(b"",),
    ),
    Case(name="asterisk target", send=b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", statuses=(400,)),
    # Chunk framing
    Case(name="bad chunk size", send=chunked(b"zz\r\nabc\r\n0\r\n\r\n" + INNER), statuses=(400,)),
    Case(name="chunk size 0x", send=chunked(b"0x3\r\nabc\r\n0\r\n\r\n" + INNER), statuses=(400,)),
    Case(name="chunk size negative", send=chunked(b"-3\r\nabc\r\n0\r\n\r\n" + INNER), statuses=(400,)),
    Case(
        name="chunk size overflow",
        send=chunked(b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n" + INNER),
        statuses=(400,),
    ),
    Case(name="missing chunk CRLF", send=chunked(b"3\r\nabcX0\r\n\r\n" + INNER), statuses=(400,)),
    Case(name="chunk size ends in LF", send=chunked(b"3\nabc\r\n0\r\n\r\n" + INNER), statuses=(400,)),
    Case(name="LF in a chunk extension", send=chunked(b"3;a\nb\r\nabc\r\n0\r\n\r\n"), statuses=(400,)),
    Case(
        name="bad framing in a later read",
        send=(chunked(b"3\r\nabc\r\n"), b"zz\r\n" + INNER),
        statuses=(400,),
    ),
    Case(
        name="chunk extension",
        send=chunked(b"3;a=b\r\nabc\r\n0\r\n\r\n"),
        statuses=(200,),
        bodies=(b"abc",),
    ),
    Case(
        name="chunk extension huge",
        send=(chunked(b"3;"), b"a" * 100_000, b"a" * 100_000, b"\r\nabc\r\n0\r\n\r\n" + INNER),
        statuses=(400,),
        code="invalid_framing",
    ),
    Case(
        name="trailers",
        send=chunked(b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\nHost: b\r\n\r\n"),
        statuses=(200,),
        bodies=(b"abc",),
    ),
    Case(
        name="a length among the trailers",
        send=chunked(b"3\r\nabc\r\n0\r\nContent-Length: 36\r\n\r\n" + INNER),
        statuses=(400,),
    ),
    Case(
        name="too many trailers",
        send=chunked(b"3\r\nabc\r\n0\r\n" + b"X: 1\r\n" * 101 + b"\r\n" + INNER),
        statuses=(431,),
    ),
    # Too much
    Case(name="too many headers", send=get(*[b"X: 1"] * 100), statuses=(431,), code="headers_too_large"),
    Case(name="huge header", send=get(b"X: " + b"a" * 70_000), statuses=(431,), code="headers_too_large"),
    Case(
        name="huge header, never ended",
        send=(b"GET PATH HTTP/1.1\r\nHost: a\r\nX: ", b"a" * 70_000, b"a" * 70_000),
        statuses=(431,),
    ),
    Case(
        name="huge request line",
        send=b"GET PATH?" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        statuses=(414,),
        code="uri_too_long",
    ),
    Case(
        name="huge request line, never ended",
        send=(b"GET PATH?", b"a" * 9_000, b"a" * 9_000),
        statuses=(414,),
    ),
    Case(
        name="declared body over the cap",
        send=post(b"Content-Length: %d" % (MAX_BODY + 1)),
        statuses=(413,),
        code="request_too_large",
    ),
    Case(
        name="chunked body over the cap",
        send=(chunked(b"1000\r\n" + b"a" * 4096 + b"\r\n"), b"3\r\nabc\r\n0\r\n\r\n" + INNER),
        statuses=(413,),
        code="request_too_large",
    ),
    Case(
        name="body at the cap",
        send=post(b"Content-Length: 4096", body=b"a" * 4096),
        statuses=(200,),
        bodies=(b"a" * 4096,),
    ),
    # Too slow
    Case(name="slow header", send=b"GET PATH HTTP/1.1\r\nHost: a\r\nX: ", statuses=(408,)),
    Case(
        name="slow header, dripping",
        send=(b"GET PATH HTTP/1.1\r\nHost: a\r\n", *[b"X: 1\r\n"] * 14),
        statuses=(408,),
        code="request_timeout",
    ),
    Case(name="slow body", send=post(b"Content-Length: 10", body=b"abc"), statuses=(408,)),
    Case(
        name="slow body, dripping",
        send=(post(b"Content-Length: 30"), *[b"a"] * 14),
        statuses=(408,),
        code="request_timeout",
    ),
    Case(name="slow chunked body", send=chunked(b"3\r\nab"), statuses=(408,)),
    Case(name="nothing sent", send=b"", statuses=()),
    # Not this protocol
    Case(name="HTTP/0.9", send=b"GET PATH\r\n\r\n", statuses=(505,), code="invalid_version"),
    Case(name="HTTP/2.0", send=b"GET PATH HTTP/2.0\r\nHost: a\r\n\r\n", statuses=(505,)),
    Case(name="HTTP/1.2", send=b"GET PATH HTTP/1.2\r\nHost: a\r\n\r\n", statuses=(400,)),
    Case(name="HTTP/2 preface", send=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", statuses=(400,)),
    Case(name="TLS hello", send=b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", statuses=(400,)),
    Case(name="unknown method", send=b"BREW PATH HTTP/1.1\r\nHost: a\r\n\r\n" + INNER, statuses=(405,)),
    Case(name="CONNECT", send=b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" + INNER, statuses=(405,)),
    Case(name="lower-case method", send=b"get PATH HTTP/1.1\r\nHost: a\r\n\r\n" + INNER, statuses=(405,)),
    Case(name="RTSP", send=b"DESCRIBE PATH RTSP/1.0\r\nHost: a\r\n\r\n", statuses=(405,)),
    # One connection, several requests
    Case(name="pipelined two good", send=GOOD + GOOD, statuses=(200, 200), bodies=(b"abc", b"abc")),
    Case(
        name="pipelined good and bad",
        send=GOOD + get(b"X : y") + INNER,
        statuses=(200, 400),
        bodies=(b"abc",),
    ),
    Case(
        name="pipelined good and unfinished",
        send=GOOD + b"GET PATH HTTP/1.1\r\nHost:",
        statuses=(200, 408),
        bodies=(b"abc",),
    ),
    Case(
        name="data after connection: close",
        send=post(b"Content-Length: 3", b"Connection: close", body=b"abc" + INNER),
        statuses=(200,),
        bodies=(b"abc",),
    ),
    Case(
        name="data after HTTP/1.0",
        send=post(b"Content-Length: 3", version=b"1.0", body=b"abc" + INNER),
        statuses=(200,),
        bodies=(b"abc",),
    ),
    Case(
        name="upgrade offer with a body",
        send=post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 3", body=b"abc"),
        statuses=(200,),
        bodies=(b"abc",),
    ),
    Case(
        name="upgrade offer with a slow body",
        send=(post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 6", body=b"abc"), b"def"),
        statuses=(200,),
        bodies=(b"abcdef",),
    ),
    Case(
        name="websocket where none is spoken",
        send=get(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x"),
        statuses=(200,),
        bodies=(b"",),
    ),
    Case(
        name="expect-continue",
        send=(post(b"Content-Length: 3", b"Expect: 100-continue"), b"abc"),
        statuses=(100, 200),
        bodies=(b"abc",),
    ),
    Case(
        name="expect-continue over the cap",
        send=post(b"Content-Length: 5000", b"Expect: 100-continue"),
        statuses=(413,),
    ),
]


def answers(raw: bytes) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """Every response in what a connection sent back."""
    found: list[tuple[int, dict[bytes, bytes], bytes]] = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines[1:])
        length = int(headers.get(b"content-length", b"0"))
        found.append((int(lines[0].split(b" ")[1]), headers, raw[:length]))
        raw = raw[length:]
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncGenerator[tuple[int, Calls]]:
    calls = Calls()
    routes = {(method, "/hot"): calls.echo for method in ("GET", "POST")}
    async with serving(
        routes,
        app=calls.asgi,
        max_body=MAX_BODY,
        header_timeout=0.5,
        body_timeout=0.5,
        keepalive_timeout=0.2,
    ) as (port, _):
        yield port, calls


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "known"),
    [(b"/hot", False), (b"/asgi", False), (b"/hot", True)],
    ids=["hot", "asgi", "known"],
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_case(case: Case, path: bytes, known: bool, server: tuple[int, Calls]) -> None:
    port, calls = server
    pieces = (case.send,) if isinstance(case.send, bytes) else case.send
    async with connected(port) as client:
        for _ in range(2 if known else 0):
            await client.send(GOOD.replace(b"PATH", path))
            assert (await client.response())[0] == 200
        calls.served.clear()
        calls.bodies.clear()
        for piece in pieces:
            await client.send(piece.replace(b"PATH", path))
            if len(pieces) > 1:
                await asyncio.sleep(0.05)
        found = answers(await client.rest())
    assert tuple(status for status, _, _ in found) == case.statuses
    assert "/smuggled" not in calls.served
    assert tuple(calls.bodies) == case.bodies
    if found and found[-1][0] >= 400:
        _, headers, body = found[-1]
        error = json.loads(body)["error"]
        assert error["type"] == "invalid_request_error"
        assert case.code in (None, error["code"])
        assert headers[b"connection"] == b"close"
        assert headers[b"x-request-id"] == b"made-here"
