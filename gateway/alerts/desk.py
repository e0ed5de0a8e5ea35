"""The desk: every object budgets need, joined. What one process of the gateway runs for them, and the services."""

import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from billing.budgets.budget import Cap
from billing.budgets.spent import Spending
from billing.drain import Drain
from gateway.alerts.evaluator import Evaluator
from gateway.alerts.log import LogChannel
from gateway.alerts.mail import MailChannel, MailServer
from gateway.alerts.outbox import LOG, MAIL, WEBHOOK, Outbox
from gateway.alerts.sender import Sender
from gateway.alerts.turn import Turn
from gateway.alerts.webhook import WebhookChannel
from gateway.budget_book import BudgetBook
from gateway.database.alert_targets import AlertTargets
from gateway.database.budgets import BudgetService
from gateway.database.changes import Changes
from gateway.database.engine import Database
from inference.transport import Transport
from policies.api_keys import Pepper


class BudgetDesk:
    """`book` is for the hot path, `service` and `targets` for the management API, `evaluator` raises the alerts."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        drain: Drain,
        pepper: Pepper,
        transport: Transport,
        *,
        folder: Path,
        mail: MailServer | None = None,
        private_webhooks: bool = False,
        knows_model: Callable[[str], bool] = lambda _: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`folder` is the data directory that this machine's processes share."""
        self.spending = Spending(database.reading, drain)
        self.outbox = Outbox(database, clock=clock)
        self.book = BudgetBook(
            database,
            changes,
            self.spending,
            clock=clock,
            on_refusal=self._refused,
        )
        self.targets = AlertTargets(database, pepper, clock=clock)
        self.service = BudgetService(
            database, changes, self.spending, self.outbox, knows_model=knows_model, clock=clock
        )
        self.evaluator = Evaluator(
            self.book, self.spending, self.outbox, clock=clock, turn=Turn(folder / "alerts.lock")
        )
        self.sender = Sender(
            self.outbox,
            {
                LOG: LogChannel(),
                MAIL: MailChannel(mail),
                WEBHOOK: WebhookChannel(
                    transport, self.targets.secrets, private=private_webhooks, clock=clock
                ),
            },
        )

    def _refused(self, cap: Cap) -> None:
        self.evaluator.refused(cap)

    def runs(self) -> tuple[tuple[str, Coroutine[Any, Any, None]], ...]:
        """What has to run in the background, by name, until cancelled."""
        return (
            ("budgets follow", self.book.run()),
            ("budgets evaluate", self.evaluator.run()),
            ("alerts send", self.sender.run()),
        )
