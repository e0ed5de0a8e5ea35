"""Wiring: builds every object once and joins them. The only file that names concrete classes together."""

import asyncio
import contextlib
import gc
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Container, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from billing.drain import Drain
from billing.journal import Fsync, Journal, unique_writer_id
from billing.journal_name import journal_name
from billing.ledger.ledger import Ledger
from billing.meter import Meter
from billing.reports import UsageReports
from gateway.access.door import Door
from gateway.admission import Admission
from gateway.alerts.desk import BudgetDesk
from gateway.alerts.mail import mail_server
from gateway.balances import Balances
from gateway.batches.desk import BatchDesk
from gateway.cache_salt import CacheSalt
from gateway.call import request_ids
from gateway.catalogue import LiveCatalogue
from gateway.credit import Credit
from gateway.credit_desk import CreditDesk
from gateway.database.allotments import Allotments
from gateway.database.audit import Audit
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.holders import HolderService
from gateway.database.keyring import Keyring
from gateway.database.keys import KeyService
from gateway.database.lull import Lull
from gateway.database.master_keys import MasterKeys
from gateway.database.members import MemberService
from gateway.database.organisations import OrganisationService
from gateway.database.pepper import load_pepper
from gateway.database.provider_keys import ProviderKeyService
from gateway.database.redis_bell import RedisBell
from gateway.database.teams import TeamService
from gateway.database.users import UserService
from gateway.database.vault import Vault
from gateway.drift_watch import DriftWatch
from gateway.edge.spool import Spools
from gateway.form_desk import FormDesk
from gateway.gauges import Gauges
from gateway.http.admin.config import Announce
from gateway.logs import level_number
from gateway.media.fetcher import Fetcher, resolve_host
from gateway.media.inspection import Inspection
from gateway.metrics import Metrics
from gateway.monthly_grants import MonthlyGrants
from gateway.payments import Tenants, build_invoices, build_payments
from gateway.pipeline import Pipeline
from gateway.provider_keys import ProviderKeys
from gateway.readiness import Readiness
from gateway.reconciler import Counters, Reconciler
from gateway.reconciliation import Reconciliation
from gateway.reload_log import ReloadLog
from gateway.request_log import RequestLog, Write
from gateway.responses.shelf import Shelf
from gateway.responses.turn import Threads
from gateway.rule_book import RuleBook
from gateway.settings import Settings
from gateway.settlement import Settlement
from gateway.tasks import spawn
from gateway.treasury import Treasury
from inference.client import ModelClient
from inference.ir.errors import Unavailable
from inference.key_check import KeyCheck
from inference.request_keys import RequestKeys
from inference.transport import Transport
from inference.worker_metrics import WorkerMetrics
from policies.stores.allotted import AllottedStore
from policies.stores.clock import steady
from policies.stores.desk import Habits
from policies.stores.fallback import FallbackStore
from policies.stores.link import Timing
from policies.stores.memory import MemoryStore
from policies.stores.redis import RedisStore

_log = structlog.stdlib.get_logger("wiring")
_MIGRATE_AGAIN_SECONDS = 2.0
_LAST_DRAIN_SECONDS = 5.0
_REDIS_SECONDS = 1.0
_FLUSH_SECONDS = 1.0
_LULL_SECONDS = 10.0
_TURN_SECONDS = 0.0001
_QUIET_SECONDS = 3.0
"""Longer than another machine's drain takes: an account at rest for so long can be compared."""


def tune_collector() -> None:
    """Take what start-up made out of the garbage collector's sight, and have it look less often.

    Requests make little cyclic garbage; walking a hundred thousand modules, routes and tables again and again
    to find it would cost more than the requests themselves.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def tune_threads() -> None:
    """Let the loop have the interpreter back soon: the threads beside it write logs and drain the journal, in no
    haste, and with the interpreter's own 5 ms each of their turns would hold up every stream for that long. A request
    wakes the loop three or four times, and waits for such a turn at each; a shorter one costs more in handing over."""
    sys.setswitchinterval(_TURN_SECONDS)


def shared_store(settings: Settings) -> FallbackStore:
    """Counters in Redis, with this process's own for the time it is away."""
    return FallbackStore(
        RedisStore(
            settings.redis_url or "",
            names=lambda: secrets.token_hex(8),
            timing=Timing(lease=settings.hold_lease, mercy=min(settings.hold_lease, 10.0)),
        ),
        MemoryStore(steady(time.time, time.monotonic)),
        processes=settings.processes or settings.workers,
        cap=settings.offline_credit,
    )


