"""Readiness: the state of everything this process leans on, asked when somebody wants to know."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from billing.journal import Journal
from gateway.catalogue import LiveCatalogue
from gateway.database.engine import Database
from gateway.database.keyring import Keyring
from gateway.provider_keys import ProviderKeys
from inference.ir.errors import AspendosError

_PATIENCE = 0.4
"""Seconds a dependency may take to say that it is there: probes give up after one."""


class State(StrEnum):
    """Worst state wins."""

    OK = "ok"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


class Readiness:
    """Traffic goes on while the database is away; it stops only when nobody could be let in or billed."""

    def __init__(
        self,
        *,
        database: Database,
        keyring: Keyring,
        own_keys: ProviderKeys,
        journal: Journal,
        catalogue: LiveCatalogue,
        stopping: Callable[[], bool],
        redis: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`redis` asks it whether it is there; None where there is none."""
        self._database = database
        self._keyring = keyring
        self._own_keys = own_keys
        self._journal = journal
        self._catalogue = catalogue
        self._stopping = stopping
        self._redis = redis

    async def check(self) -> tuple[State, dict[str, str]]:
        """The state of the whole and a word on each part."""
        parts: dict[str, tuple[State, str]] = {
            "database": await _state_of(self._database.ping),
            "keys": _degraded_unless_ok(self._keyring.state),
            "provider_keys": _degraded_unless_ok(self._own_keys.state),
            "journal": self._journal_state(),
            "catalogue": self._catalogue_state(),
        }
        if self._redis is not None:
            parts["redis"] = await _state_of(self._redis)
        if self._stopping():
            parts["process"] = (State.UNAVAILABLE, "shutting down")
        order = list(State)
        worst = max((state for state, _ in parts.values()), key=order.index)
        return worst, {name: text for name, (_, text) in parts.items()}

    def _journal_state(self) -> tuple[State, str]:
        state = self._journal.state
        if state.lost:
            return State.UNAVAILABLE, f"full: {state.lost} records lost"
        if state.backlog:
            return (
                State.DEGRADED,
                f"{state.backlog} records wait in memory after {state.failed_writes} failed writes",
            )
        if self._journal.full:
            return State.DEGRADED, "the disk is full: requests that cost something are refused"
        return State.OK, "ok"

    def _catalogue_state(self) -> tuple[State, str]:
        if self._catalogue.last_error is not None:
            return State.DEGRADED, "the last reload failed, the catalogue before it is in force"
        routable = self._catalogue.routable()
        if routable == 0:
            return State.DEGRADED, "no model can be used: every provider is off"
        return State.OK, f"ok: {routable} models"


def _degraded_unless_ok(state: str) -> tuple[State, str]:
    """What is kept in memory goes on working while it cannot be refreshed."""
    return (State.OK if state == "ok" else State.DEGRADED), state


async def _state_of(ping: Callable[[], Awaitable[None]]) -> tuple[State, str]:
    """A dependency traffic can do without for a while. One that hangs must not make the probe hang too."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await ping()
    except AspendosError as error:
        return State.DEGRADED, f"away: {error.message}"
    except TimeoutError:
        return State.DEGRADED, f"away: no answer within {_PATIENCE:g} s"
    return State.OK, "ok"
