"""Models of a catalogue: names, prices, and the targets that can be used."""

from pathlib import Path

import msgspec
import pytest

from inference.catalog import CatalogError
from inference.catalog.model_entry import ModelEntry
from inference.ir.cards import Kind
from tests.catalog_texts import GOOD, load, only


def test_every_name_and_alias_leads_to_its_model() -> None:
    catalog = load(GOOD, A_KEY="k")
    assert list(catalog.models) == ["m", "e", "w", "em"]
    assert catalog.models["em"] is catalog.models["m"]
    assert catalog.models["m"].kind is Kind.CHAT


def test_prices_are_integers_of_nano_usd() -> None:
    catalog = load(GOOD, A_KEY="k")
    price = catalog.models["m"].price
    assert (price.input, price.output, price.cache_read) == (37_500_000, 2_000_000_000, None)
    assert (catalog.models["e"].price.input, catalog.models["e"].price.output) == (1_000_000_000, 0)
    assert catalog.models["w"].free
    assert catalog.models["w"].price.input == 0


def test_equal_prices_share_a_version_and_others_do_not() -> None:
    def version(price: str) -> str:
        model = f"kind: chat, price: {{{price}}}, targets: [{{provider: p, model: x}}]"
        return load(only(model=model)).models["m"].price.version

    assert version("input: 1, output: 2") == version("input: 1.00, output: 2.0")
    assert version("input: 1, output: 2") != version("input: 1, output: 2, cache_read: 1")
    assert version("input: 1, output: 2, cache_read: 1") != version("input: 1, output: 2, cache_write: 1")


def test_targets_that_can_be_used_are_the_only_ones() -> None:
    model = load(GOOD, A_KEY="k").models["m"]
    assert [(t.provider.name, t.model, t.weight) for t in model.targets] == [("a", "m-1", 3), ("b", "m-2", 1)]
    assert model.off is None
    assert [t.provider.name for t in load(GOOD).models["m"].targets] == ["b"]


def test_a_model_without_a_usable_target_says_why() -> None:
    catalog = load(GOOD)
    assert catalog.models["e"].off == "a: A_KEY is not set"
    assert catalog.models["e"].targets == ()
    wire = "later: L_URL is not set; L_KEY is not set"
    assert catalog.models["w"].off == f"{wire}; b: its weight is 0"


def test_a_provider_off_for_want_of_a_key_alone_can_be_opened_by_a_tenants() -> None:
    catalog = load(GOOD)
    assert [name for name, card in catalog.providers.items() if card.lacks_key] == ["a"]
    model = catalog.models["m"]
    assert [target.provider.name for target in model.targets] == ["b"]
    assert [(target.provider.name, target.weight) for target in model.locked_targets] == [("a", 3)]
    assert catalog.models["w"].locked_targets == ()  # no address, and a weight of 0: no key helps
    opened = load(GOOD, A_KEY="k")
    assert not any(card.lacks_key for card in opened.providers.values())
    assert opened.models["m"].locked_targets == ()


def test_whose_a_model_is_may_be_said_where_its_name_does_not() -> None:
    text = """
version: 1
providers:
  aws: {wire: bedrock, region: us-east-1}
  plain: {wire: openai, base_url: "http://h/v1"}
models:
  m:
    kind: chat
    free: true
    targets:
      - {provider: aws, model: "arn:aws:bedrock:us-east-1:1:application-inference-profile/x", family: anthropic}
      - {provider: aws, model: "us.amazon.nova-lite-v1:0"}
"""
    assert [target.family for target in load(text).models["m"].targets] == ["anthropic", None]
    with pytest.raises(CatalogError) as caught:
        load(text.replace('provider: aws, model: "arn', 'provider: plain, model: "arn'))
    (problem,) = caught.value.problems
    assert "models.m.targets[0].family" in str(problem)
    assert "wire `bedrock` or `vertex`" in str(problem)


def test_what_caches_do_is_explained_to_people() -> None:
    root = Path(__file__).parents[4]
    pages = "".join(page.read_text() for page in (root / "docs").glob("*.md"))
    example = (root / "config" / "models.yaml").read_text()
    fields = {field.encode_name for field in msgspec.structs.fields(ModelEntry)}
    for name in ("cache_scope", "prompt_cache"):
        assert name in fields
        assert f"`{name}: " in pages
        assert f"#   {name}: " in example
