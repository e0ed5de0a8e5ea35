"""Blanks: one for all calls that are alike, another for each that is not, and none kept with a tenant's key."""

import gc
import weakref

import pytest
from msgspec.structs import replace

import gateway.blanks
from gateway.blanks import Blanks
from gateway.call import Call
from inference.deployment import Deployment
from inference.ir.tiers import Feature
from policies.api_keys import Principal
from policies.stores.step import Rules, Ticket
from tests.fake_answer import deployment, model
from tests.fake_edge import FakeEdge
from tests.own_key import OwnKey

CALLER = Principal(
    key_id="k", key_name="n", team_id="t", team_name="team", org_id="o", user_id="u", tier="gold"
)
RULES = Rules(account="acct")
TARGET = deployment()
MODEL = model()


def call(*, route: str = "chat", rules: Rules | None = RULES, target: Deployment | None = TARGET) -> Call:
    made = Call("req-1", route, FakeEdge())
    made.model, made.feature = MODEL, Feature.CHAT
    if target is not None:
        made.attempted(target)
    if rules is not None:
        made.ticket = Ticket(id=made.id, rules=rules, tokens=0, held=0, at=0.0)
    return made


async def test_calls_that_are_alike_share_one() -> None:
    blanks = Blanks()
    blank = blanks.of(call(), CALLER)
    assert blanks.of(call(), CALLER) is blank
    assert (blank.key_id, blank.team_id, blank.org_id, blank.user_id) == ("k", "t", "o", "u")
    assert (blank.tier, blank.account, blank.feature) == ("gold", "acct", "chat")
    assert (blank.route, blank.model, blank.price_version) == ("chat", "m", "p1")
    assert (blank.provider, blank.target, blank.byok) == ("fake", TARGET.name, False)


async def test_whatever_differs_makes_another() -> None:
    blanks = Blanks()
    first = blanks.of(call(), CALLER)
    assert blanks.of(call(), replace(CALLER, key_id="k2")).key_id == "k2"
    assert blanks.of(call(rules=Rules(account="other")), CALLER).account == "other"
    assert blanks.of(call(rules=None), CALLER).account is None
    assert blanks.of(call(route="messages"), CALLER).route == "messages"
    assert blanks.of(call(target=None), CALLER).target is None
    pictured, cheaper = call(), call()
    pictured.feature = Feature.VISION
    assert blanks.of(pictured, CALLER).feature == Feature.VISION
    cheaper.model = replace(MODEL, name="m2")
    assert blanks.of(cheaper, CALLER).model == "m2"
    assert blanks.of(call(), CALLER) is first


async def test_a_target_with_a_tenants_key_is_not_kept() -> None:
    blanks = Blanks()
    key = OwnKey("fake")
    assert blanks.of(call(target=TARGET.keyed(key)), CALLER).byok
    known = weakref.ref(key)
    del key
    gc.collect()
    assert known() is None


async def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.blanks, "_MOST", 2)
    blanks = Blanks()
    rules = [Rules(account=name) for name in "abc"]
    first, second, third = (blanks.of(call(rules=each), CALLER) for each in rules)
    assert blanks.of(call(rules=rules[2]), CALLER) is third
    assert blanks.of(call(rules=rules[0]), CALLER) is not first
    assert blanks.of(call(rules=rules[1]), CALLER) == second
