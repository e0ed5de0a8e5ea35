"""`aspendos keys`: virtual keys at the terminal. Refuses to show a secret a second time."""

from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET

from gateway.cli.answer import paged
from gateway.cli.control import (
    Control,
    as_json,
    globs,
    limits,
    moment,
    pairs,
    record,
    run,
    shown_globs,
    shown_limits,
    shown_pairs,
    table,
)
from gateway.cli.options import Json, Limits, Tags
from gateway.database.keys import IssuedKey, Key, KeyCreate, KeyPatch
from gateway.database.teams import TeamCreate
from gateway.database.validity import seconds
from inference.ir.errors import NotFound

app = App(name="keys", help="Make, list, change, rotate and delete the keys clients call with.")

Reference = Annotated[str, Parameter(help="The key's public id, or its displayed prefix.")]
Models = Annotated[
    list[str] | None,
    Parameter(negative=(), help="Globs of models it may use, such as `gpt-*,local/*`; repeatable."),
]
Expires = Annotated[
    str | None, Parameter(help="A duration (90s, 30m, 12h, 30d, 8w) or a moment in ISO 8601.")
]
Features = Annotated[
    list[str] | None,
    Parameter(negative=(), help="What it may be used for, such as `chat,embeddings`; everything otherwise."),
]


@app.command
def create(
    *,
    team: Annotated[str, Parameter(help="Whose key it is: the team's id or name.")],
    name: Annotated[str, Parameter(help="What the key is for.")] = "unnamed",
    user: Annotated[str | None, Parameter(help="Who holds it: a member's id or e-mail address.")] = None,
    models: Models = None,
    features: Features = None,
    limit_to: Limits = None,
    tag: Tags = None,
    expires: Expires = None,
    create_team: Annotated[bool, Parameter(negative=(), help="Make the team if it is not there.")] = False,
    json: Json = False,
) -> int:
    """Make a key and show it, this once. Without --models it may use all its team may."""

    async def work(control: Control) -> str:
        await control.confirm()
        if create_team:
            await _ensure_team(control, team)
        wanted = KeyCreate(
            team=team,
            name=name,
            user=user,
            models=globs(models),
            features=globs(features),
            limits=limits(limit_to),
            tags=pairs(tag),
            expires=expires,
        )
        return _issued(await control.keys.create(control.caller, wanted), json=json)

    return run(work)


@app.command(name="list")
def list_(
    *,
    organisation: Annotated[str | None, Parameter(help="Only of this organisation.")] = None,
    team: Annotated[str | None, Parameter(help="Only of this team.")] = None,
    user: Annotated[str | None, Parameter(help="Only this user's.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, up to 200.")] = 50,
    after: Annotated[str | None, Parameter(help="Go on after this key's id.")] = None,
    json: Json = False,
) -> int:
    """List the keys, oldest first, without their secrets."""

    async def work(control: Control) -> str:
        page = await control.keys.list(
            control.caller, organisation=organisation, team=team, user=user, limit=limit, after=after
        )
        if json:
            return as_json(page)
        head = ("ID", "NAME", "TEAM", "USER", "STATE", "EXPIRES", "LAST USED", "MODELS")
        rows = [
            (
                key.id,
                key.name,
                key.team_name,
                key.user_email or "-",
                key.status,
                moment(key.expires_at, "never"),
                moment(key.last_used_at, "never"),
                shown_globs(key.models),
            )
            for key in page.data
        ]
        text = table(head, rows)
        return paged(text, page.last_id if page.has_more else None)

    return run(work)


@app.command
def show(key: Reference, /, *, json: Json = False) -> int:
    """Show one key, without its secret."""

    async def work(control: Control) -> str:
        return _shown(await control.keys.get(control.caller, key), json=json)

    return run(work)


