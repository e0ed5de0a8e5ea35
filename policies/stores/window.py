"""The window: at most L units in any interval of S seconds. Pure: counts and moments, no clock and no store.

A sliding window kept as a ring of sub-windows, "buckets", as in Figma's rate limiter ("An alternative
approach to rate limiting", 2017), with one difference: there the oldest, partly elapsed bucket is not counted
or counted in part; here a bucket counts whole until all of it has left the window. With `BUCKETS` = N and
buckets of w = S/N seconds, a unit admitted at t stops counting at the end of the N-th bucket after its own:

* never before t + S, so no interval of S seconds, wherever it starts, holds more than L units;
* never after t + S + w, so whatever an exact limit of L units in S + w seconds would let in is let in here:
  the price of N counters instead of a list of all requests is w of delay, S/50 at N = 50.

The moment at which a refused cost fits is known to the microsecond, since buckets leave at known moments.
GCRA (ITU-T I.371) needs one number instead of N, but admits up to 2L in an interval of S where L is
also its burst; the two-counter approximation is exceeded by uneven traffic. Neither keeps "at most L in any S".

N was chosen by measurement: between 10 and 100 neither memory's 6 µs for a hold with six full windows nor the 80 µs
of Redis' scripts changes by more than their noise (at 200 by a tenth); what grows is a window's room in Redis:
280 bytes at 10, 920 at 50, 1,720 at 100.
"""

BUCKETS = 50
"""Sub-windows of a window."""

MICROSECONDS = 1_000_000
NEVER = 1 << 62
"""A moment, in microseconds, that does not come."""


def bucket_width(seconds: int) -> int:
    """Microseconds in one bucket of a window of `seconds`. Raises ValueError below one second."""
    if seconds < 1:
        raise ValueError(f"a window lasts at least one second, not {seconds}")
    return seconds * MICROSECONDS // BUCKETS


class Count:
    """The units in one window. Moments are microseconds of a clock that never goes back.

    Before `total` is read, `expire` must have been called if `leaves` has come: that is the caller's so that
    the usual case, nothing to expire, costs one comparison.
    """

    __slots__ = ("_buckets", "_newest", "holders", "leaves", "total", "width")

    def __init__(self, seconds: int) -> None:
        self.width = bucket_width(seconds)
        self.total = 0
        self.leaves = NEVER
        self.holders = 0
        self._newest = -1
        self._buckets: dict[int, int] = {}  # by number since 1970; oldest first, since they are made in order

    def expire(self, now: int) -> None:
        """Drop the buckets that have left the window."""
        buckets = self._buckets
        first = now // self.width - BUCKETS
        while buckets:
            oldest = next(iter(buckets))
            if oldest >= first:
                self.leaves = (oldest + BUCKETS + 1) * self.width
                return
            self.total -= buckets.pop(oldest)
        self.leaves = NEVER

    def add(self, now: int, cost: int) -> None:
        """Count `cost` units as of `now`; a cost of 0 too leaves its mark, so that it can be corrected."""
        bucket = now // self.width
        if bucket <= self._newest and self._buckets:
            self._buckets[self._newest] += cost
        else:
            if not self._buckets:
                self.leaves = (bucket + BUCKETS + 1) * self.width
            self._buckets[bucket] = cost
            self._newest = bucket
        self.total += cost

    def correct(self, at: int, difference: int) -> None:
        """Change what was added at `at`; nothing where that has left the window, and never below 0."""
        bucket = at // self.width
        had = self._buckets.get(bucket)
        if had is not None:
            changed = max(had + difference, 0)
            self._buckets[bucket] = changed
            self.total += changed - had

    def wait(self, now: int, cost: int, limit: int) -> float | None:
        """Seconds until `cost` fits if nothing else comes, 0 if it does now; None: it never will."""
        if cost > limit:
            return None
        excess = self.total + cost - limit
        if excess <= 0:
            return 0.0
        for bucket, count in self._buckets.items():
            excess -= count
            if excess <= 0:
                return self._until_gone(bucket, now)
        raise AssertionError("the buckets hold less than their total")

    def reset(self, now: int) -> float:
        """Seconds until the window is empty if nothing else comes."""
        if not self.total:
            return 0.0
        if self._buckets[self._newest]:
            return self._until_gone(self._newest, now)
        return self._until_gone(max(bucket for bucket, count in self._buckets.items() if count), now)

    def _until_gone(self, bucket: int, now: int) -> float:
        # One microsecond more: a moment since 1970 in a float is only known to a quarter of one.
        return ((bucket + BUCKETS + 1) * self.width - now + 1) / MICROSECONDS

    def idle(self, now: int) -> bool:
        """Whether it can be dropped: nobody holds it and it counts nothing."""
        self.expire(now)
        return self.holders == 0 and not self._buckets
