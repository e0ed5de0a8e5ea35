"""The catalogue: what a good file means, and the exact words a bad one earns."""

import re
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from inference import catalog as module
from inference.catalog import CatalogError, built_wires, load_catalog, read_catalog
from inference.catalog_file import CatalogFile, Wire
from inference.ir.cards import AwsCredentials, Catalog, Kind, Timeouts
from inference.yaml_source import MAX_CHARACTERS, Problem, Report, read_tree
from inference.yaml_struct import Reader

SHIPPED = Path(module.__file__).resolve().parent.parent / "config" / "models.yaml"
BUILT = frozenset({"openai", "vllm"})
CANARY = "sk-canary-7f3a9b21"

GOOD = """\
version: 1
providers:
  a: {wire: openai, base_url: "https://a.example/v1", key: {env: A_KEY}}
  b: {wire: openai, base_url: "http://127.0.0.1:9/v1/"}
  fleet: {wire: vllm, workers: {static: ["http://10.0.0.1:8000/v1/", "http://10.0.0.2:8000"]}}
  later: {wire: anthropic, key: {env: L_KEY}}
models:
  m:
    kind: chat
    price: {input: 0.0375, output: 2}
    aliases: [em]
    targets:
      - {provider: a, model: m-1, weight: 3}
      - {provider: b, model: m-2}
  e: {kind: embedding, price: {input: "1"}, targets: [{provider: a, model: e}]}
  w: {kind: chat, free: true, targets: [{provider: later, model: w}, {provider: b, model: w, weight: 0}]}
"""


def load(text: str, **environ: str) -> Catalog:
    return load_catalog(text, source="c.yaml", environ=environ, built=BUILT)


def problems(text: str, **environ: str) -> list[Problem]:
    with pytest.raises(CatalogError) as caught:
        load(text, **environ)
    return list(caught.value.problems)


def lines(text: str, **environ: str) -> list[str]:
    return [str(problem) for problem in problems(text, **environ)]


def only(provider: str = "", model: str = "") -> str:
    """A file whose one provider, `p` on line 3, and one model, `m` on line 5, say this."""
    provider = provider or 'wire: openai, base_url: "http://h/v1"'
    model = model or "kind: chat, free: true, targets: [{provider: p, model: x}]"
    return f"version: 1\nproviders:\n  p: {{{provider}}}\nmodels:\n  m: {{{model}}}\n"


# ---- what a good file means


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
    wire = "later: the wire format `anthropic` is not built yet; L_KEY is not set"
    assert catalog.models["w"].off == f"{wire}; b: its weight is 0"


def test_a_key_turns_its_provider_on() -> None:
    off, on = load(GOOD).providers["a"], load(GOOD, A_KEY=" k\n").providers["a"]
    assert (off.off, off.key, off.key_env) == ("A_KEY is not set", None, "A_KEY")
    assert (on.off, on.key) == (None, "k")
    assert load(GOOD, A_KEY="").providers["a"].off == "A_KEY is not set"
    assert load(GOOD, A_KEY="a\nb").providers["a"].off == "A_KEY holds characters that a header cannot carry"


def test_addresses_are_cut_to_one_form() -> None:
    providers = load(GOOD).providers
    assert providers["b"].base_urls == ("http://127.0.0.1:9/v1",)
    assert providers["fleet"].base_urls == ("http://10.0.0.1:8000", "http://10.0.0.2:8000")


def test_an_address_may_come_from_the_environment() -> None:
    text = only('wire: openai, base_url: {env: URL, default: "http://d/v1"}')
    assert load(text).providers["p"].base_urls == ("http://d/v1",)
    assert load(text, URL="http://e/v1").providers["p"].base_urls == ("http://e/v1",)
    assert load(only("wire: openai, base_url: {env: URL}")).providers["p"].off == "URL is not set"
    assert lines(text, URL="nonsense") == [
        "c.yaml:3: providers.p.base_url: expected an http(s) address without user, query or fragment, "
        "such as `https://api.openai.com/v1`, found URL in the environment: `nonsense`"
    ]


def test_times_take_units() -> None:
    times = "connect: 500ms, first_byte: 30s, idle: 2m, total: 1h"
    text = only(f'wire: openai, base_url: "http://h/v1", timeouts: {{{times}}}')
    expected = Timeouts(connect=0.5, first_byte=30, idle=120, total=3600)
    assert load(text).providers["p"].timeouts == expected
    text = only('wire: openai, base_url: "http://h/v1", timeouts: {idle: 1.5}')
    assert load(text).providers["p"].timeouts == Timeouts(idle=1.5)