@app.command
def update(
    key: Reference,
    /,
    *,
    name: Annotated[str | None, Parameter(help="A new name.")] = None,
    models: Models = None,
    all_models: Annotated[bool, Parameter(negative=(), help="Let it use all its team may.")] = False,
    features: Features = None,
    all_features: Annotated[bool, Parameter(negative=(), help="Let it be used for everything.")] = False,
    limit_to: Limits = None,
    no_limits: Annotated[bool, Parameter(negative=(), help="Lift all limits of its own.")] = False,
    tag: Tags = None,
    expires: Expires = None,
    never_expires: Annotated[bool, Parameter(negative=(), help="Lift the expiry.")] = False,
    json: Json = False,
) -> int:
    """Change a key; what is not named stays. Running servers follow within a second."""
    patch = KeyPatch(
        name=UNSET if name is None else name,
        models=() if all_models else UNSET if models is None else globs(models),
        features=() if all_features else UNSET if features is None else globs(features),
        limits=None if no_limits else UNSET if limit_to is None else limits(limit_to),
        tags=UNSET if tag is None else pairs(tag),
        expires=None if never_expires else UNSET if expires is None else expires,
    )
    return _patch(key, patch, json=json)


@app.command
def rotate(
    key: Reference,
    /,
    *,
    overlap: Annotated[str, Parameter(help="How long the old secret still works; 0s ends it now.")] = "1d",
    force: Annotated[
        bool, Parameter(negative=(), help="Even while a still older secret works, which ends at once.")
    ] = False,
    json: Json = False,
) -> int:
    """Give a key a new secret and show it, this once; its id stays."""

    async def work(control: Control) -> str:
        await control.confirm()
        return _issued(
            await control.keys.rotate(
                control.caller, key, overlap_seconds=seconds(overlap, "overlap"), force=force
            ),
            json=json,
        )

    return run(work)


@app.command
def disable(key: Reference, /, *, json: Json = False) -> int:
    """Turn a key away until it is enabled again."""
    return _patch(key, KeyPatch(disabled=True), json=json)


@app.command
def enable(key: Reference, /, *, json: Json = False) -> int:
    """Let a disabled key in again."""
    return _patch(key, KeyPatch(disabled=False), json=json)


@app.command
def delete(key: Reference, /, *, json: Json = False) -> int:
    """Delete a key for good. Its usage records stay."""

    async def work(control: Control) -> str:
        found = await control.keys.get(control.caller, key)
        await control.keys.delete(control.caller, found.id)
        return as_json({"deleted": found.id}) if json else f"Deleted the key {found.display}."

    return run(work)


def _patch(key: str, patch: KeyPatch, *, json: bool) -> int:
    async def work(control: Control) -> str:
        return _shown(await control.keys.update(control.caller, key, patch), json=json)

    return run(work)


async def _ensure_team(control: Control, team: str) -> None:
    try:
        await control.teams.get(control.caller, team)
    except NotFound:
        await control.teams.create(control.caller, TeamCreate(name=team))


def _issued(issued: IssuedKey, *, json: bool) -> str:
    if json:
        return as_json(issued)
    return f"{issued.key}\n\nKeep it: it is not shown again.\n{_shown(issued.details, json=False)}"


def _shown(key: Key, *, json: bool) -> str:
    if json:
        return as_json(key)
    fields = [
        ("id", key.id),
        ("name", key.name),
        ("team", f"{key.team_name} ({key.team_id}) of {key.organisation}"),
        ("user", f"{key.user_email} ({key.user_id})" if key.user_id else "nobody in particular"),
        ("state", key.status),
        ("models", shown_globs(key.models)),
        ("features", shown_globs(key.features)),
        ("limits", shown_limits(key.limits)),
        ("tags", shown_pairs(key.tags)),
        ("expires", moment(key.expires_at, "never")),
        ("created", f"{moment(key.created_at, '')} by {key.created_by or 'unknown'}"),
        ("last used", moment(key.last_used_at, "never")),
    ]
    if key.previous_secret_until is not None:
        fields.append(("old secret until", moment(key.previous_secret_until, "")))
    return record(fields)
