"""Figures: what a run of the benchmark found, and how rounds become one number. Pure.

Every measure is taken once a round; what is told is the median of the rounds with its spread, the distance
between the least and the greatest in per cent of the median. Nothing is averaged away: the rounds are in
the JSON.
"""

from statistics import median

from msgspec import Struct, field


class Measure(Struct, frozen=True, kw_only=True):
    """One row of the table: a key in `Subject.rounds`, its words, and how many decimals mean something."""

    key: str
    words: str
    decimals: int = 0


MEASURES = (
    Measure(key="cpu_request", words="CPU, us per request"),
    Measure(key="cpu_burst_event", words="CPU, us per event, burst", decimals=1),
    Measure(key="cpu_paced_event", words="CPU, us per event, 5 ms apart", decimals=1),
    Measure(key="cpu_translated", words="CPU, us per translated request"),
    Measure(key="translated_ratio", words="the same, of a request passed on", decimals=2),
    Measure(key="cpu_translated_event", words="CPU, us per translated event, burst", decimals=1),
    Measure(key="rps", words="requests/s, one core"),
    Measure(key="added_low_p50", words="added latency, one at a time, p50 us"),
    Measure(key="added_low_p99", words="added latency, one at a time, p99 us"),
    Measure(key="added_loaded_p50", words="added latency, 30 % load, p50 us"),
    Measure(key="added_loaded_p99", words="added latency, 30 % load, p99 us"),
    Measure(key="added_second_p99", words="the same, the median second's p99 us"),
    Measure(key="first_p50", words="first token late by, p50 us"),
    Measure(key="first_p99", words="first token late by, p99 us"),
    Measure(key="gap_p99", words="gap between 5 ms events, p99 us"),
)


class Figures(Struct, kw_only=True):
    """All of one subject. A value in `rounds` is None where the round had nothing to measure."""

    name: str
    about: str
    rounds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    busy: list[float] = field(default_factory=list[float])
    """How much of its core it used at saturation; well below 1: the load was the limit, not it."""
    errors: dict[str, int] = field(default_factory=dict[str, int])
    rss_idle: float | None = None
    rss_after: dict[str, float] = field(default_factory=dict[str, float])
    """MB after that many requests, and while 1,000 streams are open."""
    cold_start: float | None = None
    answered: int = 0
    """Requests that got a whole, good answer in the run, warm-up included."""
    recorded: int | None = None
    """Usage records it wrote meanwhile; None where it writes none."""
    unavailable: str | None = None
    """Why it was not measured."""

    def add(self, key: str, value: float) -> None:
        """One round's value."""
        self.rounds.setdefault(key, []).append(value)

    def middle(self, key: str) -> float | None:
        """The median over the rounds."""
        values = self.rounds.get(key)
        return median(values) if values else None

    def spread(self, key: str) -> float | None:
        """Greatest less least, in per cent of the median; None for a single round or a median of 0."""
        values = self.rounds.get(key, [])
        middle = self.middle(key)
        return 100 * (max(values) - min(values)) / abs(middle) if len(values) > 1 and middle else None


class Results(Struct, kw_only=True):
    """A whole run, as written to JSON."""

    when: str
    quick: bool
    machine: dict[str, str]
    method: dict[str, object]
    subjects: list[Figures]

    def ratio(self, key: str, subject: str, other: str) -> tuple[float, float, float] | None:
        """Median, least and greatest over the rounds of subject / other, each taken within one round."""
        mine, theirs = self._rounds(key, subject), self._rounds(key, other)
        pairs = [a / b for a, b in zip(mine, theirs, strict=False) if b]
        return (median(pairs), min(pairs), max(pairs)) if pairs else None

    def _rounds(self, key: str, name: str) -> list[float]:
        for figures in self.subjects:
            if figures.name == name:
                return figures.rounds.get(key, [])
        return []