def test_headers_tls_and_connections_reach_the_card() -> None:
    text = only(
        'wire: openai, base_url: "http://h/v1", headers: {X-Team: red, api-key: {env: K}}, '
        "tls: {verify: false, ca: ca.pem}, max_connections: 7"
    )
    provider = load(text, K="v").providers["p"]
    assert provider.headers == (("x-team", "red"), ("api-key", "v"))
    assert (provider.tls_verify, provider.tls_ca, provider.max_connections) == (False, "ca.pem", 7)
    assert load(text).providers["p"].off == "K is not set"
    assert load(text, K="v").warnings == (
        "c.yaml:3: providers.p accepts any certificate: anyone on the way can read along",
    )


def test_anchors_and_merge_keys_work() -> None:
    text = only(model="&m {kind: chat, free: true, max_output: 5, targets: &t [{provider: p, model: x}]}")
    text = (
        text.replace("m: {&m {", "m: &m {").replace("}}", "}") + "  n: {<<: *m, max_output: 6, targets: *t}\n"
    )
    catalog = load(text)
    assert (catalog.models["m"].max_output, catalog.models["n"].max_output) == (5, 6)
    assert catalog.models["n"].targets == catalog.models["m"].targets
    assert catalog.models["n"].free


def test_what_later_versions_use_is_a_warning_with_its_line() -> None:
    text = GOOD.replace("    aliases: [em]\n", "    fallbacks: [e]\n").replace("weight: 3", "rpm: 10")
    catalog = load(text + "routers: {auto: {by: complexity}}\n")
    assert catalog.warnings == (
        "c.yaml:11: `fallbacks` has no effect in this version",
        "c.yaml:13: `rpm` has no effect in this version",
        "c.yaml:17: `routers` has no effect in this version",
    )


def test_the_version_follows_the_text() -> None:
    assert load(GOOD).version == load(GOOD, A_KEY="k").version != load(GOOD + "#").version


def test_built_wires_are_the_files_of_providers() -> None:
    """Whoever adds a file has added its name to the catalogue."""
    folder = Path(module.__file__).parent / "providers"
    files = {path.stem for path in folder.glob("[a-z]*.py")}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert built_wires() == {name.replace("_", "-") for name in files | packages}
    assert built_wires() >= BUILT


# ---- the exact words of every mistake


def mistakes() -> list[Any]:
    text = (Path(__file__).parents[2] / "golden" / "catalog_mistakes.txt").read_text()
    text = text.replace("<all wire formats>", ", ".join(f"`{name}`" for name in sorted(get_args(Wire))))
    cases = text.split("\n=== ")[1:]
    rows = [re.fullmatch(r"(?s)([^\n]+)\n(.*)---->\n(.*)", case.strip("\n")) for case in cases]
    return [pytest.param(row[2], row[3].splitlines(), id=row[1]) for row in rows if row]


@pytest.mark.parametrize(("text", "expected"), mistakes())
def test_each_mistake_has_its_own_message(text: str, expected: list[str]) -> None:
    found = lines(text)
    assert found == [f"c.yaml:{line}" for line in expected]
    assert CANARY not in "\n".join(found)


def test_the_list_of_mistakes_is_read_whole() -> None:
    assert len(mistakes()) >= 70


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: expected a catalogue, found an empty file"),
        ("version: 1\nx: \x07\n", "2: expected printable characters, found the character U+0007"),
        ("#" * (MAX_CHARACTERS + 1), f"1: expected at most {MAX_CHARACTERS} characters, found a longer one"),
        ("a: " + "[" * 200, f"1: a{'[0]' * 31}: expected at most 32 levels of nesting, found more"),
    ],
    ids=["empty", "control character", "too long", "too deep"],
)
def test_text_that_is_no_file_at_all(text: str, expected: str) -> None:
    assert lines(text) == [f"c.yaml:{expected}"]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    model = "kind: chat, price: {input: -1, output: 1}, targets: [{provider: q, model: x}]"
    text = only("wire: opena", model)
    fields = [problem.field for problem in problems(text + "foo: 1\n")]
    assert fields == ["providers.p.wire", "models.m.price.input", "models.m.targets[0].provider", "foo"]


def test_only_the_first_of_very_many_problems_get_a_guess() -> None:
    providers = "".join(f"  provider-{i}: {{wire: anthropic}}\n" for i in range(300))
    target = "{{provider: provder-{}, model: x}}"
    models = "".join(
        f"  m{i}: {{kind: chat, free: true, targets: [{target.format(i)}]}}\n" for i in range(300)
    )
    found = problems(f"version: 1\nproviders:\n{providers}models:\n{models}")
    assert len(found) == 300
    assert found[0].hint == "provider-0"
    assert found[-1].hint is None


