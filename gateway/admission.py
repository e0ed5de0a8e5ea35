"""Admission: who is calling, what they may use, and whether limits and credit let it through.

All rules of one request are gathered here into one decision and one step of the shared store. Money is only ever
asked for what costs something: a free model, or a provider's key of the caller's own, is never refused for it.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from billing.budgets.budget import Action, Cap
from gateway.access.bearer import bearer
from gateway.access.origin import NOWHERE, Origin
from gateway.bid import Bid
from gateway.budget_book import refusal as over_budget
from gateway.call import Call
from gateway.database.keyring import Keyring
from gateway.dialects.dialect import Dialect, Request, needing
from gateway.errand import ALREADY_SETTLED
from gateway.limits import limited, refused_headers, unpaid
from gateway.routing.table import KeyFor, Route, RoutingTable
from gateway.rule_book import RuleBook
from gateway.settlement import journal_full
from gateway.usable_models import OwnKeys, may_use, switched_off, unknown_model
from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import (
    AspendosError,
    Conflict,
    Forbidden,
    Internal,
    ModelNotFound,
    Unavailable,
)
from inference.ir.tiers import REFUSE, Disconnect, Tier
from policies.allowlist import allowed, require
from policies.api_keys import Principal, Proof
from policies.capability import incapable, lacking
from policies.ceiling import Ask, Ceiling
from policies.degrade import Proceed, Refuse, Shorten, Switch, decide
from policies.stores.step import Cold, Quota, Refused, Rules, Store, Ticket, Unit
from policies.tiers import feature_of, includes, require_feature, require_model, tier_named
from policies.tokens import looks_like_one

_UNKNOWN_OUTPUT = 512
"""Tokens that token limits are charged beforehand for an answer whose client set no maximum."""
_MOST_HELD = 2**62
"""No hold is larger: counters are 64 bits wide."""
_DRAIN = Disconnect.DRAIN
_TURNS = 8
"""How often one request may be tried again because something had to be loaded, or somebody was quicker."""


class Treasury(Protocol):
    """What stands behind the store's balances: the ledger, and the budgets' spending."""

    async def warm(self, cold: Cold) -> None:
        """Teach the store what it does not know. Raises Unavailable."""
        ...


class BudgetCaps(Protocol):
    """Where a refusing quota came from, and who hears of it."""

    def cap(self, key: str) -> Cap | None: ...

    def refused(self, cap: Cap) -> None: ...


class Tokens(Protocol):
    """Bearer tokens that are no API keys: those of logins and of trusted issuers."""

    def lookup(self, token: str) -> Principal | None: ...

    async def principal(self, token: str, origin: Origin = NOWHERE) -> Principal: ...


class Admitted(Struct, frozen=True):
    """A request let in: where it goes, with whose keys, and the maximum output to send upstream if it had to be set.

    `endless`: it pays, and nobody set an end to its answer.
    """

    route: Route
    key_for: KeyFor | None = None
    max_output: int | None = None
    endless: bool = False


class Admission:
    """Decides from memory and the store; only a key never seen here costs a database read."""

    def __init__(
        self,
        keyring: Keyring,
        *,
        tokens: Tokens | None = None,
        rule_book: RuleBook,
        store: Store,
        treasury: Treasury,
        budgets: BudgetCaps,
        own_keys: OwnKeys,
        clock: Callable[[], float],
        full: Callable[[], bool] = lambda: False,
    ) -> None:
        """`full`: what a request costs could not be recorded now."""
        self._keyring = keyring
        self._tokens = tokens
        self._rule_book = rule_book
        self._store = store
        self._treasury = treasury
        self._budgets = budgets
        self._own_keys = own_keys
        self._clock = clock
        self._full = full

    async def principal(
        self, authorization: bytes | None, origin: Origin = NOWHERE, proof: Proof | None = None
    ) -> Principal:
        """The caller. Raises MissingKey, UnknownKey, ExpiredKey, DisabledKey, TokenRefused, Forbidden for a token
        whose holder is in no team, or Unavailable when nobody knows.

        What a key proves is noted in `proof`, for `again`.
        """
        token = bearer(authorization)
        if self._tokens is not None and looks_like_one(token):
            holder = self._tokens.lookup(token)
            return holder if holder is not None else await self._tokens.principal(token, origin)
        known = self._keyring.lookup(token, proof)
        return known if known is not None else await self._keyring.authenticate(token)

    def again(self, proof: Proof) -> Principal | None:
        """The caller whose key was found to prove this before, without hashing its secret again; None where it has
        to be looked at anew. Raises ExpiredKey."""
        return self._keyring.again(proof)

    def route(
        self, table: RoutingTable, principal: Principal, request: Request, kind: Kind, call: Call
    ) -> Route:
        """The route to the model asked for. Raises ModelNotFound or ModelNotAllowed."""
        route = table.routes.get(request.model)
        if route is None:
            said = unknown_model(table, principal, request.model, self._own_keys, kind)
            raise ModelNotFound(said, param="model")
        model = call.model = route.model
        if not may_use(principal, request.model, model.name):
            require(principal, request.model)
        if model.kind is not kind:
            raise ModelNotFound(
                f"The model `{request.model}` is of kind `{model.kind}` and cannot be used here: "
                f"this route takes models of kind `{kind}`.",
                param="model",
                code="wrong_model_kind",
                status=400,
            )
        return route

    def require_capabilities(
        self,
        table: RoutingTable,
        principal: Principal,
        request: Request,
        route: Route,
        *,
        dialect: Dialect,
        body: bytes,
    ) -> None:
        """Raises InvalidField for what the model does not take, naming models of the caller's that do."""
        asking = needing(dialect)
        if asking is None:
            return
        model = route.model
        need = lacking(model, route.needed(asking.needs(body), dialect.route))
        if need is not None:
            others = (
                other.model
                for other in table.routes.values()
                if other.model.kind is model.kind
                and other.model.targets
                and allowed(principal, other.model.name)
            )
            raise incapable(request.model, need, others)

    async def admit(
        self, call: Call, table: RoutingTable, principal: Principal, request: Request, route: Route
    ) -> Admitted:
        """Count the request and hold what it may cost. From here on the call has a ticket to settle.

        Raises ModelNotAllowed, Forbidden, RateLimited, PaymentRequired or Unavailable, and then nothing was
        counted or held.
        """
        catalog = table.catalog
        tier = call.tier = tier_named(principal.tier, catalog.tiers)
        feature = call.feature = feature_of(
            route.model.kind, images=request.pictures > 0, audio=request.audio
        )
        if principal.tags or request.tags or call.tags:
            # What is on the key, or on whom it belongs to, is the operator's word: a budget may hang on it.
            call.tags = {**call.tags, **(request.tags or {}), **principal.tags}
        if tier is not None or principal.features:
            require_model(tier, route.model, request.model, catalog.tiers)
            require_feature(tier, feature, catalog.tiers, granted=principal.features)
        key_for = self._own_keys.for_caller(
            principal.org_id, principal.team_id, principal.user_id, route.model.name
        )
        if key_for is not None and tier is not None and not tier.byok:
            if route.only_own(key_for):
                raise Forbidden(
                    f"The tier {tier.name!r} does not allow provider keys of one's own, and the one stored for "
                    f"`{route.model.name}` may not fall back to the gateway's: nothing is billed in its stead. "
                    "Delete or disable it under /admin/v1/provider-keys, or change the tier.",
                    code="own_keys_not_in_tier",
                )
            key_for = None
        own_key = key_for is not None and route.only_own(key_for)
        if not own_key and not route.model.targets:
            raise switched_off(request.model)
        pays = not own_key and not route.model.free
        if pays and self._full():
            raise journal_full()
        if pays and tier is not None and tier.credits_per_month and principal.account is None:
            raise Unavailable(
                "The account that this tier's credits go to is being opened; try again in a moment.",
                code="account_opening",
                retry_after=1.0,
            )
        bid = Bid(call, table, principal, request, route, feature=feature, own_key=own_key)
        for _ in range(_TURNS):
            rules = self._rules(bid)
            amount = min(bid.most.amount, _MOST_HELD) if rules.account or rules.quotas else 0
            tokens = charged_tokens(bid.ask, bid.most, rules) if rules.windows else 0
            verdict = await self._store.admit(call.id, rules, tokens=tokens, amount=amount)
            if isinstance(verdict, Ticket):
                call.ticket = verdict
                model = call.model = bid.route.model
                disconnect = model.disconnect or (tier.disconnect if tier is not None else None)
                call.drain = disconnect is _DRAIN
                endless = amount > 0 and bid.most.assumed
                cut = bid.most.output if endless and not request.stream else bid.cut
                return Admitted(bid.route, key_for, cut, endless and request.stream)
            if isinstance(verdict, Cold):
                await self._treasury.warm(verdict)
            elif verdict.by is None and verdict.account is None:
                raise _settled_before()
            elif verdict.by is None:
                self._lower(bid, rules, verdict)
            elif isinstance(verdict.by, Quota):
                self._heed(bid, verdict)
            else:
                raise _with_headers(limited(verdict, tokens), verdict)
        raise Unavailable(
            "The counters did not come to rest; send the request again.", code="busy", retry_after=1.0
        )

    def _rules(self, bid: Bid) -> Rules:
        call = bid.call
        return self._rule_book.rules(
            bid.principal,
            bid.table.catalog,
            bid.route.model,
            bid.feature,
            tier=call.tier,
            own_key=bid.own_key,
            tags=tuple(sorted(call.tags.items())) if call.tags else (),
            spared=bid.spared,
        )

    def _lower(self, bid: Bid, rules: Rules, refused: Refused) -> None:
        """Bid for what the credit left covers, as the tier says. Raises PaymentRequired where it says no."""
        tier = bid.call.tier
        rule = tier.when_empty if tier is not None else REFUSE
        other = self._allowed(bid, rule.model)
        decision = decide(
            bid.route.model,
            bid.ask,
            have=refused.remaining,
            rule=rule,
            other=None if other is None else other.model,
        )
        match decision:
            case Refuse():
                error = unpaid(decision.needs, decision.missing, decision.affords, rules.account or "unknown")
                raise _with_headers(error, refused)
            case Shorten():
                bid.lower(decision.ceiling, decision.max_output)
            case Switch() if other is not None:
                bid.turn_to(other)
                bid.lower(decision.ceiling, None)
            case Switch() | Proceed():  # somebody's hold was settled between: bid again
                bid.lower(decision.ceiling, bid.cut)

    def _heed(self, bid: Bid, refused: Refused) -> None:
        """Do what a used-up budget says: another model, or PaymentRequired."""
        quota = refused.by
        cap = self._budgets.cap(quota.key) if isinstance(quota, Quota) else None
        if cap is None:
            raise Internal("A budget refused that is in no book.")
        self._budgets.refused(cap)
        if cap.budget.action is Action.DOWNGRADE and cap.budget.id not in bid.spared:
            other = self._cheaper(bid, cap.budget.downgrade_to)
            if other is not None:
                bid.turn_to(other)
                bid.spared |= {cap.budget.id}
                return
        raise _with_headers(
            over_budget(cap, refused.remaining, self._clock(), needs=bid.most.amount), refused
        )

    def _allowed(self, bid: Bid, name: str | None) -> Route | None:
        """The route to a model that shall step in, if this caller may use it and it can be reached."""
        route = bid.table.routes.get(name) if name is not None else None
        if route is None or not route.model.targets or not _open(route.model, bid.principal, bid.call.tier):
            return None
        return route

    def _cheaper(self, bid: Bid, name: str | None) -> Route | None:
        """The model a budget names, else the cheapest of the kind that this caller may use."""
        if name is not None:
            return self._allowed(bid, name)
        model = bid.route.model
        price = _price(model)
        found = [
            other
            for other in {id(each): each for each in bid.table.routes.values()}.values()
            if other.model.kind is model.kind
            and other.model.targets
            and _sold_alike(other.model, model)
            and _price(other.model) < price
            and _open(other.model, bid.principal, bid.call.tier)
        ]
        return min(found, key=lambda each: (_price(each.model), each.model.name), default=None)


