"""What tiers in a good file mean; the words of a bad one are in tests/golden/catalog_mistakes.txt."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import catalog as module
from inference.catalog import CatalogError, load_catalog, read_catalog
from inference.catalog.tiers import SHORTEST
from inference.ir.cards import Catalog
from inference.ir.tiers import REFUSE, Disconnect, Feature, Limits, Rates, Terms, Tier, WhenEmpty

SHIPPED = Path(module.__file__).resolve().parents[2] / "config" / "models.yaml"
HEAD = """\
version: 1
providers:
  here: {wire: openai, base_url: "http://h/v1"}
  away: {wire: openai, base_url: "http://a/v1", key: {env: AWAY_KEY}}
models:
  tiny: {kind: chat, free: true, aliases: [gpt-nano], targets: [{provider: here, model: x}]}
  gpt-5: {kind: chat, price: {input: 1, output: 2}, targets: [{provider: away, model: gpt-5}]}
  both:
    kind: chat
    price: {input: 1, output: 2}
    targets: [{provider: here, model: y}, {provider: away, model: z, cost: {input: 0.5, output: 1}}]
tiers:
"""


def load(text: str) -> Catalog:
    return load_catalog(HEAD + text, source="c.yaml", environ={"AWAY_KEY": "k"})


def tier(body: str) -> Tier:
    return load(f"  t: {body}\n").tiers["t"]


def test_a_file_without_tiers_has_none() -> None:
    assert load_catalog(HEAD.replace("tiers:\n", ""), source="c.yaml", environ={}).tiers == {}


def test_what_is_left_out_is_included_and_not_limited() -> None:
    assert tier("{}") == Tier(name="t")


def test_the_example_of_the_manual() -> None:
    found = tier(
        '{models: ["here/*"], requests: {minute: 20, hour: 200}, tokens: {minute: 20000}, parallel: 2, '
        "credits_per_month: 50, priority: 10}"
    )
    assert found.limits == Limits(
        requests=Rates(minute=20, hour=200), tokens=Rates(minute=20_000), parallel=2
    )
    assert (found.credits_per_month, found.priority) == (50, 10)
    assert found.reach == {"tiny", "both"}


@pytest.mark.parametrize(
    ("globs", "reach"),
    [
        ("[gpt-5]", {"gpt-5"}),
        ('["gpt-*"]', {"gpt-5", "tiny"}),
        ("[gpt-nano]", {"tiny"}),
        ('["away/*"]', {"gpt-5", "both"}),
        ('["a*/b?th", tiny]', {"both", "tiny"}),
        ('["GPT-5", tiny]', {"tiny"}),
        ('["*"]', None),
        ('[tiny, "*"]', None),
        ("[]", None),
    ],
)
def test_globs_speak_of_names_aliases_and_providers(globs: str, reach: set[str] | None) -> None:
    assert tier(f"{{models: {globs}}}").reach == reach


def test_a_provider_that_is_off_keeps_its_models_in_the_tier() -> None:
    catalog = load_catalog(HEAD + '  t: {models: ["away/*"]}\n', source="c.yaml", environ={})
    assert catalog.tiers["t"].reach == {"gpt-5", "both"}
    assert catalog.warnings == ()


def test_a_glob_that_matches_nothing_is_told_with_its_line() -> None:
    found = load('  t:\n    models: [tiny, "claude-*"]\n    model_limits: {"o1-*": {parallel: 1}}\n')
    assert found.warnings == (
        "c.yaml:14: `claude-*` matches no model",
        "c.yaml:15: `o1-*` matches no model",
    )
    assert found.tiers["t"].reach == {"tiny"}


def test_features_are_left_out_or_limited() -> None:
    found = tier(
        "{features: {images: false, video: no, chat: true, voice: {requests: {second: 1}, parallel: 2, "
        "per_user: {requests: {minute: 50}, tokens: {day: 9}, parallel: 1}}}}"
    )
    assert found.not_included == {Feature.IMAGES, Feature.VIDEO}
    assert found.features == {
        Feature.VOICE: Terms(
            limits=Limits(requests=Rates(second=1), parallel=2),
            per_user=Limits(requests=Rates(minute=50), tokens=Rates(day=9), parallel=1),
        )
    }


def test_some_models_have_limits_of_their_own() -> None:
    found = tier('{model_limits: {"gpt-*": {requests: {day: 5}}}, per_user: {parallel: 3}}')
    assert found.some_models == {"gpt-*": Terms(limits=Limits(requests=Rates(day=5)))}
    assert found.matched == {"gpt-*": frozenset({"gpt-5", "tiny"})}
    assert found.per_user == Limits(parallel=3)


def test_prices_are_in_the_smallest_unit_of_each_currency() -> None:
    found = tier('{price: {USD: 9.99, TRY: "349.90", EUR: 9, JPY: 1200, CNY: 68.0, KWD: 3.075, KRW: "1.00"}}')
    assert found.price == {
        "USD": 999,
        "TRY": 34_990,
        "EUR": 900,
        "JPY": 1_200,
        "CNY": 6_800,
        "KWD": 3_075,
        "KRW": 1,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("refuse", REFUSE),
        ("shorten", WhenEmpty(shorten=SHORTEST)),
        ("{shorten: 300}", WhenEmpty(shorten=300)),
        ("{model: gpt-nano}", WhenEmpty(model="tiny")),
        ("{model: tiny, shorten: 9}", WhenEmpty(shorten=9, model="tiny")),
    ],
)
def test_what_becomes_of_a_request_that_is_not_covered(text: str, expected: WhenEmpty) -> None:
    assert tier(f"{{when_empty: {text}}}").when_empty == expected


def test_a_target_of_an_unknown_provider_is_one_slip_and_not_its_tiers_too() -> None:
    text = HEAD.replace("{provider: here, model: x}", "{provider: her, model: x}")
    with pytest.raises(CatalogError) as wrong:
        load_catalog(
            text + '  t: {models: ["here/*"], when_empty: {model: tiny}}\n', source="c.yaml", environ={}
        )
    assert [problem.field for problem in wrong.value.problems] == ["models.tiny.targets[0].provider"]


def test_the_rest() -> None:
    found = tier("{description: For all., byok: false, disconnect: drain, flags: [b, a, b], priority: 1}")
    assert (found.description, found.byok, found.disconnect) == ("For all.", False, Disconnect.DRAIN)
    assert (found.flags, found.priority) == (("b", "a"), 1)


def test_a_rate_may_be_said_to_be_none() -> None:
    assert tier("{requests: {minute: ~, hour: 5}}").limits.requests == Rates(hour=5)


def test_a_target_may_cost_something_else_than_clients_pay() -> None:
    catalog = load("  t: {}\n")
    here, away = catalog.models["both"].targets
    assert here.cost is None
    assert away.cost is not None
    assert (away.cost.input, away.cost.output) == (500_000_000, 1_000_000_000)


def test_selling_below_cost_is_told() -> None:
    text = HEAD.replace("{input: 0.5, output: 1}", "{input: 0.5, output: 3}").replace("tiers:\n", "")
    found = load_catalog(text, source="c.yaml", environ={})
    assert found.warnings == (
        "c.yaml:11: models.both.targets[1].cost is above the price: each request loses money",
    )


def test_a_model_may_say_what_a_hang_up_means() -> None:
    text = HEAD.replace("kind: chat, free: true", "kind: chat, disconnect: drain, free: true")
    models = load_catalog(text.replace("tiers:\n", ""), source="c.yaml", environ={}).models
    assert (models["tiny"].disconnect, models["gpt-5"].disconnect) == (Disconnect.DRAIN, None)


@given(st.text("a*?", max_size=30), st.integers(20, 60))
def test_no_glob_makes_a_name_slow(glob: str, length: int) -> None:
    name = "a" * length
    text = HEAD.replace("aliases: [gpt-nano]", f"aliases: [{name}b]")
    load_catalog(text + f'  t: {{models: ["x{glob}"]}}\n', source="c.yaml", environ={})
    load_catalog(text + f'  t: {{models: ["{glob}c"]}}\n', source="c.yaml", environ={})


# ---- the shipped tiers


def test_the_shipped_tiers_are_the_plans_and_their_figures() -> None:
    tiers = read_catalog(SHIPPED, {}).tiers
    assert list(tiers) == ["free", "basic", "pro", "ultra", "enterprise"]
    paces = {
        name: tuple(
            plan.features[feature].limits.requests.second
            for feature in (Feature.CHAT, Feature.VOICE, Feature.TRANSLATION, Feature.VISION)
        )
        for name, plan in tiers.items()
        if plan.features
    }
    assert paces == {
        "free": (2, 1, 5, 1),
        "basic": (10, 5, 20, 5),
        "pro": (50, 20, 100, 20),
        "ultra": (100, 40, 200, 40),
    }
    users = {feature: terms.per_user.requests for feature, terms in tiers["pro"].features.items()}
    assert users == {
        Feature.CHAT: Rates(minute=100, hour=1_000),
        Feature.VOICE: Rates(minute=50, hour=500),
        Feature.TRANSLATION: Rates(minute=200, hour=2_000),
        Feature.VISION: Rates(minute=30, hour=300),
    }
    assert {name: plan.credits_per_month for name, plan in tiers.items()} == {
        "free": 50,
        "basic": 500,
        "pro": 5_000,
        "ultra": 20_000,
        "enterprise": 0,
    }
    assert (tiers["basic"].price, tiers["pro"].price) == ({"USD": 999}, {"USD": 2_999})


def test_the_shipped_tiers_are_served_in_the_order_of_what_they_cost() -> None:
    tiers = read_catalog(SHIPPED, {}).tiers
    assert sorted(tiers, key=lambda name: -tiers[name].priority) == list(tiers)


def test_each_shipped_tier_reaches_what_the_one_below_it_does() -> None:
    catalog = read_catalog(SHIPPED, {})
    every = frozenset(model.name for model in catalog.models.values())
    reaches = [plan.reach or every for plan in catalog.tiers.values()]
    assert all(low <= high for low, high in pairwise(reaches))
    assert {"aspendos-tiny", "llama-3.3-70b"} <= reaches[0]
    assert "gpt-6.2-astra" in reaches[2] - reaches[1]