def allotted_store(settings: Settings, database: Database, drain: Drain, changes: Changes) -> AllottedStore:
    """Counters of this process's own, each within a share that is drawn from the database."""
    patience = min(_FLUSH_SECONDS, settings.hold_lease / 6)
    store = AllottedStore(
        Allotments(database),
        steady(time.time, time.monotonic),
        names=lambda: secrets.token_hex(16),
        flush=lambda: drain.flush(timeout=patience),
        habits=Habits(lease=settings.hold_lease, tick=min(1.0, settings.hold_lease / 6)),
    )
    changes.hear_wishes(store.wake)
    return store


def hot_balances(store: FallbackStore | AllottedStore | MemoryStore) -> RedisStore | MemoryStore:
    """What the reconciler compares with the ledger. Shares are drawn from the ledger itself: there is nothing then."""
    if isinstance(store, FallbackStore):
        return store.redis
    return store if isinstance(store, MemoryStore) else MemoryStore(steady(time.time, time.monotonic))


def store_for(
    settings: Settings, database: Database, drain: Drain, changes: Changes
) -> FallbackStore | AllottedStore | MemoryStore:
    """Redis' where there is one, else shares of what the database says, else, for one process alone, its memory.

    On PostgreSQL nobody here can know that no other process counts in the same database.
    """
    if settings.redis_url:
        return shared_store(settings)
    if database.is_postgres or settings.workers > 1 or (settings.processes or 1) > 1:
        return allotted_store(settings, database, drain, changes)
    return MemoryStore(steady(time.time, time.monotonic))


def spools_for(settings: Settings, metrics: Metrics) -> Spools:
    """The room for large uploads."""
    return Spools(
        settings.spool_dir,
        over=settings.upload_memory,
        total=settings.uploads_total,
        refused=metrics.uploads_refused,
    )