def _settled_before() -> Conflict:
    """For a call whose id the counters know as ended: an errand whose answer was lost. Others have ids of their own."""
    error = Conflict("This call was settled before.", code="already_settled")
    error.headers = ((ALREADY_SETTLED, b"true"),)
    return error


def _open(model: Model, principal: Principal, tier: Tier | None) -> bool:
    """Whether allow-lists and tier include a model."""
    return allowed(principal, model.name) and includes(tier, model)


def charged_tokens(ask: Ask, most: Ceiling, rules: Rules) -> int:
    """What token limits are charged before the answer: the prompt's estimate and the output asked for.

    Corrected to what was used once that is known. Never more than a limit holds: a client's generous maximum
    must not keep out a request that a limit could let through.
    """
    if not rules.windows:
        return 0
    limits = [window.limit for window in rules.windows if window.unit is Unit.TOKENS]
    if not limits:
        return 0
    output = ask.max_output
    output = _UNKNOWN_OUTPUT if output is None and most.output else min(output or 0, most.output)
    prompt = ask.prompt
    return max(prompt, min(prompt + output * most.answers, *limits))


def _price(model: Model) -> int:
    """A figure by which to tell the cheaper of two models that are sold alike."""
    if model.free:
        return 0
    price = model.price
    tokens = price.input + price.output
    if model.kind is Kind.CHAT:
        return tokens
    return price.per_image + price.per_hour + price.per_million_characters + price.per_search or tokens


def _sold_alike(one: Model, other: Model) -> bool:
    """Whether both are sold by the same measures; a free model is cheaper than any."""
    return one.free or other.free or _measures(one.price) == _measures(other.price)


def _measures(price: Price) -> tuple[bool, ...]:
    by_token = price.input > 0 or price.output > 0
    units = (price.per_image, price.per_hour, price.per_million_characters, price.per_search)
    return (by_token, *map(bool, units))


def _with_headers(error: AspendosError, refused: Refused) -> AspendosError:
    error.headers = tuple(refused_headers(refused))
    return error
