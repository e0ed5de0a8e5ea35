"""Logs: JSON lines, written whole, and never what an exception says or held."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from gateway.logs import LineWriter, configure_logs


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_json_object_a_line(tmp_path: Path) -> None:
    writer = configure_logs(level="info", file=tmp_path / "logs" / "x.log")
    log = structlog.get_logger("t")
    log.debug("hidden")
    log.info("shown", number=1, text="é\n")
    writer.close()
    (line,) = lines(tmp_path / "logs" / "x.log")
    assert (line["event"], line["level"], line["number"], line["text"]) == ("shown", "info", 1, "é\n")
    assert str(line["timestamp"]).endswith("Z")


def fail(secret: str) -> None:
    prompt = "prompt " + secret
    raise ValueError(prompt)


def test_an_exception_is_its_type_and_places_only(tmp_path: Path) -> None:
    writer = configure_logs(level="info", file=tmp_path / "x.log")
    log = structlog.get_logger("t")
    try:
        fail("canary-1")
    except ValueError as error:
        log.exception("failed")
        log.error("failed", exc_info=error)
        logging.getLogger("library").error("library failed", exc_info=True)
    writer.close()
    written = lines(tmp_path / "x.log")
    assert [line["exception"] for line in written] == ["ValueError"] * 3
    assert all("test_logs.py" in str(line["trace"]) for line in written)
    assert "canary" not in (tmp_path / "x.log").read_text()


def test_a_full_disk_loses_lines_not_requests(capsys: pytest.CaptureFixture[str]) -> None:
    class Full(io.RawIOBase):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    writer = LineWriter(Full())  # pyright: ignore[reportArgumentType]  # only write and flush are used
    writer.write(b"{}\n")
    writer.close()
    assert "log lines lost" in capsys.readouterr().err


async def test_lines_are_written_soon_whether_or_not_there_were_some_just_before(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    writer = LineWriter(path.open("ab"), owned=True)
    try:
        for number in range(3):
            line = b"%d\n" % number
            writer.write(line)
            async with asyncio.timeout(10):
                while not path.read_bytes().endswith(line):
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.25 if number else 0)  # asleep for good, or about to look again
    finally:
        writer.close()
    assert path.read_bytes() == b"0\n1\n2\n"
