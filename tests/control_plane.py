"""Teams, keys and a keyring on one database, with a clock the test moves."""

import time
from contextlib import suppress

from gateway.database.audit import Audit
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.holders import HolderService
from gateway.database.keyring import Keyring
from gateway.database.keys import IssuedKey, KeyCreate, KeyService
from gateway.database.members import MemberService
from gateway.database.organisations import OrganisationService
from gateway.database.teams import TeamCreate, TeamService
from gateway.database.users import UserCreate, UserService
from inference.ir.errors import Conflict
from policies.api_keys import Pepper
from policies.caller import OPERATOR, Caller
from policies.roles import Role

PEPPER = b"a pepper for tests alone"


class Clock:
    """Epoch seconds that stand still until told otherwise."""

    def __init__(self, now: float | None = None) -> None:
        self.now = float(int(time.time())) if now is None else now

    def __call__(self) -> float:
        return self.now


class Plane:
    """One process's share of the control plane. The keyring is not started: tests say when it looks."""

    def __init__(self, database: Database, redis_url: str | None = None) -> None:
        self.clock = Clock()
        self.monotonic = Clock(1000.0)
        self.database = database
        self.changes = Changes(database, redis_url)
        self.pepper = Pepper(PEPPER)
        self.organisations = OrganisationService(database, self.changes, tiers=self.tiers, clock=self.clock)
        self.teams = TeamService(database, self.changes, tiers=self.tiers, clock=self.clock)
        self.users = UserService(database, self.changes, tiers=self.tiers, clock=self.clock)
        self.members = MemberService(database, self.changes, clock=self.clock)
        self.holders = HolderService(self.changes, tiers=self.tiers)
        self.audit = Audit(database)
        self.keys = KeyService(database, self.changes, self.pepper, clock=self.clock)
        self.keyring = self.new_keyring()

    def tiers(self) -> tuple[str, ...]:
        return ("free", "pro")

    async def caller(self, email: str, role: Role, organisation: str | None = None) -> Caller:
        """A new user of an organisation, as one who asks."""
        wanted = UserCreate(email=email, role=role, organisation=organisation)
        return await self.users.caller((await self.users.create(OPERATOR, wanted)).id)

    def new_keyring(self) -> Keyring:
        return Keyring(self.database, self.changes, self.pepper, clock=self.clock, monotonic=self.monotonic)

    async def issue(
        self, *, team: str = "acme", models: tuple[str, ...] = (), expires: str | None = None
    ) -> IssuedKey:
        """A key of a team that is made if need be."""
        with suppress(Conflict):
            await self.teams.create(OPERATOR, TeamCreate(name=team))
        return await self.keys.create(
            OPERATOR, KeyCreate(team=team, name="k", models=models, expires=expires)
        )
