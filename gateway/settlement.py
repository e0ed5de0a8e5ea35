"""Settlement: what every call ends in, exactly once: its usage record, its figures, its log line, its ticket back."""

import time
from collections.abc import Callable

from msgspec.structs import replace

from billing.meter import Meter
from billing.pricing import cost_nano, usd
from billing.usage import UsageRecord
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
        call.working()
        overhead, duration = call.overhead_us(), call.elapsed_us()
        if call.gone and error is None:
            error = ClientGone("The client closed the connection.")
            status = error.http_status
        model, principal, deployment, ticket = call.model, call.principal, call.deployment, call.ticket
        cost = provider_cost = 0
        own_key = deployment is not None and deployment.credential is not None
        if model is not None and usage is not NO_USAGE and not own_key:
            whole = cost_nano(usage, model.price)
            asked = whole if call.errand is None else errand_cost(whole, model, call.errand)
            cost = asked if error is None or isinstance(error, ClientGone) else 0
            if at_most is not None:
                cost = min(cost, at_most)
            paid = None if deployment is None else deployment.cost
            provider_cost = whole if paid is None else cost_nano(usage, paid)
        provider = deployment.provider.name if deployment is not None else None
        code = error.code if error is not None else None
        more = uncommon(usage)
        if principal is not None:
            record = UsageRecord(
                id=call.id,
                at=call.arrived_ns,
                key_id=principal.key_id,
                team_id=principal.team_id,
                org_id=principal.org_id,
                user_id=principal.user_id,
                tier=principal.tier,
                feature=call.feature,
                tags=call.tags,
                account=ticket.rules.account if ticket is not None else None,
                held_nano=ticket.held if ticket is not None else 0,
                provider_cost_nano=provider_cost,
                byok=own_key,
                route=call.route,
                model=model.name if model is not None else None,
                provider=provider,
                target=deployment.name if deployment is not None else None,
                stream=call.stream,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                usage_source=usage.source,
                cost_nano=cost,
                price_version=_price_version(call),
                ttft_us=call.ttft_us,
                duration_us=duration,
                overhead_us=overhead,
                status=status,
                error=code,
                attempts=call.attempts,
                finish_reason=finish_reason,
            )
            # Refused because the journal is full, and held nothing: its record would only fill the memory too.
            keep = code != JOURNAL_FULL or bool(ticket is not None and ticket.held)
            if not keep:
                self._metrics.rejected.labels(JOURNAL_FULL).inc()
            line = self._meter.record(record if more is None else replace(record, **more), keep=keep)
            if ticket is not None:
                tokens = usage.input_tokens + usage.output_tokens
                self._store.settle(ticket, tokens=tokens, amount=cost)
            self._metrics.ended(
                route=call.route,
                model=model.name if model is not None else "",
                provider=provider or "",
                status=status,
                usage=usage,
                more=more,
                cost_nano=cost,
                ttft_us=call.ttft_us,
                duration_us=duration,
                overhead_us=overhead,
            )
            self._log.settled(call, line, error)
        else:
            self._metrics.rejected.labels(code or "").inc()
            self._log.rejected(call, status, code, duration)
        if call.failures:
            self._metrics.attempts_failed(call.failures)
            if model is not None:
                for attempt in call.failures:
                    self._metrics.quotas.refused(attempt, model.name)
        return cost
