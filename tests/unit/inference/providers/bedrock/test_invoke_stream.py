"""Streams of Claude by InvokeModel made by hand: what recordings do not show."""

import base64
import json

import pytest

from inference.ir.errors import UpstreamGarbled, UpstreamRateLimited
from inference.ir.events import Failed, TextDelta
from inference.providers.bedrock.invoke_stream import ClaudeStream, InvokeTap
from tests.anthropic_peer import ended, started, text
from tests.aws_messages import event


def framed(*pieces: bytes) -> bytes:
    """Anthropic's events as AWS sends them."""
    events = b"".join(pieces).split(b"\n\n")[:-1]
    return b"".join(chunk(each.partition(b"\ndata: ")[2]) for each in events)


def chunk(data: bytes) -> bytes:
    return event("chunk", json.dumps({"bytes": base64.b64encode(data).decode(), "p": "abcdef"}).encode())


def test_events_are_taken_out() -> None:
    whole = (started(), text(0, "Hel", "lo"), ended())
    tap = InvokeTap()
    said = tap.feed(framed(*whole)) + tap.finish()
    assert said == b"".join(whole)
    assert (tap.done, tap.finish_reason, tap.usage().output_tokens) == (True, "end_turn", 7)
    assert tap.feed(framed(*whole)) == b""


def test_events_of_other_types_and_line_breaks() -> None:
    tap = InvokeTap()
    assert tap.feed(event("initial-response", b"{}")) == b""
    assert tap.feed(chunk(b'{\n "type": "ping"\n}')) == b'event: ping\ndata: {"type":"ping"}\n\n'


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("throttlingException", "rate_limit_error"),
        ("serviceUnavailableException", "overloaded_error"),
        ("modelStreamErrorException", "api_error"),
        ("validationException", "invalid_request_error"),
        ("brandNewException", "api_error"),
    ],
)
def test_an_exception_is_an_error_event(kind: str, told: str) -> None:
    tap = InvokeTap()
    out = tap.feed(framed(started()) + event(kind, b'{"message":"No more."}', "exception"))
    error = json.loads(out.partition(b"event: error\ndata: ")[2])
    assert error["type"] == "error"
    assert error["error"]["type"] == told
    assert "No more." in error["error"]["message"]
    assert tap.upstream_error
    assert not tap.done


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b'{"bytes":"not base64"}',
        b'{"bytes":"e30="}',
        json.dumps({"bytes": base64.b64encode(b'{"type":"a\\nb"}').decode()}).encode(),
        b"[]",
    ],
)
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        InvokeTap().feed(event("chunk", payload))


def test_the_first_message_tells_which_format_it_is() -> None:
    invoked = ClaudeStream()
    events = list(invoked.feed(framed(started(), text(0, "Hi"), ended())))
    assert "".join(each.text for each in events if isinstance(each, TextDelta)) == "Hi"
    assert invoked.complete
    conversed = ClaudeStream()
    said = b"".join(
        (
            event("messageStart", b'{"role":"assistant"}'),
            event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"Hi"}}'),
            event("messageStop", b'{"stopReason":"end_turn"}'),
            event("metadata", b'{"usage":{"inputTokens":1,"outputTokens":1}}'),
        )
    )
    events = [found for at in range(len(said)) for found in conversed.feed(said[at : at + 1])]
    assert [each.text for each in events if isinstance(each, TextDelta)] == ["Hi"]
    assert conversed.complete


def test_a_stream_that_ends_too_early() -> None:
    for begun in (b"", framed(started())[:-3], framed(started(), text(0, "Hel"))):
        parser = ClaudeStream()
        parser.feed(begun)
        with pytest.raises(UpstreamGarbled):
            parser.finish()


def test_an_exception_in_a_stream_that_is_translated() -> None:
    parser = ClaudeStream()
    stream = framed(started()) + event("throttlingException", b'{"message":"No more."}', "exception")
    (failed,) = [each for each in parser.feed(stream) if isinstance(each, Failed)]
    assert isinstance(failed.error, UpstreamRateLimited)
