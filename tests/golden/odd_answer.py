"""An odd answer, and what has to be heard of it."""

from typing import Any

from msgspec import Struct

from inference.ir.completion import Finish


class Odd(Struct, frozen=True, kw_only=True):
    """`answer` is a whole one, `events` are those of a stream. `calls` are names and arguments."""

    why: str
    wire: str
    answer: dict[str, Any] | None = None
    events: list[Any] | None = None
    text: str = ""
    thought: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    finish: Finish = Finish.STOP
    input: int | None = None
    output: int | None = None
