"""The rules of one request: by hand, and against a count of every limit that never leaves one out."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from inference.ir.cards import Kind, Model, Price
from inference.ir.tiers import NO_LIMITS, Feature, Limits, Rates, Terms, Tier
from policies.entitlement import Override, Scopes, rules
from policies.stores.step import Quota, Rules, Unit

PRICE = Price(input=1_000_000_000, output=2_000_000_000, version="v")
MODELS = {name: Model(name=name, kind=Kind.CHAT, price=PRICE) for name in ("gpt-5", "llama")}
SCOPES = Scopes(key="k1", team="team_a", user="user_u", org="org_o", holder="team_a")


def tier(**given: Any) -> Tier:
    return Tier(name="free", **given)


def made(plan: Tier | None, *, scopes: Scopes = SCOPES, model: str = "gpt-5", **given: Any) -> Rules:
    feature = given.pop("feature", Feature.CHAT)
    return rules(scopes, tier=plan, model=MODELS[model], feature=feature, **given)


def keys(found: Rules) -> dict[str, int]:
    return {window.key: window.limit for window in found.windows} | {s.key: s.limit for s in found.slots}


def per(**rates: int) -> Limits:
    return Limits(requests=Rates(**rates))


def test_nothing_limits_whoever_has_no_tier_and_no_limits() -> None:
    assert made(None) == Rules()


def test_a_tier_counts_for_its_holder_and_for_each_user() -> None:
    plan = tier(
        limits=Limits(requests=Rates(minute=20), tokens=Rates(minute=900), parallel=2),
        per_user=Limits(requests=Rates(second=1), parallel=1),
    )
    found = made(plan)
    assert keys(found) == {
        "w:team_a/*:requests:60": 20,
        "w:team_a/*:tokens:60": 900,
        "w:team_a/user_u:requests:1": 1,
        "s:team_a/*": 2,
        "s:team_a/user_u": 1,
    }
    assert [window.scope for window in found.windows] == [
        "your team's limit of 20 requests a minute (tier free)",
        "your team's limit of 900 tokens a minute (tier free)",
        "your limit of 1 request a second (tier free)",
    ]
    assert [slot.scope for slot in found.slots] == [
        "your team's limit of 2 requests at a time (tier free)",
        "your limit of 1 request at a time (tier free)",
    ]
    assert [window.unit for window in found.windows] == [Unit.REQUESTS, Unit.TOKENS, Unit.REQUESTS]


def test_a_user_who_holds_the_tier_is_its_only_user() -> None:
    plan = tier(limits=per(minute=20), per_user=per(minute=5, hour=90))
    found = made(plan, scopes=Scopes(key="k1", team="team_a", user="user_u", org="org_o", holder="user_u"))
    assert keys(found) == {"w:user_u:requests:60": 5, "w:user_u:requests:3600": 90}


def test_a_key_of_nobody_is_a_user_of_its_own() -> None:
    found = made(tier(per_user=per(minute=5)), scopes=Scopes(key="k1", team="team_a", holder="team_a"))
    assert keys(found) == {"w:key_k1:requests:60": 5}
    assert found.windows[0].scope == "this API key's limit of 5 requests a minute (tier free)"


def test_a_feature_and_some_models_have_limits_of_their_own() -> None:
    plan = tier(
        features={Feature.VISION: Terms(limits=per(second=1), per_user=per(hour=300))},
        some_models={"gpt-*": Terms(limits=per(day=50))},
        matched={"gpt-*": frozenset({"gpt-5"})},
    )
    assert keys(made(plan, feature=Feature.VISION)) == {
        "w:team_a/*:f=vision:requests:1": 1,
        "w:team_a/user_u:f=vision:requests:3600": 300,
        "w:team_a/*:m=gpt-*:requests:86400": 50,
    }
    assert keys(made(plan, model="llama")) == {}
    assert {window.scope for window in made(plan, feature=Feature.VISION).windows} == {
        "your team's limit of 1 request a second (tier free, vision)",
        "your limit of 300 requests an hour (tier free, vision)",
        "your team's limit of 50 requests a day (tier free, models gpt-*)",
    }


def test_limits_of_ones_own_are_added() -> None:
    own: list[Override] = [
        ("key", "k1", per(minute=5)),
        ("user", "user_u", per(minute=6)),
        ("team", "team_a", per(second=7)),
        ("org", "org_o", Limits(tokens=Rates(day=8), parallel=9)),
    ]
    found = made(None, overrides=own)
    assert keys(found) == {
        "w:key_k1:requests:60": 5,
        "w:user_u:requests:60": 6,
        "w:team_a:requests:1": 7,
        "w:org_o:tokens:86400": 8,
        "s:org_o": 9,
    }
    assert found.windows[0].scope == "this API key's limit of 5 requests a minute"
    assert found.windows[3].scope == "your organisation's limit of 8 tokens a day"


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ([("key", "k1", per(minute=50)), ("team", "team_a", per(minute=20))], {"w:team_a:requests:60"}),
        ([("key", "k1", per(minute=50)), ("org", "org_o", per(hour=50))], {"w:org_o:requests:3600"}),
        (
            [("key", "k1", per(minute=50)), ("team", "team_a", per(second=50))],
            {"w:key_k1:requests:60", "w:team_a:requests:1"},
        ),
        (
            [("user", "user_u", per(minute=50)), ("team", "team_a", per(minute=20))],
            {"w:user_u:requests:60", "w:team_a:requests:60"},
        ),
        ([("team", "team_a", per(minute=9, hour=9))], {"w:team_a:requests:3600"}),
        ([("team", "team_a", per(minute=9)), ("team", "team_a", per(minute=8))], {"w:team_a:requests:60"}),
    ],
    ids=["its team's", "a longer time", "a shorter time", "another's", "its own longer", "twice"],
)
def test_a_limit_that_cannot_bind_is_left_out(own: list[Override], left: set[str]) -> None:
    assert set(keys(made(None, overrides=own))) == left


def test_the_limits_of_a_tier_do_not_stand_in_for_its_holders_own() -> None:
    """Somebody of the team with a tier of their own is not under the team's tier, but is of the team."""
    found = made(tier(limits=per(minute=5)), overrides=[("team", "team_a", per(minute=20))])
    assert set(keys(found)) == {"w:team_a:requests:60", "w:team_a/*:requests:60"}


