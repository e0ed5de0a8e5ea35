"""Usable models: what a caller may ask for by name and would be served now, and what to say of a name beside that."""

import difflib
from typing import Protocol

from gateway.routing.table import KeyFor, Route, RoutingTable
from inference.ir.cards import Kind
from inference.ir.errors import Unavailable
from inference.ir.tiers import Tier
from policies.allowlist import allowed
from policies.api_keys import Principal
from policies.tiers import includes, tier_named


class OwnKeys(Protocol):
    """Tenants' own provider keys."""

    def for_caller(
        self, org_id: str | None, team_id: str | None, user_id: str | None, model: str
    ) -> KeyFor | None: ...


def may_use(principal: Principal, asked: str, name: str) -> bool:
    """An allow-list may name a model or one of its aliases."""
    return allowed(principal, name) or (asked != name and allowed(principal, asked))


def usable(route: Route, own_keys: OwnKeys, principal: Principal, tier: Tier | None) -> bool:
    """Whether the tier includes it, and it can be reached; a key of the caller's own opens what the operator
    has none for."""
    if not includes(tier, route.model):
        return False
    ids = (principal.org_id, principal.team_id, principal.user_id)
    own = own_keys.for_caller(*ids, route.model.name) if tier is None or tier.byok else None
    return route.usable(own)


def usable_names(
    table: RoutingTable, principal: Principal, own_keys: OwnKeys, kind: Kind | None = None
) -> list[str]:
    """Every name this caller may use now, of one kind of model or of all."""
    tier = tier_named(principal.tier, table.catalog.tiers)
    return [
        name
        for name, route in table.routes.items()
        if kind in (None, route.model.kind)
        and may_use(principal, name, route.model.name)
        and usable(route, own_keys, principal, tier)
    ]


def unknown_model(
    table: RoutingTable, principal: Principal, asked: str, own_keys: OwnKeys, kind: Kind | None = None
) -> str:
    """What to say of a model that is not there, with the nearest names that would be taken in its place."""
    shown = asked if len(asked) <= 100 else asked[:100] + "…"
    names = usable_names(table, principal, own_keys, kind)
    near = difflib.get_close_matches(asked[:100], names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
    return f"The model `{shown}` does not exist here.{hint} GET /v1/models lists the models this key may use."


def switched_off(asked: str) -> Unavailable:
    """The error for a model in the catalogue that no provider can serve now."""
    return Unavailable(
        f"The model `{asked}` is in the catalogue but switched off here. "
        "`aspendos check-config` tells whoever runs the gateway why.",
        code="model_off",
        param="model",
    )
