"""Delivery: how much of a stream has left for its client, by marks made now and then; refuses to know what it costs.

A client that hangs up has not had what still waited for it here. How many bytes waited, the connection knows; which
events they were, the marks tell: each says how far the connection had been written to when so many events had gone
by. Between two marks events are taken to be alike.
"""

from gateway.edge.outlet import Progress


class Delivery:
    """Of one stream. Keeps the marks that have not left yet and the last that has: for a quick reader, two."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: list[tuple[int, int]] = []

    def mark(self, progress: Progress, events: int, size: int) -> None:
        """So far had the connection come when `events` of the stream, of `size` bytes, had been written to it.

        What was written before the stream began is not known by itself: its first mark takes it that the client is
        sent as many bytes as the upstream did.
        """
        marks = self._marks
        if not marks:
            marks.append((max(0, progress.written - size), 0))
        # A connection that broke has forgotten some of what waited.
        marks.append((max(progress.written, marks[-1][0]), events))
        while len(marks) > 2 and marks[1][0] <= progress.left:
            del marks[0]

    def left(self, progress: Progress, events: int, size: int) -> int:
        """Events that have left, of all `events` so far; one that has left in part has not."""
        self.mark(progress, events, size)
        (start, before), (end, after) = self._marks[:2]
        if progress.left >= end:
            return after
        return before + (after - before) * max(0, progress.left - start) // max(1, end - start)
