"""The rule book: for each caller, model and feature the rules a request is counted against, made once and kept.

Refuses to count and to await. A page is made anew when anything it was made from has changed: the caller, the
catalogue, the budgets, a period of a budget, an account's floor.
"""

import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

from msgspec import Struct

from billing.budgets.budget import Cap, Holder
from gateway.budget_book import quotas
from inference.ir.cards import Catalog, Model
from inference.ir.tiers import Feature, Tier
from policies.api_keys import Principal
from policies.entitlement import Scopes, rules
from policies.stores.step import Rules

_MOST_PAGES = 50_000


class Budgets(Protocol):
    """Which budgets count a caller's spending; `version` moves when they change."""

    version: int

    def caps(self, holder: Holder) -> tuple[Cap, ...]: ...


class Floors(Protocol):
    """How far below zero an account may go, in nano-USD, 0 or less; 0 for one not met yet."""

    def floor(self, account: str) -> int: ...


class _Page(Struct, frozen=True):
    """Rules, and what they were made from."""

    rules: Rules
    principal: Principal
    catalog: Catalog
    budgets: int
    floor: int


class RuleBook:
    """`rules` is the hot path: one look into a dictionary where nothing has changed."""

    def __init__(self, budgets: Budgets, floors: Floors, *, clock: Callable[[], float] = time.time) -> None:
        self._budgets = budgets
        self._floors = floors
        self._clock = clock
        self._pages: dict[tuple[object, ...], _Page] = {}

    def rules(
        self,
        principal: Principal,
        catalog: Catalog,
        model: Model,
        feature: Feature,
        *,
        tier: Tier | None,
        own_key: bool = False,
        tags: Sequence[tuple[str, str]] = (),
        spared: frozenset[str] = frozenset(),
    ) -> Rules:
        """The rules for such a request. `own_key`: a key of the caller's own pays the provider.

        `spared` are budgets that were used up and have been heeded: they count on, and refuse no more.
        """
        name = (principal.key_id, model.name, feature, own_key, tags, spared)
        page = self._pages.get(name)
        account = principal.account
        floor = 0 if account is None else self._floors.floor(account)
        if (
            page is not None
            and page.principal is principal
            and page.catalog is catalog
            and page.budgets == self._budgets.version
            and page.floor == floor
            and self._clock() < page.rules.until
        ):
            return page.rules
        caps = self._budgets.caps(_holder(principal, tags))
        made = rules(
            _scopes(principal),
            tier=tier,
            model=model,
            feature=feature,
            overrides=principal.limits,
            quotas=quotas(caps, spared=spared),
            account=account,
            floor=floor,
            until=min((float(cap.ends_at) for cap in caps), default=inf),
            byok=own_key,
        )
        if len(self._pages) >= _MOST_PAGES:
            self._pages.clear()
        self._pages[name] = _Page(made, principal, catalog, self._budgets.version, floor)
        return made


def _holder(principal: Principal, tags: Sequence[tuple[str, str]]) -> Holder:
    return Holder(
        org_id=principal.org_id,
        team_id=principal.team_id,
        user_id=principal.user_id,
        key_id=principal.key_id,
        tags=tuple(tags),
    )


def _scopes(principal: Principal) -> Scopes:
    return Scopes(
        key=principal.key_id,
        team=principal.team_id,
        user=principal.user_id,
        org=principal.org_id,
        holder=principal.tier_holder,
    )
