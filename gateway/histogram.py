"""Histogram: Prometheus' own, told many figures at once. Refuses to tell anything but what `observe` would have."""

from bisect import bisect_right
from typing import Protocol

from prometheus_client import Histogram

_MICROSECONDS = 1e6


class _Value(Protocol):
    """A figure of this process, or its part of one shared by several."""

    def inc(self, amount: float) -> None: ...


class Durations(Histogram):
    """Seconds, as Prometheus wants them, from microseconds, as they are gathered."""

    _buckets: list[_Value]
    _sum: _Value

    def observe_all(self, microseconds: list[int]) -> None:
        """Observe each; the list is sorted.

        `observe` takes two locks for every figure, and with several worker processes writes two of their shared
        figures; here it is once for each bucket that gets any, and once for the sum.
        """
        microseconds.sort()
        told, size = 0, len(microseconds)
        for bound, bucket in zip(self._upper_bounds, self._buckets, strict=True):
            upto = bisect_right(microseconds, bound * _MICROSECONDS)
            if upto > told:
                bucket.inc(upto - told)
                told = upto
            if told == size:
                break
        if size:
            self._sum.inc(sum(microseconds) / _MICROSECONDS)