class Gateway:
    """Everything one process needs. `start` and `stop` are called once, by the server's lifespan."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], log_line: Write) -> None:
        """Reads the catalogue; opens nothing. `log_line` takes request lines. Raises CatalogError or InvalidField."""
        shared_dir = (
            Path(environ["PROMETHEUS_MULTIPROC_DIR"]) if "PROMETHEUS_MULTIPROC_DIR" in environ else None
        )
        self._settings = settings
        self._supervisor = environ.get("ASPENDOS_SUPERVISOR_PID")
        self._stopping = False
        self._tasks: list[asyncio.Task[object]] = []
        self.new_id = request_ids()
        self.metrics = Metrics(shared_dir=shared_dir)
        self.catalogue = LiveCatalogue(settings.config_path, environ, self.metrics)
        self.database = Database(settings.database)
        changes = Changes(self.database, settings.redis_url)
        pepper = load_pepper(settings.data_dir, environ)
        self.keyring = Keyring(self.database, changes, pepper)
        self.organisations = OrganisationService(self.database, changes, tiers=self._tiers)
        self.teams = TeamService(self.database, changes, tiers=self._tiers)
        self.users = UserService(self.database, changes, tiers=self._tiers)
        self.members = MemberService(self.database, changes)
        self.holders = HolderService(changes, tiers=self._tiers)
        self.audit = Audit(self.database)
        self.keys = KeyService(self.database, changes, pepper)
        journal_dir = settings.data_dir / "journal"
        self.journal = Journal(journal_dir, writer_id=unique_writer_id(), fsync=Fsync(settings.fsync))
        self.drain = Drain(journal_dir, self.database.engine)
        self.usage = UsageReports(self.database.reading, self.drain)
        self._transport = Transport()
        self.door = Door(
            database=self.database,
            changes=changes,
            pepper=pepper,
            transport=self._transport,
            environ=environ,
            data_dir=settings.data_dir,
            issuer=settings.issuer,
            access_lifetime=settings.access_lifetime,
            refresh_lifetime=settings.refresh_lifetime,
            oidc_file=settings.oidc_file,
        )
        self.budgets = BudgetDesk(
            self.database,
            changes,
            self.drain,
            pepper,
            self._transport,
            folder=settings.data_dir,
            mail=mail_server(settings.smtp_url, settings.smtp_from) if settings.smtp_url else None,
            private_webhooks=settings.private_webhooks,
            knows_model=lambda name: name in self.catalogue.catalog.models,
        )
        client = ModelClient(self._transport, RequestKeys(self._transport, time.time))
        vault = Vault(MasterKeys(settings.data_dir, environ))
        self.own_keys = ProviderKeys(self.database, changes, vault)
        self.provider_keys = ProviderKeyService(
            self.database,
            changes,
            vault,
            pepper,
            check=KeyCheck(self._transport),
            providers=lambda: self.catalogue.catalog.providers,
        )
        self.reconciliation = Reconciliation(
            self.database.reading, self.drain, lambda: self.catalogue.catalog.providers
        )
        self.drift_watch = DriftWatch(
            self.reconciliation,
            WorkerMetrics(self._transport),
            lambda: self.catalogue.catalog.providers,
            alarmed=lambda provider: self.metrics.usage_drift.labels(provider).inc(),
        )
        self.store = store_for(settings, self.database, self.drain, changes)
        self.ledger = Ledger(self.database.engine)
        shared = self.store.redis if isinstance(self.store, FallbackStore) else None
        self.credit = Credit(
            self.ledger,
            self.drain,
            self.store,
            shared=shared,
            lull=Lull(self.database, at_most=_LULL_SECONDS),
        )
        self.credits = CreditDesk(
            self.database, self.ledger, self.drain, attach=self.holders.set_account, tell=self.credit.tell
        )
        self.payments = build_payments(
            settings,
            self.database.engine,
            self.ledger,
            Tenants(changes, self.ledger, fallback=settings.fallback_tier),
            lambda: self.catalogue.catalog.tiers,
            posted=self.credit.tell,
        )
        self.invoices = build_invoices(settings, self.database.engine)
        self.reconciler = Reconciler(
            self.credit,
            hot_balances(self.store),
            Counters(
                repaired=self.metrics.credit_repaired,
                unsound=self.metrics.ledger_unsound,
                reclaimed=self.metrics.holds_reclaimed,
            ),
            shared=shared,
            quiet=_QUIET_SECONDS if shared is not None else 0.0,
            journal=journal_name(journal_dir),
            place=self.drain.complete_for,
        )
        self.monthly_grants = MonthlyGrants(
            self.database, changes, self.ledger, self.credit, lambda: self.catalogue.catalog.tiers
        )
        self.treasury = Treasury(self.credit, self.ledger, self.budgets.book, self.store)
        self.balances = Balances(self.store, self.treasury.warm)
        self.admission = Admission(
            self.keyring,
            tokens=self.door.tokens,
            rule_book=RuleBook(self.budgets.book, self.treasury),
            store=self.store,
            treasury=self.treasury,
            budgets=self.budgets.book,
            own_keys=self.own_keys,
            clock=time.time,
            full=lambda: self.journal.full,
        )
        self.shelf = Shelf(
            self.database,
            lifetime=timedelta(seconds=settings.responses_kept),
            now=lambda: datetime.now(UTC),
            shared=self.database.is_postgres or settings.workers > 1,
        )
        self.pipeline = Pipeline(
            admission=self.admission,
            catalogue=self.catalogue,
            client=client,
            settlement=Settlement(
                Meter(self.journal),
                self.metrics,
                RequestLog(log_line, level=level_number(settings.log_level)),
                self.store,
            ),
            metrics=self.metrics,
            draw=random.random,
            new_id=self.new_id,
            salt=CacheSalt(pepper),
            max_response=settings.max_response,
            fetcher=Fetcher(),
            inspection=Inspection(resolve_host),
            forms=FormDesk(spools_for(settings, self.metrics), self.admission),
            threads=Threads(self.shelf, largest=settings.max_body),
        )
        self.batches = BatchDesk(
            self.database,
            self.pipeline,
            holder=self.keyring.holder_of,
            folder=settings.data_dir,
            largest=settings.max_file,
            total=settings.max_files_total,
            parallel=settings.batch_parallel,
            longest_line=settings.max_body,
        )
        self.readiness = Readiness(
            database=self.database,
            keyring=self.keyring,
            own_keys=self.own_keys,
            journal=self.journal,
            catalogue=self.catalogue,
            stopping=lambda: self._stopping,
            redis=RedisBell(settings.redis_url).ping if settings.redis_url else None,
        )
        self.gauges = Gauges(
            metrics=self.metrics,
            journal=self.journal,
            catalogue=self.catalogue,
            client=client,
            drift=self.drift_watch.latest,
            counters_away=lambda: shared is not None and shared.link.away is not None,
            shared=shared_dir is not None,
            spooled=lambda: self.pipeline.forms.spools.used,
        )

    def _tiers(self) -> Container[str]:
        return self.catalogue.catalog.tiers.keys()

    async def start(self) -> None:
        """Migrate, load the keys, start draining. A database that is away delays the first, not the traffic."""
        try:
            await self.database.migrate()
        except Unavailable as error:
            _log.error("the database is away; it is migrated as soon as it answers", reason=error.message)
            self._tasks.append(spawn(self._migrate_later(), name="migrate"))
        await self.keyring.start()
        await self.own_keys.start()
        self.door.tokens.start()
        self._tasks.append(spawn(self.drain.run(), name="drain"))
        self._tasks.append(spawn(self.shelf.run(), name="responses"))
        self._tasks.extend(spawn(run, name=name) for name, run in self.batches.runs())
        if self._settings.drift_every:
            run = self.drift_watch.run(self._settings.drift_every)
            self._tasks.append(spawn(run, name="drift watch"))
        self._tasks.extend(spawn(run, name=name) for name, run in self.budgets.runs())
        if isinstance(self.store, FallbackStore):
            self.store.redis.on_new_generation = self.credit.flush
            self._tasks.append(spawn(self.store.run(), name="store"))
            try:
                await self.store.redis.link.ready(_REDIS_SECONDS)
            except Unavailable as error:
                _log.error("limits are counted by this process alone", reason=error.message)
        if isinstance(self.store, AllottedStore):
            with contextlib.suppress(Unavailable):  # logged where it was raised, and tried again when needed
                await self.store.tick()
            self._tasks.append(spawn(self.store.run(), name="store"))
            self._tasks.append(spawn(self.store.run_answers(), name="shares wished for"))
        self._tasks.append(spawn(self.credit.run(), name="credit"))
        self._tasks.append(spawn(self.reconciler.run(), name="reconciler"))
        self._tasks.append(spawn(self.reconciler.tell_place(), name="journal place"))
        self._tasks.append(spawn(self.treasury.run(), name="treasury"))
        self._tasks.append(spawn(self.monthly_grants.run(), name="monthly-grants"))
        if self._supervisor is not None:  # a process alone hands on what it gathered when it is asked
            self._tasks.append(spawn(self.metrics.hand_on_for_ever(), name="metrics"))
        for name, desk in self.payments.items():
            self._tasks.append(spawn(desk.worker.run(), name=f"payments-{name}"))
        tune_collector()
        tune_threads()
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
            if self._supervisor is not None:  # it is one reload, and another process counts it
                asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._reload, False)
        catalog = self.catalogue.catalog
        _log.info("started", catalogue=catalog.version, models=self.catalogue.routable(), pid=os.getpid())
        for warning in catalog.warnings:
            _log.warning("catalogue", warning=warning)

    def leave(self) -> None:
        """The process is to end soon: whoever asks whether it is ready hears that it is not."""
        self._stopping = True

    async def stop(self) -> None:
        """Stop what was started, in reverse; what is in the journal is drained if the database is there."""
        self._stopping = True
        await self.batches.worker.stop()
        if isinstance(self.store, FallbackStore):
            await self.store.redis.flush(_REDIS_SECONDS)
            if await self.drain.flush(timeout=_REDIS_SECONDS):
                await self.reconciler.leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.door.tokens.stop()
        await self._transport.close()
        self.pipeline.forms.spools.close()
        for desk in self.payments.values():
            await desk.close()
        self.journal.close()
        await self.shelf.close()
        await self.drain.flush(timeout=_LAST_DRAIN_SECONDS)
        if isinstance(self.store, AllottedStore):
            with contextlib.suppress(Unavailable):  # then its lease ends it
                await self.store.leave()
        await self.own_keys.stop()
        await self.keyring.stop()
        await self.database.close()
        _log.info("stopped", pid=os.getpid())

    @property
    def announce_reload(self) -> Announce:
        """Has the supervisor tell the other worker processes to reload, uncounted; nothing for a single process."""
        supervisor = self._supervisor

        def announce() -> None:
            if supervisor is not None:
                os.kill(int(supervisor), signal.SIGUSR1)

        return announce

    def _reload(self, counted: bool = True) -> None:
        """What SIGHUP asks for, and SIGUSR1 where another process has counted it."""
        before = self.catalogue.catalog.version
        self.catalogue.reload_quietly(counted=counted)
        told = ReloadLog(self.database).signalled(before, self.catalogue.catalog.version)
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(spawn(told, name="reload log"))

    async def _migrate_later(self) -> None:
        while True:
            await asyncio.sleep(_MIGRATE_AGAIN_SECONDS)
            try:
                await self.database.migrate()
            except Unavailable:
                continue
            return
