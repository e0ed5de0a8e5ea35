"""The catalogue: the exact words a bad file earns, and what the shipped one says."""

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
from inference import providers
from inference.catalog import CatalogError, read_catalog
from inference.catalog.file import CatalogFile
from inference.catalog.words import Wire
from inference.yaml_source import MAX_CHARACTERS, Report, read_tree
from inference.yaml_struct import Reader
from tests.catalog_texts import GOOD, lines, load, only, problems

SHIPPED = Path(module.__file__).resolve().parents[2] / "config" / "models.yaml"
CANARY = "sk-canary-7f3a9b21"


# ---- what a good file means


def test_anchors_and_merge_keys_work() -> None:
    text = only(model="&m {kind: chat, free: true, max_output: 5, targets: &t [{provider: p, model: x}]}")
    text = (
        text.replace("m: {&m {", "m: &m {").replace("}}", "}") + "  n: {<<: *m, max_output: 6, targets: *t}\n"
    )
    catalog = load(text)
    assert (catalog.models["m"].max_output, catalog.models["n"].max_output) == (5, 6)
    assert catalog.models["n"].targets == catalog.models["m"].targets
    assert catalog.models["n"].free


def test_a_limit_that_is_dropped_where_a_format_demands_it_is_a_warning() -> None:
    dropping = GOOD.replace("w: {kind: chat,", "w: {kind: chat, drop: [max_tokens],")
    (warning,) = load(dropping).warnings
    assert warning == (
        "c.yaml:16: models.w.drop leaves `max_tokens` in requests for Messages: `later` is asked in that format, which "
        "demands it"
    )
    assert load(GOOD.replace("w: {kind: chat,", "w: {kind: chat, drop: [seed],")).warnings == ()
    assert load(GOOD.replace("kind: chat\n", "kind: chat\n    drop: [max_tokens]\n", 1)).warnings == ()


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


def test_the_wire_formats_are_the_files_of_providers() -> None:
    """Whoever adds a file has added its name to the catalogue."""
    folder = Path(providers.__file__).parent
    files = {path.stem for path in folder.glob("[a-z]*.py")}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert set(get_args(Wire)) == {name.replace("_", "-") for name in files | packages}
    [line] = lines(only(provider='wire: homemade, base_url: "http://h"'))
    assert "'homemade'" in line or "`homemade`" in line or '"homemade"' in line


# ---- the exact words of every mistake


def mistakes() -> list[Any]:
    text = (Path(__file__).parents[3] / "golden" / "catalog_mistakes.txt").read_text()
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
    providers = "".join(f'  provider-{i}: {{wire: anthropic, base_url: "http://h"}}\n' for i in range(300))
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "a: b: c\n",
            "1: expected valid YAML, found a `:` where no mapping can begin: check the indentation, or",
        ),
        ('a: "b\n', "2: expected valid YAML, found the end of the file inside quotes"),
        (
            "a: [b\n",
            "2: expected `,` or `]`, found the end of the file, in the list in brackets that begins in line 1",
        ),
        ("a: {b: c d: e}\n", "1: expected `,` or `}`, found `:`"),
        ("- a\nb: 1\n", "2: expected `-` before an item, found `b:`, in the list that begins in line 1"),
        (
            "a: @b\n",
            "1: expected valid YAML, found a character that begins nothing in YAML: put the text in quotes",
        ),
        ("%YAML 9.9\n---\na: 1\n", "1: expected valid YAML, found incompatible YAML document"),
    ],
)
def test_broken_yaml_is_told_with_its_line(text: str, words: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert str(found[0]).startswith(f"c.yaml:{words}")


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
    with pytest.raises(
        CatalogError,
        match=r"readable file .--config and ASPENDOS_CONFIG say which., found No such file or directory",
    ):
        read_catalog(tmp_path / "m.yaml", {})
    with pytest.raises(
        CatalogError,
        match=r"readable file .--config and ASPENDOS_CONFIG say which., found Is a directory",
    ):
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


def test_the_shipped_file_offers_nothing_that_was_neither_started_nor_paid_for() -> None:
    catalog = read_catalog(SHIPPED, {})
    assert [model.name for model in catalog.models.values() if model.off is None] == []
    assert catalog.providers["local"].off == (
        "ASPENDOS_LOCAL_URL is not set (`aspendos serve --embedded` starts the worker and sets it)"
    )
    assert "`aspendos serve --embedded`" in (catalog.models["aspendos-tiny"].off or "")
    assert list(catalog.tiers) == ["free", "basic", "pro", "ultra", "enterprise"]
    assert catalog.warnings == ()


def test_the_shipped_file_without_any_key_serves_the_local_models_where_there_is_a_worker() -> None:
    catalog = read_catalog(SHIPPED, {"ASPENDOS_LOCAL_URL": "http://127.0.0.1:8081/v1"})
    on = {model.name: model for model in catalog.models.values() if model.off is None}
    assert set(on) == {"aspendos-tiny", "all-minilm-l6-v2"}
    assert all(model.free for model in on.values())
    assert catalog.warnings == ()
    assert catalog.providers["local"].base_urls == ("http://127.0.0.1:8081/v1",)


def test_the_shipped_file_says_of_nobody_that_it_waits() -> None:
    """Every wire format it names is spoken: an unknown one is a mistake."""
    assert re.findall("wait.* wire format", SHIPPED.read_text()) == []


def test_the_shipped_file_with_every_key_is_on_as_a_whole() -> None:
    keys = {**dict.fromkeys(env_names(), "k"), "GOOGLE_APPLICATION_CREDENTIALS": "{}"}
    catalog = read_catalog(
        SHIPPED,
        keys
        | {
            "VERTEX_BASE_URL": "https://aiplatform.googleapis.com/v1/projects/p",
            "ASPENDOS_LOCAL_URL": "http://127.0.0.1:8081/v1",
        },
    )
    assert [model.name for model in catalog.models.values() if model.off is not None] == []
    assert [card.name for card in catalog.providers.values() if card.off is not None] == []
    assert len(catalog.models) > 30


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
