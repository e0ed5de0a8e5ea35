"""A command's answer: printed on standard output, its errors beside it, and nothing else in between."""

import asyncio
import logging
import sys
from collections.abc import Coroutine
from typing import Any

import structlog

from gateway.settings import SettingsError
from inference.ir.errors import AspendosError


def answer(work: Coroutine[Any, Any, str | None], *, name: str = "aspendos") -> int:
    """Do a command's work and print what it gives back. The exit status: 1 where it failed, which one line says."""
    _quiet_logs()
    try:
        text = asyncio.run(work)
    except AspendosError as error:
        print(f"{name}: {error.message}", file=sys.stderr)
        return 1
    except SettingsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    if text is not None:
        print(text)
    return 0


def _quiet_logs() -> None:
    """Standard output is the answer, perhaps read by a program; only warnings go beside it."""
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )


def paged(text: str, more: str | int | None) -> str:
    """A page's text, and how to have the next one where there is one."""
    return text if more is None else f"{text}\nMore: --after {more}"
