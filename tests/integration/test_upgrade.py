"""An installation from before there were organisations goes on: its teams, its keys, its usage."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, insert, text

from billing.reporting.records import read_page
from billing.reporting.selection import UsageFilter
from billing.tables import usage_records
from billing.usage import UsageRecord
from gateway.database import schema
from gateway.database.engine import Database
from gateway.database.teams import TeamCreate
from policies.api_keys import Pepper, new_key
from policies.caller import OPERATOR
from tests.control_plane import PEPPER, Plane


def upgrade(connection: Connection, revision: str = "0002_usage") -> None:
    """By default to the last revision without organisations."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_teams_and_keys_move_to_the_default_organisation(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url)
    numbers = iter(range(1, 10))
    key = new_key(lambda count: next(numbers).to_bytes(count))
    try:
        async with database.engine.execution_options(aspendos_writes=True).begin() as connection:
            await connection.run_sync(upgrade)
            given = {
                "at": datetime.now(UTC) if database.is_postgres else "2026-01-01 00:00:00.000000",
                "no": False,
                "hash": Pepper(PEPPER).digest(key.secret).hex(),
                "key": key.public_id,
            }
            for statement in (
                "INSERT INTO teams (id, name, models, disabled, metadata, created_at)"
                " VALUES ('team_old', 'old', '[\"gpt-*\"]', :no, '{\"a\": \"b\"}', :at)",
                "INSERT INTO api_keys (id, team_id, name, secret_hash, models, disabled, created_at, created_by)"
                " VALUES (:key, 'team_old', 'k', :hash, '[]', :no, :at, 'admin')",
            ):
                names = {name: value for name, value in given.items() if f":{name}" in statement}
                await connection.execute(text(statement), names)
        await database.migrate()
        plane = Plane(database)
        await plane.keyring.sync()
        principal = plane.keyring.lookup(key.token)
        assert principal is not None
        assert (principal.team_id, principal.team_name) == ("team_old", "old")
        assert (principal.org_id, principal.org_name, principal.team_models) == (
            "org_default",
            "default",
            ("gpt-*",),
        )
        assert (principal.tier, principal.account, principal.limits, principal.tags) == (None, None, (), {})
        team = await plane.teams.get(OPERATOR, "old")
        assert (team.organisation, team.metadata, team.keys) == ("org_default", {"a": "b"}, 1)
        assert (await plane.keys.get(OPERATOR, key.public_id)).created_by == "admin"
        await plane.teams.create(OPERATOR, TeamCreate(name="new"))
        assert (await plane.organisations.get(OPERATOR, "default")).teams == 2
    finally:
        await database.close()


async def test_usage_of_users_and_payers_is_found_after_their_indices_have_changed(database_url: str) -> None:
    database = Database(database_url)
    try:
        async with database.engine.execution_options(aspendos_writes=True).begin() as connection:
            await connection.run_sync(upgrade, "0016_no_replacing")
            await connection.execute(insert(usage_records), [_used("before", "u"), _used("nobody's", None)])
        await database.migrate()
        async with database.engine.execution_options(aspendos_writes=True).begin() as connection:
            await connection.execute(insert(usage_records), [_used("after", "u")])
        async with database.session() as session:
            page = await read_page(session, UsageFilter(user="u"), limit=10, cursor=None)
            assert {row.id for row in page.records} == {"before", "after"}
            page = await read_page(session, UsageFilter(), limit=10, cursor=None)
            assert {row.id for row in page.records} == {"before", "after", "nobody's"}
    finally:
        await database.close()


def _used(name: str, user: str | None) -> dict[str, Any]:
    record = UsageRecord(id=name, at=1, route="chat", user_id=user, duration_us=2, overhead_us=3, status=200)
    return msgspec.structs.asdict(record)