def test_the_limits_of_one_team_do_not_stand_in_for_a_users_of_two() -> None:
    org = Scopes(key="k1", team="team_a", user="user_u", org="org_o", holder="org_o")
    found = made(tier(per_user=per(minute=9)), scopes=org, overrides=[("team", "team_a", per(minute=5))])
    assert set(keys(found)) == {"w:team_a:requests:60", "w:org_o/user_u:requests:60"}


def test_what_costs_nothing_asks_nobody_for_money() -> None:
    quota = Quota("q:team_a:2026-11", 5, 1.0)
    paid = made(None, quotas=[quota], account="acct_team_a", floor=-5, until=1.0)
    assert (paid.quotas, paid.account, paid.floor, paid.until) == ((quota,), "acct_team_a", -5, 1.0)
    own = made(None, quotas=[quota], account="acct_team_a", floor=-5, byok=True)
    assert (own.quotas, own.account, own.floor) == ((), None, 0)
    free = Model(name="f", kind=Kind.CHAT, price=PRICE, free=True)
    found = rules(SCOPES, tier=None, model=free, feature=Feature.CHAT, quotas=[quota], account="acct_team_a")
    assert (found.quotas, found.account) == ((), None)


def test_the_same_question_has_the_same_answer() -> None:
    plan = tier(limits=per(minute=20, hour=200), features={Feature.CHAT: Terms(limits=per(second=2))})
    assert made(plan, overrides=[("key", "k1", per(day=7))]) == made(
        plan, overrides=[("key", "k1", per(day=7))]
    )


# ---- leaving limits out changes nothing


class Asked(Struct, frozen=True):
    """One request of the world below."""

    key: str
    team: str
    user: str | None
    feature: Feature
    model: str
    tokens: int
    at: int


class World(Struct, frozen=True):
    """Who has which tier, and which limits of their own. `user_u` is in both teams."""

    holders: dict[str, Tier]
    own: dict[tuple[str, str], Limits]

    def holder(self, asked: Asked) -> str | None:
        nearest = (asked.user, asked.team, "org_o")
        return next((name for name in nearest if name in self.holders), None)


KEYS = (("k1", "team_a", "user_u"), ("k2", "team_a", None), ("k3", "team_b", "user_u"), ("k4", "team_b", "v"))
OWNERS = ("user_u", "user_v", "team_a", "team_b", "org_o")
Which = Callable[[Asked], bool]
Limit = tuple[Which, Unit | None, int, int]
"""Which requests it counts, what of them (None: how many at a time), how many, in how many seconds."""


def every_limit(world: World) -> Iterator[Limit]:
    """Each limit as the documentation has it, by a condition on requests instead of a counter's key."""
    for (kind, name), limits in world.own.items():
        yield from _spelt(limits, partial(_is_of, kind, name))
    for name, plan in world.holders.items():
        for which, terms in _parts(plan):
            under = partial(_under, world, name, which)
            yield from _spelt(terms.limits, under)
            for who in ("k1", "k2", "k3", "k4", "user_u", "user_v"):
                yield from _spelt(terms.per_user, partial(_one, who, under))