def test_a_problem_knows_its_column() -> None:
    text = only(model="kind: chat, price: {input: -1, output: 1}, targets: [{provider: p, model: x}]")
    problem = problems(text)[0]
    assert text.splitlines()[problem.line - 1][problem.column - 1 :].startswith("-1,")


@pytest.mark.parametrize("text", ["a: b: c\n", 'a: "b\n', "a: [b\n", "%YAML 9.9\n---\na: 1\n", "a: @b\n"])
def test_broken_yaml_is_told_with_its_line(text: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert found[0].expected == "valid YAML"
    assert re.match(r"c\.yaml:[123]: expected valid YAML, found ", str(found[0]))


def test_an_alias_bomb_costs_nothing() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert [problem.expected for problem in problems("\n".join(rows))] == [
        "at most 100000 values once aliases are unfolded"
    ]


def test_a_merge_bomb_costs_nothing() -> None:
    keys = ", ".join(f"k{i}: 1" for i in range(5000))
    rows = [f"a: &a {{{keys}}}", *(f"b{i}: {{<<: [{', '.join(['*a'] * 10)}]}}" for i in range(50))]
    assert problems("\n".join(rows))[0].expected == "at most 100000 values once aliases are unfolded"


# ---- files


def test_a_file_that_is_not_utf8_is_told_with_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(b"version: 1\nproviders: \xff\n")
    with pytest.raises(CatalogError, match=r"m\.yaml:2: expected text in UTF-8, found the byte 0xff"):
        read_catalog(path, {})


def test_a_file_that_is_not_there_is_an_answer_too(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"expected a readable file, found No such file or directory"):
        read_catalog(tmp_path / "m.yaml", {})
    with pytest.raises(CatalogError, match=r"expected a readable file, found Is a directory"):
        read_catalog(tmp_path, {})


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(CatalogError, match="at most 1048576 characters"):
        read_catalog(path, {})


# ---- secrets


def test_no_key_is_ever_written_out() -> None:
    text = only('wire: openai, base_url: "http://h/v1", key: {env: K}, headers: {api-key: {env: H}}')
    catalog = load(text, K=CANARY, H=CANARY)
    assert catalog.providers["p"].key == CANARY
    for shown in (repr(catalog), str(catalog), repr(catalog.models["m"].targets[0])):
        assert CANARY not in shown


# ---- never a stack trace

WORDS = """version providers models m p 1 0.5 -1 true ~ << &a *a !t kind chat wire openai vllm workers static
base_url http://h/v1 http://[ key env A_KEY price input targets provider model free aliases
timeouts idle 2026-13-40 0x1 { } [ ] " ' | > # ? "\\UFFFFFFFF" é 😀 1:30 = 0o7 1_000 @ % `"""
SPACES = [
    ": ",
    ":\n",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    ", ",
    "\t",
    "---\n",
    "%YAML 1.1\n",
    "\x85",
    "\u2028",
    "\ufeff",
    "\x00",
]
YAMLISH = st.lists(st.sampled_from(WORDS.split() + SPACES), max_size=60).map("".join)


@given(YAMLISH | st.text(max_size=200))
@example('a: "\\UFFFFFFFF"')
@example("%YAML 1.99999999999999999999\n---\na: 1")
@example("? a\n? b")
@example("\ud800")
@example("version: 1\nproviders: {p: {wire: openai, base_url: 'http://[::1'}}\nmodels: {}")
def test_any_text_is_a_catalogue_or_a_list_of_problems(text: str) -> None:
    try:
        load(text, A_KEY="k")
    except CatalogError as error:
        assert error.problems
        assert all(problem.line >= 1 and problem.column >= 1 for problem in error.problems)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("chat")
SHAPES = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=6), part, max_size=3)
)
FIELDS = "wire base_url workers key headers timeouts tls kind targets price free aliases"
ENTRIES = st.dictionaries(st.sampled_from(FIELDS.split()), SHAPES)


@given(ENTRIES, ENTRIES)
def test_any_shape_is_a_catalogue_or_a_list_of_problems(provider: Any, model: Any) -> None:
    text = yaml.safe_dump({"version": 1, "providers": {"p": provider}, "models": {"m": model}})
    with pytest.raises(CatalogError):
        load(text)


# ---- the shipped file


def env_names() -> list[str]:
    return sorted(set(re.findall(r"key: \{env: (\w+)\}", SHIPPED.read_text())) - {"VLLM_API_KEY"})


