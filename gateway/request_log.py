"""The log line of each request: its usage record as JSON, framed by what a log needs. Never a body or a secret.

The record is encoded once, for the journal; its bytes are the log line too. structlog writes everything
else, in the same form and to the same place.
"""

import logging
import time
from collections.abc import Callable

import msgspec
import structlog

from gateway.call import Call
from inference.ir.errors import AspendosError, ClientError

Write = Callable[[bytes], object]
_SECOND = 1_000_000_000
_encode = msgspec.json.Encoder().encode


class RequestLog:
    """Writes one line a request with `write`, which must not block; quiet below `level` (logging's numbers)."""

    def __init__(self, write: Write, *, level: int = logging.INFO) -> None:
        self._write = write
        self._informs, self._warns = level <= logging.INFO, level <= logging.WARNING
        self._second = 0
        self._info = self._warning = b""
        self._log = structlog.stdlib.get_logger("request")

    def settled(self, call: Call, record: bytes, error: AspendosError | None) -> None:
        """A request with a usage record, given as JSON."""
        ours = error is None or isinstance(error, ClientError)
        if not (self._informs if ours else self._warns):
            return
        now = time.time_ns()
        if now // _SECOND != self._second:
            self._begin(now // _SECOND)
        # The record is a JSON object: its fields follow ours once its brace is taken off.
        self._write(
            b'%b.%06dZ","request_id":"%b","peer":"%b"%b,%b\n'
            % (
                self._info if ours else self._warning,
                now // 1000 % 1_000_000,
                call.id.encode(),
                call.edge.peer.encode(),
                b',"failures":' + _encode(call.failures) if call.failures else b"",
                record[1:],
            )
        )

    def _begin(self, second: int) -> None:
        """How all lines of this second begin: up to the time in ISO 8601, UTC, without what comes after its point."""
        self._second = second
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        self._info = b'{"event":"request","level":"info","timestamp":"%b' % stamp
        self._warning = b'{"event":"request","level":"warning","timestamp":"%b' % stamp

    def rejected(self, call: Call, status: int, code: str | None, duration_us: int) -> None:
        """A request that had no caller, and so has no record."""
        self._log.info(
            "request",
            request_id=call.id,
            peer=call.edge.peer,
            route=call.route,
            status=status,
            error=code,
            duration_us=duration_us,
        )
