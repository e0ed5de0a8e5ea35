"""`aspendos provider-keys`: tenants' own provider keys at the terminal, and their master key's rotation.

A secret is read from standard input or an environment variable, never from an argument: those are visible to
everybody on the machine. Refuses to show one.
"""

import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from msgspec import UNSET

from gateway.cli.answer import paged
from gateway.cli.control import Control, as_json, globs, moment, record, run, shown_globs, table
from gateway.cli.options import Json
from gateway.database.master_keys import VARIABLE, MasterKeys
from gateway.database.provider_key_owners import Reach
from gateway.database.provider_key_views import ProviderKey, ProviderKeyCreate, ProviderKeyPatch
from gateway.database.provider_keys import ProviderKeyService
from gateway.database.rewrap import Rewrapped, rewrap_all, under_others
from gateway.database.vault import Vault
from inference.catalog import CatalogError, read_catalog
from inference.ir.errors import CatalogueRefused, InvalidField
from inference.key_check import KeyCheck
from inference.transport import Transport
from policies.caller import OPERATOR

app = App(
    name="provider-keys", help="Tenants' own provider keys: store, test, replace; rotate the master key."
)

Reference = Annotated[str, Parameter(help="The provider key's id, pk_...")]
Models = Annotated[
    list[str] | None,
    Parameter(negative=(), help="Globs of models it serves, such as `gpt-*`; repeatable. Without: all."),
]
Expires = Annotated[
    str | None, Parameter(help="A duration (90s, 30m, 12h, 30d, 8w) or a moment in ISO 8601.")
]
KeyFrom = Annotated[
    str | None, Parameter(help="The environment variable that holds the key. Without: standard input.")
]
Untested = Annotated[bool, Parameter(negative=(), help="Store it without asking the provider.")]

_REACH = Reach(caller=msgspec.structs.replace(OPERATOR, name="command line"))
_ROUNDS = 10


@app.command
def add(
    provider: Annotated[str, Parameter(help="The provider's name in the catalogue.")],
    /,
    *,
    organisation: Annotated[str | None, Parameter(help="Whose it is: an organisation's id or name.")] = None,
    team: Annotated[str | None, Parameter(help="Or a team's.")] = None,
    user: Annotated[str | None, Parameter(help="Or a user's.")] = None,
    key_from: KeyFrom = None,
    models: Models = None,
    fallback: Annotated[bool, Parameter(negative=(), help="Use the gateway's key where this fails.")] = False,
    expires: Expires = None,
    untested: Untested = False,
    json: Json = False,
) -> int:
    """Store a key, once the provider has taken it."""

    async def work(service: ProviderKeyService) -> str:
        wanted = ProviderKeyCreate(
            provider=provider,
            key=_secret(key_from),
            organisation=organisation,
            team=team,
            user=user,
            models=globs(models),
            fallback=fallback,
            expires=expires,
        )
        return _shown(await service.create(wanted, _REACH, untested=untested), json=json)

    return _serve(work)


@app.command(name="list")
def list_(
    *,
    owner: Annotated[str | None, Parameter(help="Only of this user, team or organisation (id).")] = None,
    provider: Annotated[str | None, Parameter(help="Only for this provider.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, up to 200.")] = 50,
    after: Annotated[str | None, Parameter(help="Go on after this key's id.")] = None,
    json: Json = False,
) -> int:
    """List the provider keys, oldest first, without their secrets."""

    async def work(service: ProviderKeyService) -> str:
        page = await service.list(_REACH, owner=owner, provider=provider, limit=limit, after=after)
        if json:
            return as_json(page)
        head = ("ID", "PROVIDER", "OWNER", "KEY", "STATE", "FALLBACK", "LAST USED", "MODELS")
        rows = [
            (
                key.id,
                key.provider,
                key.user or key.team or key.organisation,
                key.hint,
                key.status,
                "yes" if key.fallback else "no",
                moment(key.last_used_at, "never"),
                shown_globs(key.models),
            )
            for key in page.data
        ]
        text = table(head, rows)
        return paged(text, page.last_id if page.has_more else None)

    return _serve(work)


@app.command
def show(key: Reference, /, *, json: Json = False) -> int:
    """Show one key's state, without its secret."""

    async def work(service: ProviderKeyService) -> str:
        return _shown(await service.get(key, _REACH), json=json)

    return _serve(work)


@app.command
def update(
    key: Reference,
    /,
    *,
    models: Models = None,
    all_models: Annotated[bool, Parameter(negative=(), help="Let it serve every model.")] = False,
    fallback: Annotated[
        bool | None, Parameter(help="Use the gateway's key where this fails, or not.")
    ] = None,
    disabled: Annotated[bool | None, Parameter(help="Leave it unused, or use it again.")] = None,
    expires: Expires = None,
    never_expires: Annotated[bool, Parameter(negative=(), help="Lift the expiry.")] = False,
    json: Json = False,
) -> int:
    """Change a key; what is not named stays. Running servers follow within a second."""
    patch = ProviderKeyPatch(
        models=() if all_models else UNSET if models is None else globs(models),
        fallback=UNSET if fallback is None else fallback,
        disabled=UNSET if disabled is None else disabled,
        expires=None if never_expires else UNSET if expires is None else expires,
    )

    async def work(service: ProviderKeyService) -> str:
        return _shown(await service.update(key, patch, _REACH), json=json)

    return _serve(work)


