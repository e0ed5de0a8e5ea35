"""The first key: made once on a fresh machine and kept in a file, so that `serve` can print it again.

Refuses to be a production key: it is meant for the machine it was made on.
"""

import os
from pathlib import Path

import structlog

from gateway.database.keyring import Keyring
from gateway.database.keys import KeyCreate, KeyService
from gateway.database.pages import MOST_LISTED
from gateway.database.tables import DEFAULT_ORG
from gateway.database.teams import TeamCreate, TeamService
from inference.ir.errors import Conflict, Unauthenticated
from policies.caller import OPERATOR

TEAM = "default"
_FILE = "dev-key"

_log = structlog.stdlib.get_logger("dev_key")


async def ensure_dev_key(data_dir: Path, keyring: Keyring, teams: TeamService, keys: KeyService) -> str:
    """The key in `<data_dir>/dev-key` if it still opens the gateway, else a new one put there (mode 0600).

    Raises Unavailable when the database is away and the key in the file cannot be checked.
    """
    path = data_dir / _FILE
    if path.exists():
        kept = path.read_text().strip()
        try:
            await keyring.authenticate(kept)
        except Unauthenticated as error:
            _log.info("the kept key is replaced", reason=error.message)
        else:
            return kept
    wanted = KeyCreate(team=await _team(teams), name="made at first start")
    issued = await keys.create(OPERATOR, wanted, created_by="serve")
    _write(path, issued.key)
    return issued.key


async def _team(teams: TeamService) -> str:
    """The id of the team `default` of the organisation `default`."""
    try:
        return (await teams.create(OPERATOR, TeamCreate(name=TEAM))).id
    except Conflict:
        page = await teams.list(OPERATOR, organisation=DEFAULT_ORG, limit=MOST_LISTED)
        return next((team.id for team in page.data if team.name == TEAM), TEAM)


def _write(path: Path, key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{_FILE}-{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(key + "\n")
    draft.replace(path)