def _parts(plan: Tier) -> Iterator[tuple[Which, Terms]]:
    yield lambda asked: True, Terms(limits=plan.limits, per_user=plan.per_user)
    for feature, terms in plan.features.items():
        yield partial(_makes_use, feature), terms
    for glob, terms in plan.some_models.items():
        yield partial(_goes_to, plan.matched[glob]), terms


def _makes_use(feature: Feature, asked: Asked) -> bool:
    return asked.feature is feature


def _goes_to(models: frozenset[str], asked: Asked) -> bool:
    return asked.model in models


def _under(world: World, holder: str, which: Which, asked: Asked) -> bool:
    return world.holder(asked) == holder and which(asked)


def _one(who: str, under: Which, asked: Asked) -> bool:
    return who == (asked.user or asked.key) and under(asked)


def _is_of(kind: str, name: str, asked: Asked) -> bool:
    return name == {"key": asked.key, "user": asked.user, "team": asked.team, "org": "org_o"}[kind]


def _spelt(limits: Limits, which: Which) -> Iterator[Limit]:
    for seconds, limit in limits.requests.windows():
        yield which, Unit.REQUESTS, limit, seconds
    for seconds, limit in limits.tokens.windows():
        yield which, Unit.TOKENS, limit, seconds
    if limits.parallel is not None:
        yield which, None, limits.parallel, HOLDS


HOLDS = 40
"""Seconds a request takes here, so that slots are windows too."""


def allowed_by_all(world: World, asked: Asked, before: list[Asked]) -> bool:
    for which, unit, limit, seconds in every_limit(world):
        if which(asked):
            counted = [a for a in before if which(a) and asked.at - a.at < seconds]
            amount = asked.tokens if unit is Unit.TOKENS else 1
            if sum(a.tokens if unit is Unit.TOKENS else 1 for a in counted) + amount > limit:
                return False
    return True


class Counters:
    """Exact counters by key, fed only by the requests whose rules name them, as the stores are."""

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[int, int]]] = {}

    def admit(self, asked: Asked, found: Rules) -> bool:
        wanted = [
            (w.key, w.limit, w.seconds, asked.tokens if w.unit is Unit.TOKENS else 1) for w in found.windows
        ] + [(s.key, s.limit, HOLDS, 1) for s in found.slots]
        for key, limit, seconds, amount in wanted:
            inside = (took for at, took in self._seen.get(key, []) if asked.at - at < seconds)
            if sum(inside) + amount > limit:
                return False
        for key, _, _, amount in wanted:
            self._seen.setdefault(key, []).append((asked.at, amount))
        return True


few = st.none() | st.integers(1, 6)
rates = st.builds(Rates, second=few, minute=few, hour=few, day=few)
limits = st.just(NO_LIMITS) | st.builds(Limits, requests=rates, tokens=rates, parallel=few)
terms = st.builds(Terms, limits=limits, per_user=limits)
tiers = st.builds(
    Tier,
    name=st.just("t"),
    limits=limits,
    per_user=limits,
    features=st.dictionaries(st.sampled_from([Feature.CHAT, Feature.VISION]), terms, max_size=2),
    some_models=st.dictionaries(st.just("gpt-*"), terms),
    matched=st.just({"gpt-*": frozenset({"gpt-5"})}),
)
owners = st.sampled_from(
    [
        ("key", "k1"),
        ("key", "k3"),
        ("user", "user_u"),
        ("team", "team_a"),
        ("team", "team_b"),
        ("org", "org_o"),
    ]
)
worlds = st.builds(
    World,
    holders=st.dictionaries(st.sampled_from(OWNERS), tiers, max_size=3),
    own=st.dictionaries(owners, limits, max_size=4),
)
asks = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from([Feature.CHAT, Feature.VISION]),
    st.sampled_from(sorted(MODELS)),
    st.integers(1, 3),
    st.sampled_from([0, 0, 1, 30, 70, 2_000, 5_000]),
)


@settings(max_examples=300, deadline=None)
@given(worlds, st.lists(asks, max_size=25))
def test_the_rules_let_through_just_what_every_limit_together_lets_through(
    world: World, stream: list[tuple[tuple[str, str, str | None], Feature, str, int, int]]
) -> None:
    counters, let_in, now = Counters(), list[Asked](), 0
    for (key, team, user), feature, model, tokens, wait in stream:
        now += wait
        asked = Asked(key, team, "user_v" if user == "v" else user, feature, model, tokens, now)
        holder = world.holder(asked)
        found = rules(
            Scopes(key=key, team=team, user=asked.user, org="org_o", holder=holder),
            tier=world.holders[holder] if holder else None,
            model=MODELS[model],
            feature=feature,
            overrides=[
                (kind, name, own) for (kind, name), own in world.own.items() if _is_of(kind, name, asked)
            ],
        )
        expected = allowed_by_all(world, asked, let_in)
        assert counters.admit(asked, found) is expected
        if expected:
            let_in.append(asked)
