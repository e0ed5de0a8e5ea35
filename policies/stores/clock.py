"""The clock of counts kept in memory: seconds since 1970 that a stepped wall clock cannot turn back."""

from collections.abc import Callable


def steady(wall: Callable[[], float], monotonic: Callable[[], float]) -> Callable[[], float]:
    """What `wall` said now, plus what has passed since by `monotonic`; both in seconds."""
    difference = wall() - monotonic()
    return lambda: monotonic() + difference
