"""Tenants' provider keys on one database: organisations, a team, users, the service and what it leans on."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete

from gateway.database.master_keys import MasterKeys
from gateway.database.provider_key_owners import Reach
from gateway.database.provider_key_views import ProviderKey, ProviderKeyCreate
from gateway.database.provider_keys import ProviderKeyService
from gateway.database.tables import OrganisationRow, TeamRow, UserRow
from gateway.database.vault import Vault
from gateway.provider_keys import ProviderKeys
from inference.ir.cards import Provider
from inference.ir.errors import AspendosError
from inference.key_check import Checked
from policies import caller as callers
from policies.caller import Caller
from policies.roles import Role
from tests.control_plane import Plane

OPERATOR = Reach(caller=callers.OPERATOR)


def reach(org: str, user: str | None = None, *, own: bool = False) -> Reach:
    """Somebody of an organisation; `own`: with their own keys alone."""
    caller = Caller(
        kind="user", name=f"{user or org}@test", org_id=f"org_{org}", user_id=user, role=Role.ADMIN
    )
    return Reach(caller=caller, own=own)


SECRET = "sk-tenant-canary-0123456789abcdef"


class FakeCheck:
    """Says of every key what it was told to say, and remembers what it was asked."""

    def __init__(self) -> None:
        self.says: Checked | AspendosError = Checked(proven=True)
        self.asked: list[tuple[str, str]] = []

    async def ask(self, provider: Provider, secret: str) -> Checked:
        self.asked.append((provider.name, secret))
        if isinstance(self.says, AspendosError):
            raise self.says
        return self.says


def card(name: str, **fields: object) -> Provider:
    return Provider(name=name, wire="openai", base_urls=("http://127.0.0.1:1/v1",), **fields)  # pyright: ignore[reportArgumentType] - fields of any type, as the test writes them


class Tenants:
    """One process's share. Its clock is the plane's."""

    def __init__(self, plane: Plane, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.plane = plane
        self.folder = folder
        self.check = FakeCheck()
        self.providers = {
            "openai": card("openai", key="sk-operators"),
            "keyless": card("keyless", off="NO_KEY is not set", lacks_key=True),
            "off": card("off", off="ADDRESS is not set"),
        }
        self.vault = Vault(MasterKeys(folder, env or {}))
        self.service = ProviderKeyService(
            plane.database,
            plane.changes,
            self.vault,
            plane.pepper,
            check=self.check,
            providers=lambda: self.providers,
            clock=plane.clock,
        )
        self.keys = self.new_view()

    def new_view(self) -> ProviderKeys:
        """What another process has in memory; it looks when the test says so."""
        return ProviderKeys(self.plane.database, self.plane.changes, self.vault, clock=self.plane.clock)

    async def settle(self) -> None:
        """Two organisations, `org_a` with two teams and two users, `org_b` with one of each."""
        common: dict[str, Any] = {"disabled": False, "tags": {}, "created_at": datetime.now(UTC)}
        async with self.plane.database.writing() as session:
            for org, teams, users in (("a", "12", "12"), ("b", "3", "3")):
                fields: dict[str, Any] = {"labels": {}, "time_zone": "UTC", "currency": "USD"}
                session.add(OrganisationRow(id=f"org_{org}", name=org, **fields, **common))
                await session.flush()
                for number in teams:
                    row = TeamRow(id=f"team_{number}", name=f"t{number}", models=[], labels={}, **common)
                    row.org_id = f"org_{org}"
                    session.add(row)
                for number in users:
                    user = UserRow(id=f"user_{number}", name=f"u{number}", role="member", **common)
                    user.org_id, user.email = f"org_{org}", f"u{number}@test"
                    session.add(user)

    async def delete_team(self, team_id: str) -> None:
        """As the teams' own service does it."""
        async with self.plane.changes.writing() as session:
            await session.execute(delete(TeamRow).where(TeamRow.id == team_id))
            await self.plane.changes.record(session, "team", team_id)

    async def store(self, *, secret: str = SECRET, provider: str = "openai", **fields: object) -> ProviderKey:
        wanted = ProviderKeyCreate(provider=provider, key=secret, **fields)  # pyright: ignore[reportArgumentType] - fields of any type, as the test writes them
        return await self.service.create(wanted, OPERATOR)