def test_the_shipped_file_without_any_key_serves_the_local_models() -> None:
    catalog = read_catalog(SHIPPED, {})
    on = {model.name: model for model in catalog.models.values() if model.off is None}
    assert set(on) == {"aspendos-tiny", "all-minilm-l6-v2"}
    assert all(model.free for model in on.values())
    assert catalog.warnings == ()
    assert catalog.providers["local"].base_urls == ("http://127.0.0.1:8081/v1",)


def test_the_shipped_file_with_every_key_leaves_only_wires_to_wait_for() -> None:
    catalog = read_catalog(SHIPPED, dict.fromkeys(env_names(), "k"))
    for model in catalog.models.values():
        assert model.off is None or re.fullmatch(r"\w+: the wire format `\w+` is not built yet", model.off)
    assert sum(model.off is None for model in catalog.models.values()) > 30
    assert all(p.off is None for p in catalog.providers.values() if p.wire in built_wires())


def test_every_priced_model_of_the_shipped_file_says_when() -> None:
    report = Report(str(SHIPPED))
    tree = read_tree(SHIPPED.read_text(), report)
    assert tree is not None
    file = Reader(report).read(CatalogFile, tree)
    undated = [name for name, model in file.models.items() if not model.free and not model.priced_at]
    assert undated == []


KNOWN = """gpt-4 gpt-4-turbo gpt-4o gpt-4o-mini gpt-3.5-turbo claude-3-opus claude-3-sonnet claude-3.5-sonnet
claude-3-5-sonnet-20241022 gemini-1.5-flash gemini-2.0-flash gemini-2.5-flash gemini-2.5-pro
gemini-pro grok-2 grok-3 meta-llama-3.3-70b meta-llama-2-70b llama-3-70b mistral-large
mistral-medium mixtral deepseek-v2.5 deepseek-v3 text-embedding-3-small text-embedding-3-large
all-MiniLM-L6-v2 sentence-transformers/all-MiniLM-L6-v2"""


@pytest.mark.parametrize("name", KNOWN.split())
def test_well_known_names_are_answered(name: str) -> None:
    assert name in read_catalog(SHIPPED, {}).models


def test_the_shipped_file_prices_an_hour_in_anthropics_cache_at_twice_its_input() -> None:
    models = read_catalog(SHIPPED, {"ANTHROPIC_API_KEY": "k"}).models.values()
    prices = [model.price for model in models if model.name.startswith("claude-")]
    assert len(prices) >= 4
    for price in prices:
        assert price.cache_write_1h == 2 * price.input
        assert price.cache_write is not None
        assert 4 * price.cache_write == 5 * price.input


def test_the_shipped_file_satisfies_the_schema_editors_use() -> None:
    schema = msgspec.json.decode(SHIPPED.with_name("models.schema.json").read_bytes())
    validator = jsonschema_rs.validator_for(schema)
    document = msgspec.to_builtins(yaml.safe_load(SHIPPED.read_text()))
    assert [error.message for error in validator.iter_errors(document)] == []
    document["models"]["gpt-4o"]["prise"] = 1
    assert not validator.is_valid(document)
    assert SHIPPED.read_text().startswith("# yaml-language-server: $schema=./models.schema.json\n")


def test_a_provider_off_for_want_of_a_key_alone_can_be_opened_by_a_tenants() -> None:
    catalog = load(GOOD)
    assert [name for name, card in catalog.providers.items() if card.lacks_key] == ["a"]
    model = catalog.models["m"]
    assert [target.provider.name for target in model.targets] == ["b"]
    assert [(target.provider.name, target.weight) for target in model.locked_targets] == [("a", 3)]
    assert catalog.models["w"].locked_targets == ()  # a wire not built, and a weight of 0: no key helps
    opened = load(GOOD, A_KEY="k")
    assert not any(card.lacks_key for card in opened.providers.values())
    assert opened.models["m"].locked_targets == ()


def test_where_to_ask_whether_a_key_is_good() -> None:
    text = GOOD.replace("key: {env: A_KEY}}", "key: {env: A_KEY}, key_check: /key}")
    assert load(text, A_KEY="k").providers["a"].key_check == "/key"
    assert load(GOOD).providers["a"].key_check is None
    [problem] = problems(text.replace("/key}", "https://evil.example/key}"))
    assert "a path such as `/key`" in str(problem)