@app.command
def replace(
    key: Reference, /, *, key_from: KeyFrom = None, untested: Untested = False, json: Json = False
) -> int:
    """Put another secret in place of the old one, once the provider has taken it."""

    async def work(service: ProviderKeyService) -> str:
        return _shown(await service.replace(key, _secret(key_from), _REACH, untested=untested), json=json)

    return _serve(work)


@app.command
def test(key: Reference, /, *, json: Json = False) -> int:
    """Ask the provider whether a stored key is still good; exit code 1 and its reason if not."""

    async def work(service: ProviderKeyService) -> str:
        return _shown(await service.test(key, _REACH), json=json)

    return _serve(work)


@app.command
def delete(key: Reference, /, *, json: Json = False) -> int:
    """Delete a key for good. Usage records stay."""

    async def work(service: ProviderKeyService) -> str:
        await service.delete(key, _REACH)
        return as_json({"deleted": key}) if json else f"Deleted the provider key {key}."

    return _serve(work)


@app.command
def rotate_master(
    *,
    forget_old: Annotated[
        bool, Parameter(negative=(), help="Take the old master keys out of the file once nothing needs them.")
    ] = False,
    json: Json = False,
) -> int:
    """Make a new master key and wrap every provider key's data key with it; interrupted, run it again.

    With the key in ASPENDOS_MASTER_KEY, put the new one first there and restart every gateway before. Safe while
    gateways run: the old master key opens what is not moved yet. Backups made before need the old one for ever.
    """

    async def work(control: Control) -> str:
        vault = Vault(MasterKeys(control.settings.data_dir, os.environ))
        result = await _rotate(control, vault)
        gone = 0
        if forget_old and not result.left and not vault.masters.from_variable:
            gone = vault.masters.forget_all_but(result.master)
        if json:
            return as_json(
                {"master": result.master, "moved": result.moved, "left": result.left, "forgotten": gone}
            )
        return _told(result, gone, from_variable=vault.masters.from_variable)

    return run(work)


async def _rotate(control: Control, vault: Vault) -> Rewrapped:
    newest = vault.masters.newest
    if (
        newest is not None
        and not vault.masters.from_variable
        and not await under_others(control.database, newest.id)
    ):
        vault.masters.add()  # nothing is left over from a rotation that was interrupted: begin a new one
    result = await rewrap_all(control.database, control.changes, vault)
    moved = result.moved
    for _ in range(_ROUNDS):
        if await under_others(control.database, result.master) <= len(result.left):
            break
        # A gateway still wrote under the old one meanwhile.
        result = await rewrap_all(control.database, control.changes, vault)
        moved += result.moved
    return Rewrapped(master=result.master, moved=moved, left=result.left)


def _told(result: Rewrapped, gone: int, *, from_variable: bool) -> str:
    lines = [f"{result.moved} provider keys are now under the master key {result.master}."]
    if result.left:
        lines.append(
            f"{len(result.left)} could not be opened and stay as they are: {', '.join(result.left)}. Restore their "
            "master key and run this again, or delete them."
        )
    elif from_variable:
        lines.append(f"Nothing needs the older keys in {VARIABLE} any more, except backups of the database.")
    elif gone:
        lines.append(f"{gone} old master keys were taken out of the file.")
    else:
        lines.append("The old master key stays in the file, for backups; `--forget-old` takes it out.")
    return "\n".join(lines)


def _serve(work: Callable[[ProviderKeyService], Awaitable[str]]) -> int:
    """Run one command with the service, on the catalogue and the connections of this process."""

    async def with_service(control: Control) -> str:
        await control.confirm()
        try:
            catalog = read_catalog(control.settings.config_path, os.environ)
        except CatalogError as error:
            raise CatalogueRefused(f"The catalogue cannot be read:\n{error}") from None
        transport = Transport()
        try:
            service = ProviderKeyService(
                control.database,
                control.changes,
                Vault(MasterKeys(control.settings.data_dir, os.environ)),
                control.pepper,
                check=KeyCheck(transport),
                providers=lambda: catalog.providers,
            )
            return await work(service)
        finally:
            await transport.close()

    return run(with_service)


def _secret(variable: str | None) -> str:
    if variable is not None:
        found = os.environ.get(variable, "")
        if not found:
            raise InvalidField(f"The environment variable {variable} is not set.", param="key-from")
        return found
    if sys.stdin.isatty():
        return getpass.getpass("The provider's key (not shown): ")
    return sys.stdin.readline()


def _shown(key: ProviderKey, *, json: bool) -> str:
    if json:
        return as_json(key)
    tested = moment(key.tested_at, "never")
    if key.tested_at is not None and not key.proven:
        tested += " (the provider would take any key)"
    fields = [
        ("id", key.id),
        ("provider", key.provider),
        ("owner", f"{key.scope} {key.user or key.team or key.organisation}"),
        ("key", f"{key.hint} (fingerprint {key.fingerprint})"),
        ("state", key.status),
        ("models", shown_globs(key.models)),
        ("falls back", "yes" if key.fallback else "no"),
        ("expires", moment(key.expires_at, "never")),
        ("tested", tested),
        ("created", f"{moment(key.created_at, '')} by {key.created_by or 'unknown'}"),
        ("last used", moment(key.last_used_at, "never")),
    ]
    if key.last_error is not None:
        fields.append(("last error", f"{key.last_error}, {moment(key.last_error_at, '')}"))
    if key.failing_since is not None:
        fields.append(("failing since", moment(key.failing_since, "")))
    return record(fields)
