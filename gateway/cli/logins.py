"""`aspendos logins`: invitations, ends of logins, signing keys and trusted issuers at the terminal."""

import asyncio
import os
from typing import Annotated

from cyclopts import App, Parameter

from gateway.access.door import Door
from gateway.access.issuer_keys import IssuerKeys
from gateway.access.oidc_settings import load_issuers
from gateway.access.signing_keys import SigningKeys
from gateway.cli.control import Control, as_json, moment, record, run, table
from gateway.cli.options import Json
from gateway.database.validity import seconds
from inference.ir.errors import AspendosError
from inference.transport import Transport

app = App(name="logins", help="Let users log in: invitations, logins, signing keys, trusted issuers.")

User = Annotated[str, Parameter(help="The user's e-mail address or id.")]


@app.command
def invite(
    user: User,
    /,
    *,
    lifetime: Annotated[str, Parameter(help="How long it is good: 1m to 30d.")] = "3d",
    json: Json = False,
) -> int:
    """Make a one-time token with which a user sets a password, and show it, this once.

    The user sends it, with the new password, to POST /auth/password. One made before is void.
    """

    async def work(control: Control) -> str:
        await control.confirm()
        door = _door(control, Transport())
        invitation = await door.logins.invite(control.caller, user, lifetime=seconds(lifetime, "lifetime"))
        if json:
            return as_json(invitation)
        fields = [("user", invitation.user), ("good until", moment(invitation.expires_at, ""))]
        return f"{invitation.token}\n\nHand it over: it is not shown again.\n{record(fields)}"

    return run(work)


@app.command
def end(user: User, /, *, json: Json = False) -> int:
    """End all logins of a user. Running servers refuse their tokens within a second."""

    async def work(control: Control) -> str:
        ended = await _door(control, Transport()).logins.end_all_of(control.caller, user)
        return as_json({"ended": ended}) if json else f"Ended {ended} logins of {user}."

    return run(work)


@app.command(name="rotate-key")
def rotate_key(
    *,
    keep: Annotated[int, Parameter(help="How many older keys go on verifying.")] = 1,
    json: Json = False,
) -> int:
    """Sign access tokens with a fresh key from now on. Tokens signed before are good until they expire."""

    async def work(control: Control) -> str:
        fresh = SigningKeys(control.settings.data_dir, os.environ).rotate(keep=max(0, keep))
        if json:
            return as_json(fresh.public)
        return f"Access tokens are signed with {fresh.public.kid} from now on."

    return run(work)


@app.command
def issuers(*, json: Json = False) -> int:
    """Check the file ASPENDOS_OIDC_FILE, and fetch the keys of every issuer in it."""

    async def work(control: Control) -> str:
        settings = control.settings
        transport = Transport()
        try:
            known = load_issuers(settings.oidc_file, settings.issuer)
            states = await asyncio.gather(*(_state(IssuerKeys(one, transport)) for one in known))
        finally:
            await transport.close()
        if json:
            return as_json(
                [{"issuer": one.issuer, "keys": state} for one, state in zip(known, states, strict=True)]
            )
        if not known:
            return "No issuers are trusted: set ASPENDOS_OIDC_FILE (see docs/access.md)."
        rows = [
            (one.issuer, ", ".join(one.audiences), state) for one, state in zip(known, states, strict=True)
        ]
        return table(("ISSUER", "AUDIENCE", "KEYS"), rows)

    return run(work)


async def _state(keys: IssuerKeys) -> str:
    try:
        found = await keys.fetched()
    except AspendosError as error:
        return error.message
    return ", ".join(found) or "none usable"


def _door(control: Control, transport: Transport) -> Door:
    settings = control.settings
    return Door(
        database=control.database,
        changes=control.changes,
        pepper=control.pepper,
        transport=transport,
        environ=os.environ,
        data_dir=settings.data_dir,
        issuer=settings.issuer,
    )
