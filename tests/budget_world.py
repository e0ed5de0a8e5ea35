"""Two organisations with a team, a user and a key each, and one process's budgets on their database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import ValidationException

from billing.drain import Drain
from gateway.alerts.desk import BudgetDesk
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.tables import KeyRow, OrganisationRow, TeamRow, UserRow
from gateway.http.admin.budgets import AlertTargetController, BudgetController
from gateway.http.errors import render_error
from inference.ir.errors import AspendosError
from inference.transport import Transport
from policies.api_keys import Pepper
from policies.caller import OPERATOR, Caller
from policies.roles import Role
from tests.budget_figures import NOW
from tests.control_plane import Clock

OWNER_A = Caller(kind="user", name="owner@a.example", org_id="org_a", user_id="user_a", role=Role.OWNER)
OWNER_B = Caller(kind="user", name="owner@b.example", org_id="org_b", user_id="user_b", role=Role.OWNER)


class BudgetWorld:
    """`desk` is what a process has; its clock is the test's."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.clock = Clock(NOW)
        self.transport = Transport()
        self._machines = 0
        self.desk = self.new_desk()

    def new_desk(self) -> BudgetDesk:
        """As a process on another machine has it."""
        self._machines += 1
        return BudgetDesk(
            self.database,
            Changes(self.database),
            Drain(self.folder / "journal", self.database.engine),
            Pepper(b"a pepper for tests alone"),
            self.transport,
            folder=self.folder / f"machine{self._machines}",
            knows_model=lambda name: name in {"small", "large"},
            clock=self.clock,
        )

    async def settle(self) -> None:
        """Make `org_a` (in Istanbul) and `org_b`, both with a team named `red`."""
        now = datetime.now(UTC)
        plain: dict[str, Any] = {"tier": None, "limits": None, "tags": {}, "account": None, "created_at": now}
        async with self.database.writing() as session:
            for letter, zone in (("a", "Europe/Istanbul"), ("b", "UTC")):
                org = f"org_{letter}"
                session.add(
                    OrganisationRow(
                        id=org,
                        name=f"Org {letter}",
                        disabled=False,
                        labels={},
                        time_zone=zone,
                        currency="USD",
                        **plain,
                    )
                )
                await session.flush()
                session.add(
                    UserRow(
                        id=f"user_{letter}",
                        org_id=org,
                        email=f"owner@{letter}.example",
                        name="o",
                        role="owner",
                        disabled=False,
                        **plain,
                    )
                )
                session.add(
                    TeamRow(
                        id=f"team_{letter}",
                        org_id=org,
                        name="red",
                        models=[],
                        disabled=False,
                        labels={},
                        **plain,
                    )
                )
                await session.flush()
                session.add(
                    KeyRow(
                        id=f"key{letter}".ljust(12, "0"),
                        team_id=f"team_{letter}",
                        name="k",
                        secret_hash="0" * 64,
                        models=[],
                        features=[],
                        limits=None,
                        tags={},
                        disabled=False,
                        created_at=now,
                    )
                )

    def app(self, caller: Caller = OPERATOR) -> Litestar:
        """The budgets' routes as `caller` sees them, errors rendered as the gateway does."""

        def ours(_: Request[Any, Any, Any], error: AspendosError) -> Response[bytes]:
            status, _headers, body = render_error(error, None)
            return Response(body, status_code=status, media_type="application/json")

        def litestars(_: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
            return Response({"detail": error.detail, "extra": error.extra}, status_code=400)

        given = {"budgets": self.desk.service, "alert_targets": self.desk.targets, "caller": caller}
        return Litestar(
            route_handlers=[BudgetController, AlertTargetController],
            dependencies={name: _given(value) for name, value in given.items()},
            exception_handlers={AspendosError: ours, ValidationException: litestars},
            openapi_config=None,
            logging_config=None,
        )


def _given(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
