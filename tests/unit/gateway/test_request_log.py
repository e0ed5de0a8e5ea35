"""The line of each request: its record, when it ended and who asked, as one JSON object; quiet below its level."""

import json
import logging
import time
from datetime import UTC, datetime

import pytest

from gateway.call import Call
from gateway.request_log import RequestLog
from inference.ir.errors import AspendosError, InvalidField, UpstreamFailed
from tests.fake_answer import deployment
from tests.fake_edge import FakeEdge

RECORD = b'{"id":"req-1","status":200}'


def line_of(
    log_level: int = logging.INFO, error: AspendosError | None = None, *, failed: bool = False
) -> bytes:
    lines: list[bytes] = []
    call = Call("req-1", "chat", FakeEdge())
    if failed:
        call.attempt_failed(deployment(), UpstreamFailed("no"))
    RequestLog(lines.append, level=log_level).settled(call, RECORD, error)
    return b"".join(lines)


async def test_a_line_is_the_record_and_what_a_log_needs() -> None:
    line = line_of()
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    found = json.loads(line)
    told = datetime.fromisoformat(found.pop("timestamp"))
    assert abs((datetime.now(UTC) - told).total_seconds()) < 60
    assert found == {
        "event": "request",
        "level": "info",
        "request_id": "req-1",
        "peer": "127.0.0.1",
        "id": "req-1",
        "status": 200,
    }


async def test_it_tells_of_the_attempts_that_failed() -> None:
    (failure,) = json.loads(line_of(failed=True))["failures"]
    assert (failure["provider"], failure["code"]) == ("fake", UpstreamFailed("no").code)


async def test_what_is_not_the_clients_fault_is_a_warning_and_others_can_be_left_out() -> None:
    ours, theirs = UpstreamFailed("no"), InvalidField("odd", param="x")
    assert json.loads(line_of(error=ours))["level"] == "warning"
    assert json.loads(line_of(error=theirs))["level"] == "info"
    assert line_of(logging.WARNING, theirs) == line_of(logging.WARNING) == line_of(logging.ERROR, ours) == b""
    assert json.loads(line_of(logging.WARNING, ours))["level"] == "warning"


async def test_each_line_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[bytes] = []
    log = RequestLog(lines.append)
    second = 1_766_103_800
    moments = [second * 10**9 + 1_000, second * 10**9 + 999_999_999, (second + 61) * 10**9, second * 10**9]
    call = Call("req-1", "chat", FakeEdge())
    for moment, error in zip(moments, (None, None, UpstreamFailed("no"), None), strict=True):
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment)
        log.settled(call, RECORD, error)
    assert [json.loads(line)["timestamp"] for line in lines] == [
        "2025-12-19T00:23:20.000001Z",
        "2025-12-19T00:23:20.999999Z",
        "2025-12-19T00:24:21.000000Z",
        "2025-12-19T00:23:20.000000Z",
    ]
