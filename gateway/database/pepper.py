"""The pepper: where it comes from, and the alarm when it is not the one the stored keys were made with.

Refuses to be lost quietly: its check value stands in the database.
"""

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.engine import Database
from gateway.database.tables import ChangeCounterRow, FactRow, KeyRow
from inference.ir.errors import Internal, InvalidField
from policies.api_keys import Pepper

_VARIABLE = "ASPENDOS_KEY_PEPPER"
_FACT = "pepper_check"
_SHORTEST = 16


class PepperMismatch(Internal):
    """The pepper is not the one the stored keys were made with; none of them can be verified."""

    default_code = "pepper_mismatch"


def load_pepper(data_dir: Path, env: Mapping[str, str]) -> Pepper:
    """The pepper from the variable ASPENDOS_KEY_PEPPER, else from `<data_dir>/pepper`,
    made there once (mode 0600).

    Raises InvalidField for a pepper of fewer than 16 characters.
    """
    given = env.get(_VARIABLE, "").strip()
    if given:
        return Pepper(_checked(given, f"the variable {_VARIABLE}"))
    path = data_dir / "pepper"
    if not path.exists():
        _create(path)
    return Pepper(_checked(path.read_text().strip(), f"the file {path}"), str(path))


async def confirm_pepper(database: Database, pepper: Pepper) -> None:
    """Remember the pepper's check value the first time; afterwards raise PepperMismatch if it changed.

    While no key exists another pepper is taken over if it was given. One that was merely found in a data directory
    is not, where other machines may use the database: theirs would be another, and so would the keys they make.
    Raises Unavailable.
    """
    check = pepper.check_value()
    async with database.reading() as session:
        known = await session.get(FactRow, _FACT)
    if known is not None and known.value == check:
        return
    async with database.writing() as session:
        # Every writer of keys waits for this row, so no key is made with another pepper meanwhile.
        await session.execute(select(ChangeCounterRow).with_for_update())
        known = await session.get(FactRow, _FACT)
        if known is None:
            session.add(FactRow(name=_FACT, value=check))
        elif known.value != check:
            keys = (await session.execute(select(KeyRow.id).limit(1))).first() is not None
            if keys or (database.is_postgres and pepper.file is not None):
                raise _mismatch(pepper, keys=keys)
            known.value = check


async def require_pepper(session: AsyncSession, pepper: Pepper) -> None:
    """Raise PepperMismatch unless a key made now, in this transaction, can be verified by the others of the database.

    To be called when the transaction has its number in the log of changes: until it ends nobody takes another over.
    """
    check = pepper.check_value()
    known = await session.get(FactRow, _FACT)
    if known is None:
        session.add(FactRow(name=_FACT, value=check))
    elif known.value != check:
        raise _mismatch(pepper, keys=True)


def _mismatch(pepper: Pepper, *, keys: bool) -> PepperMismatch:
    ours = f"the file {pepper.file}" if pepper.file is not None else f"the variable {_VARIABLE}"
    why = (
        "no key made with one pepper can be verified with another: every request would be refused (401)"
        if keys
        else "a key made with one could not be verified by the other: it would be refused (401)"
    )
    return PepperMismatch(
        f"The key pepper, {ours}, does not belong to this database: it was first used with another pepper, and {why}. "
        f"Give every machine of this database the same one: set {_VARIABLE} to it on each, or copy the file `pepper` "
        "of the data directory it was first used with (or of your backup) to the others. If that pepper is lost, "
        f"delete every key with `aspendos keys delete`, set {_VARIABLE} and make new ones."
    )


def _checked(pepper: str, where: str) -> bytes:
    if len(pepper) < _SHORTEST:
        raise InvalidField(
            f"The key pepper in {where} has {len(pepper)} characters; at least {_SHORTEST} are needed. "
            "`openssl rand -hex 32` makes a good one.",
            param=_VARIABLE,
        )
    return pepper.encode()


def _create(path: Path) -> None:
    """Write whole, then link: of several processes starting at once, one wins and all read the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".pepper-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        Path(draft).unlink()
