"""Entitlement: from who is calling, with which tier, for what, to the limits one request is counted against.

Pure, and refuses to count: what comes out are the rules of policies/stores/step.py, the same for equal input, to be
made once per key, model and feature and used until something changes.

Whose a limit is, and what it counts, is in the counter's key:

    w:<owner>:requests:60              requests of the owner in any 60 seconds
    w:<owner>:f=chat:tokens:3600       tokens of the owner's chat requests in any hour
    w:<owner>:m=gpt-*:requests:86400   requests of the owner to the models a glob of the tier matches
    s:<owner>[:f=...|:m=...]           requests of the owner at a time

An owner is `org_..`, `team_..`, `user_..` or `key_..`. What a tier limits has owners of its own: `<holder>/*` is
everybody under the holder's tier, `<holder>/<user>` one user of those. They are not the same as all of the holder's,
since a user with a tier of their own counts for the team but not for the team's tier.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from inference.ir.cards import Model
from inference.ir.tiers import Feature, Limits, Terms, Tier
from policies.stores.step import Quota, Rules, Slot, Unit, Window

_PERIODS = {1: "second", 60: "minute", 3_600: "hour", 86_400: "day"}
_WHOSE = {
    "org": "your organisation's",
    "team": "your team's",
    "user": "your",
    "key": "this API key's",
}

Override = tuple[str, str, Limits]
"""A limit set on somebody: what it is (`key`, `user`, `team`, `org`), its id, and how much."""


class Scopes(Struct, frozen=True, kw_only=True):
    """Everybody a request counts for, by id. `holder` is the user, team or organisation whose tier it is."""

    key: str
    team: str
    user: str | None = None
    org: str | None = None
    holder: str | None = None


class _Part(Struct, frozen=True):
    """What one set of limits counts: an owner's requests, all of them or those to a feature or some models."""

    owner: str
    only: str
    detail: str
    limits: Limits


def rules(
    scopes: Scopes,
    *,
    tier: Tier | None,
    model: Model,
    feature: Feature,
    overrides: Sequence[Override] = (),
    quotas: Sequence[Quota] = (),
    account: str | None = None,
    floor: int = 0,
    until: float = float("inf"),
    byok: bool = False,
) -> Rules:
    """Every limit that can bind, and nothing that another makes superfluous.

    A limit is left out where a stricter one counts at least the same requests over at least the same time: a
    key's 50 a minute beside its team's 20. A free model, or a call on a key of the caller's own, asks nobody for
    money: no account, no quota.
    """
    parts = [*_own(overrides), *(_of_tier(scopes, tier, model, feature) if tier else ())]
    costs_nothing = model.free or byok
    return Rules(
        windows=tuple(_windows(parts, scopes)),
        slots=tuple(_slots(parts, scopes)),
        quotas=() if costs_nothing else tuple(quotas),
        account=None if costs_nothing else account,
        floor=0 if costs_nothing else floor,
        until=until,
    )


def _own(overrides: Sequence[Override]) -> Iterable[_Part]:
    for kind, name, limits in overrides:
        yield _Part(_owner(kind, name), "", "", limits)


def _owner(kind: str, name: str) -> str:
    """Ids of keys have no prefix of their own."""
    return f"key_{name}" if kind == "key" else name


def _of_tier(scopes: Scopes, tier: Tier, model: Model, feature: Feature) -> Iterable[_Part]:
    holder = scopes.holder or scopes.org or scopes.team
    everybody, user = f"{holder}/*", f"{holder}/{scopes.user}"
    if scopes.user is None:
        user = _owner("key", scopes.key)  # a key of nobody's counts as a user of its own
    elif scopes.user == holder:
        everybody = user = holder
    name = f"tier {tier.name}"
    terms = [("", name, Terms(limits=tier.limits, per_user=tier.per_user))]
    if feature in tier.features:
        terms.append((f"f={feature}", f"{name}, {feature}", tier.features[feature]))
    for glob, some in tier.some_models.items():
        if model.name in tier.matched[glob]:
            terms.append((f"m={glob}", f"{name}, models {glob}", some))
    for only, detail, these in terms:
        yield _Part(everybody, only, detail, these.limits)
        yield _Part(user, only, detail, these.per_user)


def _windows(parts: Iterable[_Part], scopes: Scopes) -> list[Window]:
    tightest: dict[str, tuple[_Part, Window]] = {}
    for part in parts:
        for unit, rates in ((Unit.REQUESTS, part.limits.requests), (Unit.TOKENS, part.limits.tokens)):
            for seconds, limit in rates.windows():
                key = f"w:{_counter(part)}:{unit}:{seconds}"
                if key not in tightest or limit < tightest[key][1].limit:
                    window = Window(key, unit, limit, seconds, _words(part, limit, unit, seconds))
                    tightest[key] = (part, window)
    found = list(tightest.values())
    return [
        window
        for part, window in found
        if not any(
            other is not window
            and other.unit is window.unit
            and other.limit <= window.limit
            and other.seconds >= window.seconds
            and _counts_all(wider, part, scopes)
            for wider, other in found
        )
    ]


def _slots(parts: Iterable[_Part], scopes: Scopes) -> list[Slot]:
    tightest: dict[str, tuple[_Part, Slot]] = {}
    for part in parts:
        limit = part.limits.parallel
        key = f"s:{_counter(part)}"
        if limit is not None and (key not in tightest or limit < tightest[key][1].limit):
            tightest[key] = (part, Slot(key, limit, _words(part, limit, Unit.REQUESTS, None)))
    found = list(tightest.values())
    return [
        slot
        for part, slot in found
        if not any(
            other is not slot and other.limit <= slot.limit and _counts_all(wider, part, scopes)
            for wider, other in found
        )
    ]


def _counter(part: _Part) -> str:
    return f"{part.owner}:{part.only}" if part.only else part.owner


def _counts_all(wider: _Part, part: _Part, scopes: Scopes) -> bool:
    """Whether `wider` counts every request that `part` counts."""
    return wider.only in ("", part.only) and (
        wider.owner == part.owner or wider.owner in _around(part.owner, scopes)
    )


def _around(owner: str, scopes: Scopes) -> tuple[str | None, ...]:
    """Who else is charged for everything `owner` does, whoever of them asks.

    A user may be in several teams, so all of a user's requests are in none of them.
    """
    if owner == _owner("key", scopes.key):
        holder = scopes.holder
        return (scopes.user, scopes.team, scopes.org, f"{holder}/{scopes.user}", f"{holder}/*")
    if "/" in owner:
        holder, _, user = owner.partition("/")
        return (holder, scopes.org, *(() if user == "*" else (user, f"{holder}/*")))
    return (scopes.org,) if owner == scopes.team else ()


def _words(part: _Part, limit: int, unit: Unit, seconds: int | None) -> str:
    """The limit as an error says it: "your team's limit of 20 requests a minute (tier free, chat)"."""
    owner, _, user = part.owner.partition("/")
    kind = "user" if user not in ("", "*") else owner.partition("_")[0]
    whose = _WHOSE.get(kind, "the")
    noun = unit.value if limit != 1 else unit.value.removesuffix("s")
    pace = "at a time" if seconds is None else f"a{'n' if seconds == 3_600 else ''} {_PERIODS[seconds]}"
    return f"{whose} limit of {limit} {noun} {pace}{f' ({part.detail})' if part.detail else ''}"
