"""`aspendos usage reconcile`: our records beside a provider's export or its workers' counters, at the terminal.

Exit code 0: they agree within the thresholds; 2: they do not (so that a timer can raise the alarm); 1: it could
not be told.
"""

import os
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from billing.drain import Drain
from billing.pricing import usd
from billing.reconciliation.compare import Difference, Thresholds
from billing.reconciliation.counters import Look, read_counters
from billing.reconciliation.exports import Form
from gateway.cli.control import Control, as_json, run, table
from gateway.reconciliation import Reconciled, Reconciliation, Span, span_of
from inference.catalog import CatalogError, read_catalog
from inference.ir.cards import Catalog, Provider
from inference.ir.errors import CatalogueRefused, InvalidField
from inference.transport import Transport
from inference.worker_metrics import WorkerMetrics

_ALARM = 2
_MOST_BYTES = 256 * 1024 * 1024
Text = str | None


def reconcile(
    provider: Annotated[str, Parameter(help="The provider's name in the catalogue.")],
    export: Annotated[
        Path | None, Parameter(help="Its usage export: JSON of its usage API, or CSV. `-`: standard input.")
    ] = None,
    /,
    *,
    form: Annotated[
        Form, Parameter(help="What the export is, where that cannot be told by itself.")
    ] = "auto",
    before: Annotated[
        list[Path] | None,
        Parameter(negative=(), help="A vLLM worker's /metrics at --from; one for each worker."),
    ] = None,
    after: Annotated[
        list[Path] | None, Parameter(negative=(), help="The same worker's at --to, in the same order.")
    ] = None,
    watch: Annotated[
        int | None, Parameter(help="Look at the provider's vLLM workers now and again in so many seconds.")
    ] = None,
    start: Annotated[Text, Parameter(name="--from", help="ISO 8601 date or time, UTC by default.")] = None,
    end: Annotated[Text, Parameter(name="--to", help="ISO 8601; itself excluded.")] = None,
    percent: Annotated[
        str, Parameter(help="An alarm needs a larger difference than so many per cent,")
    ] = "1",
    tokens: Annotated[int, Parameter(help="and than so many tokens of a kind,")] = 1000,
    cents: Annotated[int, Parameter(help="or, of cost, than so many US cents.")] = 1,
    name: Annotated[
        list[str] | None,
        Parameter(negative=(), help="THEIRS=OURS: what the provider calls one of our models; repeatable."),
    ] = None,
    json: Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")] = False,
) -> int:
    """Compare what was recorded here with what a provider, or a worker's own counter, says was used."""
    verdict: list[Reconciled] = []

    async def work(control: Control, reconciliation: Reconciliation, catalog: Catalog) -> str:
        thresholds = Thresholds(share_bp=_share_bp(percent), tokens=tokens, cost_nano=cents * 10_000_000)
        names = dict(_pair(text) for text in name or ())
        span = span_of(start, end)
        if watch is not None:
            looks, span = await _watched(_provider(catalog, provider), watch)
            found = await reconciliation.with_counters(
                provider, looks, span, thresholds=thresholds, names=names
            )
        elif before or after:
            if span is None:
                raise InvalidField("--from and --to: say when the metrics were taken", param="from")
            found = await reconciliation.with_counters(
                provider, _pairs(before or [], after or []), span, thresholds=thresholds, names=names
            )
        elif export is not None:
            found = await reconciliation.with_export(
                provider, _read(export), form=form, span=span, thresholds=thresholds, names=names
            )
        else:
            raise InvalidField(
                "Give an export, or a worker's metrics with --before and --after, or --watch.", param="export"
            )
        verdict.append(found)
        return as_json(found) if json else _shown(found)

    code = run(_with_catalogue(work))
    return _ALARM if verdict and verdict[0].alarm else code


_Work = Callable[[Control, Reconciliation, Catalog], Awaitable[str]]


