"""GET /v1/account: what a key is, whose, and how much it may still do. For its holder; changes nothing."""

from typing import Any, Protocol, runtime_checkable

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from msgspec import Struct

from gateway.balances import Balances
from gateway.catalogue import LiveCatalogue
from gateway.limits import credits_text
from gateway.tier_view import TierView, tier_view
from inference.ir.tiers import Limits
from policies.api_keys import Principal, display


@runtime_checkable
class Callers(Protocol):
    """Knows who a key is: the admission of requests."""

    async def principal(self, authorization: bytes | None) -> Principal:
        """Raises MissingKey, UnknownKey, ExpiredKey, DisabledKey or Unavailable."""
        ...


class Named(Struct, frozen=True, kw_only=True):
    """Somebody, by id and by name."""

    id: str
    name: str | None


class KeyPart(Struct, frozen=True, kw_only=True):
    """The key, as far as it may be shown. Empty lists: every model, every feature."""

    id: str
    name: str
    models: list[str]
    features: list[str]


class OwnLimits(Struct, frozen=True, kw_only=True):
    """Limits set on the key, or on its user, team or organisation (`of`), beside those of the tier."""

    of: str
    id: str
    limits: Limits


class BalanceView(Struct, frozen=True, kw_only=True):
    """What is left to spend, beside what requests under way hold. 100 credits are 1 US dollar; exact decimals."""

    account: str
    credits: str
    nano_usd: int


class AccountView(Struct, frozen=True, kw_only=True):
    """Everything that decides what a key may do.

    `tier_name` is that of the nearest of user, team and organisation that has one (`tier_of`); `tier` is null where
    there is none, or where the catalogue does not have it. `balance` is null where nobody pays.
    """

    key: KeyPart
    user: Named | None
    team: Named
    organisation: Named | None
    tier_name: str | None
    tier_of: str | None
    tier: TierView | None
    limits: list[OwnLimits]
    tags: dict[str, str]
    balance: BalanceView | None


class AccountController(Controller):
    """One route, for whoever holds a key."""

    path = "/v1/account"
    tags = ("Gateway",)

    @get("/", summary="This key: its tier, limits and balance", operation_id="getKeyAccount")
    async def account(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Callers],
        catalogue: NamedDependency[LiveCatalogue],
        balances: NamedDependency[Balances],
    ) -> AccountView:
        """Limits of the tier are under `tier`; those set on the key, its user, team and organisation under `limits`."""
        header = request.headers.get("authorization")
        caller = await admission.principal(
            header.encode("latin-1", "replace") if header is not None else None
        )
        catalog = catalogue.catalog
        tier = catalog.tiers.get(caller.tier) if caller.tier is not None else None
        return AccountView(
            key=KeyPart(
                id=display(caller.key_id),
                name=caller.key_name,
                models=list(caller.models),
                features=list(caller.features),
            ),
            user=_named(caller.user_id, caller.user_name),
            team=Named(id=caller.team_id, name=caller.team_name),
            organisation=_named(caller.org_id, caller.org_name),
            tier_name=caller.tier,
            tier_of=caller.tier_holder,
            tier=None if tier is None else tier_view(tier, catalog),
            limits=[
                OwnLimits(of=kind, id=display(name) if kind == "key" else name, limits=limits)
                for kind, name, limits in caller.limits
            ],
            tags=caller.tags,
            balance=await _balance(caller.account, balances),
        )


def _named(name_id: str | None, name: str | None) -> Named | None:
    return None if name_id is None else Named(id=name_id, name=name)


async def _balance(account: str | None, balances: Balances) -> BalanceView | None:
    if account is None:
        return None
    nano = await balances.available(account)
    return BalanceView(account=account, credits=credits_text(nano), nano_usd=nano)
