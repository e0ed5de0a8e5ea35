"""Logs: one JSON object a line, by structlog, written in batches. No bodies, no secrets, ever."""

import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import structlog

_FLUSH_SECONDS = 0.1


class LineWriter:
    """A file-like sink that gathers lines; a thread of its own writes what has gathered, ten times a second.

    Whoever logs only appends to a list: waking the thread for every line would cost more than the line. It is woken
    for the first after a write, and sleeps where there is none.
    """

    def __init__(self, stream: IO[bytes], *, owned: bool = False) -> None:
        """`owned` streams are closed with the writer."""
        self._stream = stream
        self._owned = owned
        self._lines: list[bytes] = []
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._some = threading.Event()
        self._awaited = True
        """Nobody has woken the thread since it last took what had gathered: a plain attribute is a cheaper question
        than an event is."""
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> int:
        """Queue one line; never blocks on the disk."""
        self._lines.append(line)
        if self._awaited:
            self._awaited = False
            self._some.set()
        return len(line)

    def flush(self) -> None:
        """structlog calls this after every line; the thread does the writing."""

    def sync(self) -> None:
        """Write what has gathered, now and from this thread: the process may be about to end."""
        with self._writing:
            lines, self._lines = self._lines, []
            if not lines:
                return
            try:
                self._stream.write(b"".join(lines))
                self._stream.flush()
            except OSError as error:  # a full disk must not stop the requests that are being logged
                print(f"aspendos: {len(lines)} log lines lost: {error}", file=sys.stderr)

    def close(self) -> None:
        """Write what is queued and stop."""
        self._stop.set()
        self._some.set()
        self._thread.join(timeout=5)
        self.sync()
        if self._owned:
            self._stream.close()

    def _run(self) -> None:
        while self._some.wait() and not self._stop.wait(_FLUSH_SECONDS):
            self._some.clear()
            # Before what has gathered is taken: what comes after that wakes this thread again.
            self._awaited = True
            self.sync()


def level_number(level: str) -> int:
    """logging's number of a level's name."""
    return int(getattr(logging, level.upper()))


def configure_logs(*, level: str, file: Path | None) -> LineWriter:
    """Set up structlog for this process, and route the standard library's warnings into it."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream: IO[bytes] = file.open("ab", buffering=0)
    else:
        stream = sys.stderr.buffer
    writer = LineWriter(stream, owned=file is not None)
    numeric = level_number(level)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _where,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.BytesLoggerFactory(file=writer),  # pyright: ignore[reportArgumentType]  # duck-typed
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=max(numeric, logging.WARNING), force=True)
    return writer


def _where(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception as its type and the places it passed: its text and the locals may hold a prompt or a key."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = cast(tuple[object, BaseException | None, object], error)[1]
    if isinstance(error, BaseException):
        event["exception"] = type(error).__name__
        event["trace"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)[-12:]
        ]
    return event


class _Forward(logging.Handler):
    """Warnings of libraries, as JSON lines like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(
            record.levelno, record.getMessage(), **({"exc_info": record.exc_info} if record.exc_info else {})
        )


def _json(event: object, **_: object) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)
