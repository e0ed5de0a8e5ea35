"""/admin/v1/reconciliation: our records beside providers' exports and workers' counters. Changes nothing."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Struct, field

from billing.reconciliation.compare import Thresholds
from billing.reconciliation.counters import read_counters
from billing.reconciliation.exports import Form
from gateway.drift_watch import DriftWatch
from gateway.reconciliation import Reconciled, Reconciliation, span_of
from inference.ir.errors import InvalidField
from policies.roles import Permission

OPERATE = {"permission": Permission.OPERATE}


class ExportGiven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider's usage export as text. `start` and `end` (excluded) as the usage report takes them; without
    them, the days the export has. `names` maps the provider's word for a model to ours."""

    provider: str
    export: str
    form: Form = "auto"
    start: str | None = None
    end: str | None = None
    thresholds: Thresholds = Thresholds()
    names: dict[str, str] = field(default_factory=dict[str, str])


class TwoLooks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One worker's /metrics as text, at `start` and at `end`."""

    before: str
    after: str


class CountersGiven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every worker of a vLLM provider said at `start` and at `end`, one entry a worker."""

    provider: str
    start: str
    end: str
    workers: list[TwoLooks]
    thresholds: Thresholds = Thresholds()
    names: dict[str, str] = field(default_factory=dict[str, str])


class Verdicts(Struct, frozen=True, kw_only=True):
    """The newest comparison with each vLLM provider's workers. `alarm`: one of them is off."""

    alarm: bool
    providers: list[Reconciled]


class ReconciliationController(Controller):
    """Comparisons, for whoever runs the installation."""

    path = "/admin/v1/reconciliation"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get(
        "/", summary="What the watch over workers' counters found", operation_id="driftVerdicts", opt=OPERATE
    )
    async def verdicts(self, drift_watch: NamedDependency[DriftWatch]) -> Verdicts:
        """Of the process that answers; each looks every minute and compares when all workers are idle."""
        found = sorted(drift_watch.latest.values(), key=lambda one: one.provider)
        return Verdicts(alarm=any(one.alarm for one in found), providers=found)

    @post(
        "/export",
        summary="Compare with a provider's usage export",
        operation_id="reconcileExport",
        status_code=200,
        opt=OPERATE,
    )
    async def with_export(
        self, reconciliation: NamedDependency[Reconciliation], data: JSONBody[ExportGiven]
    ) -> Reconciled:
        """OpenAI's and Anthropic's usage APIs as JSON, or CSV; `alarm` says whether the difference is worth one."""
        return await reconciliation.with_export(
            data.provider,
            data.export,
            form=data.form,
            span=span_of(data.start, data.end),
            thresholds=data.thresholds,
            names=data.names,
        )

    @post(
        "/counters",
        summary="Compare with vLLM workers' counters",
        operation_id="reconcileCounters",
        status_code=200,
        opt=OPERATE,
    )
    async def with_counters(
        self, reconciliation: NamedDependency[Reconciliation], data: JSONBody[CountersGiven]
    ) -> Reconciled:
        """Two looks at each worker's /metrics and when they were taken; exact if nothing ran at either."""
        span = span_of(data.start, data.end)
        if span is None or not data.workers:
            raise InvalidField("workers: at least one worker's two looks are needed", param="workers")
        looks = {
            f"worker {number}": (read_counters(worker.before), read_counters(worker.after))
            for number, worker in enumerate(data.workers, 1)
        }
        return await reconciliation.with_counters(
            data.provider, looks, span, thresholds=data.thresholds, names=data.names
        )