def _with_catalogue(work: _Work) -> Callable[[Control], Awaitable[str]]:
    async def opened(control: Control) -> str:
        try:
            catalog = read_catalog(control.settings.config_path, os.environ)
        except CatalogError as error:
            raise CatalogueRefused(f"The catalogue cannot be read:\n{error}") from None
        drain = Drain(control.settings.data_dir / "journal", control.database.engine)
        return await work(
            control, Reconciliation(control.database.reading, drain, lambda: catalog.providers), catalog
        )

    return opened


async def _watched(provider: Provider, seconds: int) -> tuple[dict[str, tuple[Look, Look]], Span]:
    """Two looks at every worker, so many seconds apart."""
    # Imported here: the command waits only where it is asked to.
    import asyncio

    transport = Transport()
    try:
        fetcher = WorkerMetrics(transport)
        start = time.time_ns()
        first = {url: read_counters(await fetcher.fetch(provider, url)) for url in provider.base_urls}
        await asyncio.sleep(seconds)
        end = time.time_ns()
        return {
            url: (first[url], read_counters(await fetcher.fetch(provider, url))) for url in provider.base_urls
        }, Span(start=start, end=end)
    finally:
        await transport.close()


def _provider(catalog: Catalog, name: str) -> Provider:
    found = catalog.providers.get(name)
    if found is None or found.wire != "vllm":
        raise InvalidField(f"{name!r} is no vLLM provider of the catalogue.", param="provider")
    return found


def _pairs(before: list[Path], after: list[Path]) -> dict[str, tuple[Look, Look]]:
    if len(before) != len(after):
        raise InvalidField(
            f"{len(before)} --before and {len(after)} --after: as many of each are needed.", param="after"
        )
    return {
        str(first): (read_counters(_read(first)), read_counters(_read(last)))
        for first, last in zip(before, after, strict=True)
    }


def _read(path: Path) -> str:
    try:
        if str(path) == "-":
            path = Path("/dev/stdin")
        elif path.stat().st_size > _MOST_BYTES:
            raise InvalidField(f"{path} is larger than {_MOST_BYTES // 2**20} MiB.", param="export")
        return path.read_text("utf-8")
    except OSError as error:
        raise InvalidField(f"{path} cannot be read: {error.strerror}.", param="export") from None
    except UnicodeDecodeError:
        raise InvalidField(f"{path} is not text in UTF-8.", param="export") from None


def _share_bp(text: str) -> int:
    """Per cent, with at most two decimals, in hundredths of one."""
    try:
        share = Decimal(text) * 100
    except InvalidOperation:
        share = Decimal("NaN")
    if not share.is_finite() or share != share.to_integral_value() or not 0 <= share <= 10_000:
        raise InvalidField(f"--percent is {text!r}; 0 to 100, with at most two decimals.", param="percent")
    return int(share)


def _pair(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours):
        raise InvalidField(f"--name is {text!r}; THEIRS=OURS was expected.", param="name")
    return theirs, ours


def _shown(found: Reconciled) -> str:
    head = ("MODEL", "INPUT HERE", "THERE", "OUTPUT HERE", "THERE", "COST HERE", "THERE", "DRIFT", "")
    comparison = found.comparison
    lines = [_line(difference) for difference in (*comparison.models, comparison.total)]
    verdict = "ALARM: they do not agree." if found.alarm else "They agree, within the thresholds."
    return "\n".join(
        [
            f"{found.provider}, {found.start} to {found.end}. {verdict}",
            "",
            table(head, lines),
            *(["", *found.notes] if found.notes else []),
        ]
    )


def _line(difference: Difference) -> tuple[str, ...]:
    ours, theirs = difference.ours, difference.theirs
    return (
        difference.model,
        str(ours.input_tokens),
        str(theirs.input_tokens),
        str(ours.output_tokens),
        str(theirs.output_tokens),
        "-" if ours.cost_nano is None else usd(ours.cost_nano),
        "-" if theirs.cost_nano is None else usd(theirs.cost_nano),
        f"{difference.drift_bp / 100:.2f} %",
        " ".join(difference.alarm),
    )
