"""The keyring against a model of it: whatever is done to keys and whose they are, in whatever order, both agree."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct

from gateway.database.engine import Database
from gateway.database.holders import kind_of
from gateway.database.keys import KeyCreate, KeyPatch
from gateway.database.organisations import OrganisationPatch
from gateway.database.teams import TeamCreate, TeamPatch
from gateway.database.users import UserCreate, UserPatch
from inference.ir.errors import AspendosError, Conflict
from policies.caller import OPERATOR
from tests.control_plane import Plane

USER = "bob@example.com"
"""In both teams. The organisation is `default`."""


class Secret(Struct):
    """One secret ever shown. `until`: when it ends for having been rotated out; 0 for at once."""

    token: str
    until: float | None = None


class ModelKey(Struct):
    """What a key should be."""

    id: str
    team: str
    secrets: list[Secret]
    user: str | None = None
    expires_at: float | None = None
    disabled: bool = False
    deleted: bool = False

    def around(self) -> list[str]:
        """Whose it is, the nearest first."""
        return [*([self.user] if self.user else []), self.team, "default"]

    def expected(self, secret: Secret, now: float, off: set[str]) -> str:
        if self.deleted or secret not in self.secrets[-2:]:
            return "invalid_api_key"
        if secret is not self.secrets[-1] and secret.until is not None and now >= secret.until:
            return "expired_api_key"
        if self.disabled:
            return "disabled_api_key"
        gone = [name for name in self.around() if name in off]
        if gone:
            return {USER: "disabled_user", "default": "disabled_organisation"}.get(
                gone[0], "disabled_api_key"
            )
        return "expired_api_key" if self.expires_at is not None and now >= self.expires_at else "ok"


class KeyringModel(RuleBasedStateMachine):
    """Time passes only when a rule says so."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "keys.db"
        shutil.copy(self.template, path)
        self.database = Database(f"sqlite:///{path}")
        self.plane = Plane(self.database)
        self.keys: list[ModelKey] = []
        self.off: set[str] = set()
        self.tiers: dict[str, str | None] = {}
        self.accounts: dict[str, str | None] = {}
        self.ids: dict[str, str] = {"default": "org_default"}

    @initialize()
    def two_teams(self) -> None:
        for name in ("a", "b"):
            self.ids[name] = self.runner.run(self.plane.teams.create(OPERATOR, TeamCreate(name=name))).id
        wanted = UserCreate(email=USER, teams=("a", "b"))
        self.ids[USER] = self.runner.run(self.plane.users.create(OPERATOR, wanted)).id
        self.runner.run(self.plane.keyring.sync())

    @rule(team=st.sampled_from("ab"), hours=st.none() | st.integers(1, 5), user=st.sampled_from((None, USER)))
    def create(self, team: str, hours: int | None, user: str | None) -> None:
        wanted = KeyCreate(team=team, name="k", user=user, expires=f"{hours}h" if hours else None)
        issued = self.runner.run(self.plane.keys.create(OPERATOR, wanted))
        expires = self.plane.clock.now + hours * 3600 if hours else None
        self.keys.append(ModelKey(issued.details.id, team, [Secret(issued.key)], user, expires))
        # A key made just now works at once, whether or not the news has arrived.
        assert self.say(issued.key) == self.keys[-1].expected(
            self.keys[-1].secrets[0], self.plane.clock.now, self.off
        )

    @precondition(lambda self: self.living())
    @rule(data=st.data(), disabled=st.booleans())
    def disable(self, data: st.DataObject, disabled: bool) -> None:
        key = data.draw(st.sampled_from(self.living()))
        self.runner.run(self.plane.keys.update(OPERATOR, key.id, KeyPatch(disabled=disabled)))
        key.disabled = disabled

    @precondition(lambda self: self.living())
    @rule(data=st.data(), hours=st.integers(0, 3), force=st.booleans())
    def rotate(self, data: st.DataObject, hours: int, force: bool) -> None:
        key = data.draw(st.sampled_from(self.living()))
        turn = self.plane.keys.rotate(OPERATOR, key.id, overlap_seconds=hours * 3600, force=force)
        two_live = len(key.secrets) > 1 and (key.secrets[-2].until or 0) > self.plane.clock.now
        if two_live and not force:
            with pytest.raises(Conflict):
                self.runner.run(turn)
            return
        issued = self.runner.run(turn)
        key.secrets[-1].until = self.plane.clock.now + hours * 3600
        key.secrets.append(Secret(issued.key))

    @precondition(lambda self: self.living())
    @rule(data=st.data(), hours=st.none() | st.integers(1, 5))
    def expire(self, data: st.DataObject, hours: int | None) -> None:
        key = data.draw(st.sampled_from(self.living()))
        patch = KeyPatch(expires=f"{hours}h" if hours else None)
        self.runner.run(self.plane.keys.update(OPERATOR, key.id, patch))
        key.expires_at = self.plane.clock.now + hours * 3600 if hours else None

    @precondition(lambda self: self.living())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.living()))
        self.runner.run(self.plane.keys.delete(OPERATOR, key.id))
        key.deleted = True

    @rule(team=st.sampled_from("ab"), disabled=st.booleans())
    def disable_team(self, team: str, disabled: bool) -> None:
        self.runner.run(self.plane.teams.update(OPERATOR, team, TeamPatch(disabled=disabled)))
        (self.off.add if disabled else self.off.discard)(team)

    @rule(disabled=st.booleans())
    def disable_user(self, disabled: bool) -> None:
        self.runner.run(self.plane.users.update(OPERATOR, USER, UserPatch(disabled=disabled)))
        (self.off.add if disabled else self.off.discard)(USER)

    @rule(disabled=st.booleans())
    def disable_organisation(self, disabled: bool) -> None:
        patch = OrganisationPatch(disabled=disabled)
        self.runner.run(self.plane.organisations.update(OPERATOR, "default", patch))
        (self.off.add if disabled else self.off.discard)("default")

    @rule(holder=st.sampled_from(("a", "b", USER, "default")), tier=st.sampled_from((None, "free", "pro")))
    def give_tier(self, holder: str, tier: str | None) -> None:
        name = self.ids[holder]
        self.runner.run(self.plane.holders.set_tier(kind_of(name), name, tier, "model"))
        self.tiers[holder] = tier

    @rule(
        holder=st.sampled_from(("a", "b", USER, "default")),
        account=st.sampled_from((None, "acct_1", "acct_2")),
    )
    def give_account(self, holder: str, account: str | None) -> None:
        self.runner.run(self.plane.holders.set_account(self.ids[holder], account))
        self.accounts[holder] = account

    @rule(hours=st.integers(1, 3))
    def time_passes(self, hours: int) -> None:
        self.plane.clock.now += hours * 3600
        self.plane.monotonic.now += hours * 3600

    @rule()
    def another_process_takes_over(self) -> None:
        self.plane.keyring = self.plane.new_keyring()

    @invariant()
    def both_agree_on_every_secret_ever_shown(self) -> None:
        self.runner.run(self.plane.keyring.sync())
        for key in self.keys:
            for secret in key.secrets:
                expected = key.expected(secret, self.plane.clock.now, self.off)
                assert self.say(secret.token) == expected, key
                if expected == "ok":
                    self.check_principal(key, secret.token)

    def check_principal(self, key: ModelKey, token: str) -> None:
        principal = self.plane.keyring.lookup(token)
        assert principal is not None
        holder = next((name for name in key.around() if self.tiers.get(name)), None)
        assert principal.tier == (self.tiers[holder] if holder else None)
        assert principal.tier_holder == (self.ids[holder] if holder else None)
        payer = next((name for name in key.around() if self.accounts.get(name)), None)
        assert principal.account == (self.accounts[payer] if payer else None)

    def living(self) -> list[ModelKey]:
        return [key for key in self.keys if not key.deleted]

    def say(self, token: str) -> str:
        try:
            self.runner.run(self.plane.keyring.authenticate(token))
        except AspendosError as error:
            return error.code
        return "ok"

    def teardown(self) -> None:
        self.runner.run(self.database.close())
        self.runner.close()
        self.folder.cleanup()


def test_the_keyring_is_what_its_model_says(tmp_path: Path) -> None:
    template = tmp_path / "empty.db"

    async def migrate() -> None:
        database = Database(f"sqlite:///{template}")
        await database.migrate()
        await database.close()

    asyncio.run(migrate())
    case = type("Case", (KeyringModel,), {"template": template}).TestCase
    case.settings = settings(
        max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    case().runTest()
