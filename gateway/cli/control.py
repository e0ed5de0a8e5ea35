"""What commands share at the terminal: the control plane opened for one of them, and its output.

Works straight on the database, with or without a running server; running servers hear of every change.
"""

import getpass
import os
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway.cli.answer import answer
from gateway.database.audit import Audit
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.keys import KeyService
from gateway.database.members import MemberService
from gateway.database.organisations import OrganisationService, Tiers
from gateway.database.pepper import confirm_pepper, load_pepper
from gateway.database.teams import TeamService
from gateway.database.users import UserService
from gateway.settings import Settings, load_settings
from inference.ir.errors import InvalidField
from inference.ir.tiers import Limits
from policies.api_keys import Pepper
from policies.caller import Caller


class Control(Struct, frozen=True, kw_only=True):
    """The services one command works with. `confirm` raises PepperMismatch: call it before making secrets."""

    settings: Settings
    database: Database
    changes: Changes
    pepper: Pepper
    caller: Caller
    organisations: OrganisationService
    teams: TeamService
    users: UserService
    members: MemberService
    keys: KeyService
    audit: Audit
    confirm: Callable[[], Awaitable[None]]


def run(work: Callable[[Control], Awaitable[str]]) -> int:
    """Do one command's work, print what it returns; 1 and a line on standard error if it failed."""
    return answer(_with_control(work, os.environ))


async def _with_control(work: Callable[[Control], Awaitable[str]], environ: Mapping[str, str]) -> str:
    settings = load_settings(environ)
    database = Database(settings.database)
    try:
        await database.migrate()
        pepper = load_pepper(settings.data_dir, environ)
        changes = Changes(database, settings.redis_url)
        tiers = _tiers(settings.config_path, environ)
        control = Control(
            settings=settings,
            database=database,
            changes=changes,
            pepper=pepper,
            caller=Caller(kind="operator", name=f"command line ({_unix_user()})"),
            organisations=OrganisationService(database, changes, tiers=tiers),
            teams=TeamService(database, changes, tiers=tiers),
            users=UserService(database, changes, tiers=tiers),
            members=MemberService(database, changes),
            audit=Audit(database),
            keys=KeyService(database, changes, pepper),
            confirm=lambda: confirm_pepper(database, pepper),
        )
        return await work(control)
    finally:
        await database.close()


def _tiers(config_path: Path, environ: Mapping[str, str]) -> Tiers:
    """The catalogue's tiers, read when they are asked for. Raises InvalidField where it has mistakes."""

    def names() -> Container[str]:
        from inference.catalog import CatalogError, read_catalog

        try:
            return read_catalog(config_path, environ).tiers.keys()
        except CatalogError as error:
            raise InvalidField(
                f"The catalogue {config_path} has mistakes, so its tiers are not known (`aspendos check-config` lists "
                f"them): {error}",
                param="tier",
            ) from None

    return names


def _unix_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return f"uid {os.getuid()}"


def as_json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their longest cell."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def record(fields: Iterable[tuple[str, str]]) -> str:
    """Names and values, one a line."""
    pairs = list(fields)
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in pairs)


def globs(given: Sequence[str] | None) -> tuple[str, ...]:
    """Model globs as typed: the option may be repeated, and each may hold several, separated by commas."""
    return tuple(glob.strip() for item in given or () for glob in item.split(",") if glob.strip())


def shown_globs(models: Sequence[str]) -> str:
    return ", ".join(models) if models else "all"


def moment(value: datetime | None, otherwise: str) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%SZ") if value is not None else otherwise


def pairs(given: Sequence[str] | None) -> dict[str, str]:
    """Tags or labels as typed, `name=value`. Raises InvalidField."""
    found: dict[str, str] = {}
    for item in given or ():
        name, sign, text = item.partition("=")
        if not sign:
            raise InvalidField(f"{item!r}: expected name=value, such as project=atlas.")
        found[name.strip()] = text.strip()
    return found


def limits(given: Sequence[str] | None) -> Limits | None:
    """Limits as typed: `requests/minute=20`, `tokens/day=100000`, `parallel=4`. Raises InvalidField."""
    if given is None:
        return None
    wanted: dict[str, Any] = {}
    for name, text in pairs([part for item in given for part in item.split(",")]).items():
        unit, _, period = name.partition("/")
        if not text.isascii() or not text.isdigit():
            raise InvalidField(f"{name}={text}: a whole number was expected.")
        if period:
            wanted.setdefault(unit, {})[period] = int(text)
        else:
            wanted[unit] = int(text)
    try:
        return msgspec.convert(wanted, Limits)
    except msgspec.ValidationError as error:
        raise InvalidField(
            f"{error}: limits read `requests/minute=20`, `tokens/day=100000` (second, minute, hour, day) or "
            "`parallel=4`."
        ) from None


def shown_limits(given: Limits | None) -> str:
    if given is None:
        return "none"
    shown = [
        f"{unit}/{period}={count}"
        for unit, rates in (("requests", given.requests), ("tokens", given.tokens))
        for period, count in msgspec.to_builtins(rates).items()
    ]
    return ", ".join(shown + ([f"parallel={given.parallel}"] if given.parallel is not None else []))


def shown_pairs(given: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={text}" for name, text in given.items()) or "none"
