"""The keyring against a model of it: whatever is done to keys and teams, in whatever order, both agree."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct

from gateway.database.engine import Database
from gateway.database.keys import KeyPatch
from gateway.database.teams import TeamCreate, TeamPatch
from inference.ir.errors import AspendosError
from policies.caller import OPERATOR
from tests.control_plane import Plane


class Secret(Struct):
    """One secret ever shown. `until`: when it ends for having been rotated out; 0 for at once."""

    token: str
    until: float | None = None


class ModelKey(Struct):
    """What a key should be."""

    id: str
    team: str
    secrets: list[Secret]
    expires_at: float | None = None
    disabled: bool = False
    deleted: bool = False

    def expected(self, secret: Secret, now: float, teams_off: set[str]) -> str:
        if self.deleted or secret not in self.secrets[-2:]:
            return "invalid_api_key"
        if secret is not self.secrets[-1] and secret.until is not None and now >= secret.until:
            return "expired_api_key"
        if self.disabled or self.team in teams_off:
            return "disabled_api_key"
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

    @initialize()
    def two_teams(self) -> None:
        for name in ("a", "b"):
            self.runner.run(self.plane.teams.create(OPERATOR, TeamCreate(name=name)))
        self.runner.run(self.plane.keyring.sync())

    @rule(team=st.sampled_from("ab"), hours=st.none() | st.integers(1, 5))
    def create(self, team: str, hours: int | None) -> None:
        issued = self.runner.run(self.plane.issue(team=team, expires=f"{hours}h" if hours else None))
        expires = self.plane.clock.now + hours * 3600 if hours else None
        self.keys.append(ModelKey(issued.details.id, team, [Secret(issued.key)], expires))
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
    @rule(data=st.data(), hours=st.integers(0, 3))
    def rotate(self, data: st.DataObject, hours: int) -> None:
        key = data.draw(st.sampled_from(self.living()))
        issued = self.runner.run(self.plane.keys.rotate(OPERATOR, key.id, overlap_seconds=hours * 3600))
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
        max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    case().runTest()
