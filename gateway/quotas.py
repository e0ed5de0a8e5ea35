"""Quotas: what the operator's accounts with the providers have left, as their latest answers told.

Looked at once a second for each model of a provider: between two looks an answer costs a comparison. The limits of a
tenant's own key are not the operator's, and are left out.
"""

import time
from collections.abc import Callable

from msgspec import Struct
from prometheus_client import CollectorRegistry, Gauge

from gateway.attempt import Attempt
from inference.client import Answer
from inference.codecs.quota_headers import read_quota
from inference.ir.quota import Quota

_PAUSE = 1.0
"""Seconds between two looks."""
_UNITS = ("requests", "tokens", "input_tokens", "output_tokens")


class Heard(Struct, frozen=True):
    """A quota, and when it was told, in Unix seconds."""

    quota: Quota
    at: float


class Quotas:
    """Keeps the latest of each provider and model, both by their names in the catalogue."""

    def __init__(
        self, registry: CollectorRegistry, *, shared: bool, now: Callable[[], float] = time.time
    ) -> None:
        """`shared`: several processes tell of the same accounts. `now` tells Unix seconds."""
        self._now = now
        self._due: dict[tuple[str, str], float] = {}
        self._latest: dict[tuple[str, str], Heard] = {}
        self._remaining = Gauge(
            "aspendos_provider_quota_remaining",
            "What a provider's latest answer said is left of its limit on the operator's account.",
            ("provider", "model", "unit"),
            registry=registry,
            multiprocess_mode="livemostrecent" if shared else "all",
        )

    def answered(self, answer: Answer, model: str) -> None:
        """A target answered: what its headers say is read, if it is time to look again."""
        deployment, at = answer.deployment, answer.reply.first_byte_at
        place = (deployment.provider.name, model)
        if at < self._due.get(place, 0.0) or deployment.credential is not None:
            return
        self._due[place] = at + _PAUSE
        quota = read_quota(answer.reply.headers, self._now())
        if quota is not None:
            self._keep(place, quota)

    def refused(self, attempt: Attempt, model: str) -> None:
        """A target refused; what it said of its limits has been read with its refusal."""
        if attempt.quota is not None and not attempt.byok:
            self._keep((attempt.provider, model), attempt.quota)

    def latest(self, provider: str, model: str) -> Heard | None:
        """What was told last; None where nothing ever was."""
        return self._latest.get((provider, model))

    def _keep(self, place: tuple[str, str], quota: Quota) -> None:
        self._latest[place] = Heard(quota, self._now())
        for unit in _UNITS:
            limit = getattr(quota, unit)
            if limit is not None and limit.remaining is not None:
                self._remaining.labels(*place, unit).set(limit.remaining)
