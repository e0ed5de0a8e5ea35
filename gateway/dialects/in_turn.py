"""In turn: an answer's events put in such an order that no call is told before the one under way is whole. Pure.

Providers may tell parallel calls in turns, a piece of each at a time. Where a client reads one item after the other,
what belongs to a later one is held back until the call under way has all its arguments, or nothing more can come.
Nothing is left out, and nothing that is held is more than the answer, which whoever writes it keeps anyway.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from inference.ir.events import CallBegan, CallDelta, Ended, Event, Failed, LogProbs

_object = msgspec.json.Decoder(dict[str, Raw])


class InTurn:
    """Follows one answer's only choice; events of other choices pass by, for whoever writes to judge."""

    __slots__ = ("_arguments", "_open", "_waiting")

    def __init__(self) -> None:
        self._open: int | None = None
        """The block of the call under way."""
        self._arguments: list[str] = []
        self._waiting: dict[int, list[Event]] = {}

    def order(self, events: Sequence[Event]) -> Sequence[Event]:
        """What may be told now."""
        if self._open is None and not any(type(event) is CallBegan for event in events):
            return events
        out: list[Event] = []
        held: list[Event] | None = None
        for event in events:
            if type(event) is LogProbs:  # it belongs to the text that stands before it
                (out if held is None else held).append(event)
                continue
            held = self._take(event, out)
        return out

    def rest(self) -> Sequence[Event]:
        """Everything that waits, one call after the other: nothing more will come."""
        out = [event for events in self._waiting.values() for event in events]
        self._waiting = {}
        self._open = None
        return out

    def _take(self, event: Event, out: list[Event]) -> list[Event] | None:
        """Where it is held back; None where it may be told."""
        if isinstance(event, Ended | Failed):
            if not getattr(event, "choice", 0):
                out += self.rest()
            out.append(event)
            return None
        block: int | None = getattr(event, "block", None)
        if block is None or getattr(event, "choice", 0):
            out.append(event)
            return None
        if block != self._open and block not in self._waiting and self._whole():
            self._open = None
        if self._open is not None and block != self._open:
            held = self._waiting.setdefault(block, [])
            held.append(event)
            return held
        self._tell(event, block, out)
        if self._waiting and self._whole():
            self._go_on(out)
        return None

    def _tell(self, event: Event, block: int, out: list[Event]) -> None:
        if type(event) is CallBegan:
            self._open, self._arguments = block, []
        elif type(event) is CallDelta and event.arguments:
            self._arguments.append(event.arguments)
        out.append(event)

    def _go_on(self, out: list[Event]) -> None:
        """What waited for the call that is whole now, up to the first that is not."""
        self._open = None
        while self._waiting and self._open is None:
            block = next(iter(self._waiting))
            for event in self._waiting.pop(block):
                self._tell(event, block, out)
            if self._whole():
                self._open = None

    def _whole(self) -> bool:
        """Whether the call under way, if there is one, has all its arguments: a whole object."""
        if self._open is None:
            return True
        if not self._arguments or not self._arguments[-1].rstrip().endswith("}"):
            return False  # cheap, for the many pieces that end nothing
        try:
            _object.decode("".join(self._arguments))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True
