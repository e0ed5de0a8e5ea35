"""Settlement: what every call ends in, exactly once: its usage record, its figures, its log line, its ticket back."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from billing.meter import Meter
from billing.pricing import cost_nano, usd
from gateway.blanks import Blanks
from gateway.call import Call
from gateway.errand import Errand
from gateway.metrics import Metrics
from gateway.request_log import RequestLog
from inference.ir.cards import WHOLE, Model, Price
from inference.ir.errors import AspendosError, ClientGone, Unavailable
from inference.ir.usage import NO_USAGE, Usage, uncommon
from policies.ceiling import output_cost
from policies.stores.step import Store, Ticket

_STRIDE = 1024
"""Tokens of output a hold is extended by."""


NOTHING = 0, 0
"""What a call costs that nobody pays for, in nano-USD: its caller, and whoever runs the gateway."""

JOURNAL_FULL = "journal_full"
_FULL_RETRY_SECONDS = 5.0


class Purse:
    """The hold of one stream: what it covers, and how it grows.

    `endless`: nobody set an end to the stream, so a margin is kept; where one was set, what is held covers it unless
    the provider does not keep to it.
    """

    __slots__ = ("_margin", "_meter", "_price", "_store", "_ticket")

    def __init__(self, ticket: Ticket, price: Price, store: Store, meter: Meter, *, endless: bool) -> None:
        self._margin = output_cost(_STRIDE // 8, price) if endless else 0
        self._ticket = ticket
        self._price = price
        self._store = store
        self._meter = meter

    def covers(self, usage: Usage) -> bool:
        """Whether what was delivered, and the margin, is held."""
        return cost_nano(usage, self._price) + self._margin <= self._ticket.held

    @property
    def held(self) -> int:
        """Nano-USD."""
        return self._ticket.held

    async def extend(self, usage: Usage) -> bool:
        """Hold enough for the next stride; False where the credit, or a budget, does not allow it."""
        wanted = cost_nano(usage, self._price) + output_cost(_STRIDE, self._price) - self._ticket.held
        if wanted <= 0:
            return True
        if not await self._store.extend(self._ticket, wanted):
            return False
        account = self._ticket.rules.account
        if account is not None:
            self._meter.hold(self._ticket.id, account, self._ticket.held, time.time_ns())
        return True


def journal_full() -> Unavailable:
    """For a request that costs something, while what it cost might not survive this process."""
    return Unavailable(
        "The gateway's disk is full, so what this request costs could not be recorded; try again in a moment. Free "
        "models, and provider keys of one's own, can be used.",
        code=JOURNAL_FULL,
        retry_after=_FULL_RETRY_SECONDS,
    )


def errand_cost(whole: int, model: Model, errand: Errand) -> int:
    """What a call of a batch costs its caller, of what it would cost otherwise: nano-USD, rounded half up."""
    return 0 if errand.paid else (whole * model.batch_price + WHOLE // 2) // WHOLE


def _price_version(call: Call) -> str | None:
    """The price's name; of a batch's call, with the part of it that was charged."""
    model = call.model
    if model is None:
        return None
    part = WHOLE if call.errand is None else 0 if call.errand.paid else model.batch_price
    return model.price.version if part == WHOLE else f"{model.price.version}*{usd(part)}"


class Settlement:
    """Closes calls. Synchronous, so that nothing can come between the record and the last byte."""

    def __init__(
        self,
        meter: Meter,
        metrics: Metrics,
        log: RequestLog,
        store: Store,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._meter = meter
        self._metrics = metrics
        self._log = log
        self._store = store
        self._clock_ns = clock_ns
        self._blanks = Blanks()

    def hold(self, call: Call) -> None:
        """Journal what is held for a call, before anything is asked of a provider.

        Raises Unavailable where the disk refuses it: nothing is begun that could not be billed.
        """
        ticket = call.ticket
        if ticket is None or ticket.rules.account is None or not ticket.held:
            return
        if not self._meter.hold(ticket.id, ticket.rules.account, ticket.held, self._clock_ns()):
            raise journal_full()

    def purse(self, call: Call, *, endless: bool) -> Purse | None:
        """The purse by which a stream is metered as it goes; None for one that pays nothing."""
        ticket, model = call.ticket, call.model
        if ticket is None or model is None or not ticket.held:
            return None
        return Purse(ticket, model.price, self._store, self._meter, endless=endless)

    def settle(
        self,
        call: Call,
        usage: Usage = NO_USAGE,
        *,
        status: int = 200,
        error: AspendosError | None = None,
        finish_reason: str | None = None,
        at_most: int | None = None,
    ) -> int:
        """Record a call and return its cost in nano-USD; a call already settled is left as it is (0).

        A call that failed costs its caller nothing; one whose client hung up costs what was delivered to it.
        `at_most` is all that may be charged: what was held for a stream that the gateway itself ended.
        """
        if call.settled:
            return 0
        call.settled = True
        duration, overhead = call.ended()
        if call.gone and error is None:
            error = ClientGone("The client closed the connection.")
            status = error.http_status
        principal = call.principal
        if principal is None:
            self._nobody(call, status, error, duration)
            return 0
        blank = self._blanks.of(call, principal)
        cost, provider_cost = (
            NOTHING if usage is NO_USAGE or blank.byok else _costs(call, usage, error, at_most)
        )
        ticket, more = call.ticket, uncommon(usage)
        held = 0 if ticket is None else ticket.held
        # No more than these at once: CPython puts the keywords of a larger call into a dictionary first.
        record = replace(
            blank,
            id=call.id,
            at=call.arrived_ns,
            stream=call.stream,
            held_nano=held,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            usage_source=usage.source,
            cost_nano=cost,
            provider_cost_nano=provider_cost,
            ttft_us=call.ttft_us,
            duration_us=duration,
            overhead_us=overhead,
            attempts=call.attempts,
            finish_reason=finish_reason,
        )
        if status != 200 or error is not None or more is not None or call.tags or call.errand is not None:
            record = replace(record, **_unusual(call, status, error, more))
        if usage.cache_read_tokens or usage.cache_write_tokens or usage.reasoning_tokens:
            record = replace(
                record,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                reasoning_tokens=usage.reasoning_tokens,
            )
        # Refused because the journal is full, and held nothing: its record would only fill the memory too.
        keep = error is None or error.code != JOURNAL_FULL or held > 0
        if not keep:
            self._metrics.rejected.labels(JOURNAL_FULL).inc()
        line = self._meter.record(record, keep=keep)
        if ticket is not None:
            self._store.settle(ticket, tokens=usage.input_tokens + usage.output_tokens, amount=cost)
        self._metrics.ended(record, more)
        self._log.settled(call, line, error)
        if call.failures:
            self._failed_attempts(call)
        return cost

    def _nobody(self, call: Call, status: int, error: AspendosError | None, duration_us: int) -> None:
        """A call that had no caller: counted and logged, and nobody's to pay."""
        code = None if error is None else error.code
        self._metrics.rejected.labels(code or "").inc()
        self._log.rejected(call, status, code, duration_us)

    def _failed_attempts(self, call: Call) -> None:
        self._metrics.attempts_failed(call.failures)
        if call.model is not None:
            for attempt in call.failures:
                self._metrics.quotas.refused(attempt, call.model.name)


def _costs(call: Call, usage: Usage, error: AspendosError | None, at_most: int | None) -> tuple[int, int]:
    """What a call costs its caller, and what it costs whoever runs the gateway, in nano-USD."""
    model, deployment, errand = call.model, call.deployment, call.errand
    if model is None:
        return NOTHING
    whole = cost_nano(usage, model.price)
    paid = None if deployment is None else deployment.cost
    provider_cost = whole if paid is None else cost_nano(usage, paid)
    if error is not None and not isinstance(error, ClientGone):
        return 0, provider_cost
    cost = whole if errand is None else errand_cost(whole, model, errand)
    return cost if at_most is None else min(cost, at_most), provider_cost


def _unusual(
    call: Call, status: int, error: AspendosError | None, more: Mapping[str, int] | None
) -> dict[str, Any]:
    """What few records have."""
    found: dict[str, Any] = {**(more or {}), "status": status, "tags": call.tags}
    if error is not None:
        found["error"] = error.code
    if call.errand is not None:
        found["price_version"] = _price_version(call)
    return found