def test_headers_from_the_environment_speak_of_the_operators_account() -> None:
    text = GOOD.replace(
        "key: {env: A_KEY}}", "key: {env: A_KEY}, headers: {X-Org: {env: ORG}, x-version: '1'}}"
    )
    card = load(text, A_KEY="k", ORG="o").providers["a"]
    assert card.account_headers == {"x-org"}
    assert load(text, A_KEY="k").providers["a"].lacks_key


VERTEX = """\
version: 1
providers:
  v: {wire: vertex, project: my-project, location: europe-west4, service_account: {env: SA}}
  g: {wire: vertex, project: my-project, key: {env: G_KEY}}
models:
  m: {kind: chat, free: true, targets: [{provider: v, model: gemini}, {provider: g, model: gemini}]}
"""


def test_a_service_account_opens_vertex_and_its_address_is_made_of_the_project() -> None:
    def vertex(text: str, **environ: str) -> Catalog:
        return load_catalog(text, source="c.yaml", environ=environ, built=frozenset({"vertex"}))

    catalog = vertex(VERTEX, SA='{"private_key": "canary"}')
    provider = catalog.providers["v"]
    assert provider.off is None
    assert provider.base_urls == (
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/my-project/locations/europe-west4",
    )
    assert provider.service_account == '{"private_key": "canary"}'
    assert "canary" not in repr(provider)
    other = catalog.providers["g"]
    assert other.base_urls == ("https://aiplatform.googleapis.com/v1/projects/my-project/locations/global",)
    assert (other.off, other.lacks_key) == ("G_KEY is not set", True)
    assert vertex(VERTEX).providers["v"].off == "SA is not set"
    with pytest.raises(CatalogError, match=r"v\.service_account: expected wire `vertex`"):
        load_catalog(
            VERTEX.replace(
                "wire: vertex, project: my-project, location: europe-west4",
                'wire: openai, base_url: "http://a"',
            ),
            source="c.yaml",
            environ={},
            built=frozenset({"openai", "vertex"}),
        )


BEDROCK = """\
version: 1
providers:
  signed:
    wire: bedrock
    region: eu-west-1
    aws: {access_key: {env: ID}, secret_key: {env: SECRET}, session_token: {env: SESSION}}
  keyed: {wire: bedrock, region: cn-north-1, key: {env: B_KEY}}
  private: {wire: bedrock, region: eu-west-1, base_url: "http://vpc.example", key: {env: B_KEY}}
models:
  m: {kind: chat, free: true, targets: [{provider: signed, model: nova}]}
"""


def test_keys_of_aws_open_bedrock_and_its_address_is_made_of_the_region() -> None:
    def bedrock(text: str, **environ: str) -> Catalog:
        return load_catalog(text, source="c.yaml", environ=environ, built=frozenset({"bedrock", "openai"}))

    found = bedrock(BEDROCK, ID="AKIA", SECRET="canary", SESSION="canary-too").providers
    signed = found["signed"]
    assert signed.base_urls == ("https://bedrock-runtime.eu-west-1.amazonaws.com",)
    assert signed.aws == AwsCredentials(access_key="AKIA", secret_key="canary", session_token="canary-too")
    assert (signed.region, signed.off, signed.lacks_key) == ("eu-west-1", None, False)
    assert "canary" not in repr(signed) + repr(signed.aws)
    assert found["keyed"].base_urls == ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn",)
    assert (found["keyed"].off, found["keyed"].aws) == ("B_KEY is not set", None)
    assert found["private"].base_urls == ("http://vpc.example",)
    lent = bedrock(BEDROCK, ID="AKIA", SECRET="canary").providers["signed"]
    assert lent.off is None
    assert lent.aws == AwsCredentials(access_key="AKIA", secret_key="canary")
    locked = bedrock(BEDROCK, ID="AKIA").providers["signed"]
    assert (locked.off, locked.lacks_key, locked.aws) == ("SECRET is not set", True, None)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("region: eu-west-1\n    aws", "aws", r"signed\.region: expected a region of AWS"),
        (
            "region: eu-west-1\n    aws",
            "region: Europe\n    aws",
            r"signed\.region: expected a region of AWS",
        ),
        ("    aws:", "    key: {env: K}\n    aws:", r"signed\.aws: expected one or the other"),
        (
            "  keyed: {wire: bedrock",
            '  keyed: {wire: openai, base_url: "http://a"',
            r"keyed\.region: expected wire",
        ),
    ],
)
def test_mistakes_about_aws(old: str, new: str, words: str) -> None:
    assert old in BEDROCK
    with pytest.raises(CatalogError, match=words):
        load_catalog(
            BEDROCK.replace(old, new, 1),
            source="c.yaml",
            environ={},
            built=frozenset({"bedrock", "openai"}),
        )
