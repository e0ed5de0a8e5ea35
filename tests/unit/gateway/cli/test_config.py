"""`aspendos check-config`, as an operator sees it."""

from pathlib import Path

import msgspec
import pytest
from cyclopts import App

from gateway.cli.config import check_config

CANARY = "sk-canary-41c0"
GOOD = """\
version: 1
providers:
  p: {wire: openai, base_url: "http://h/v1", key: {env: P_KEY}}
  local: {wire: openai, base_url: "http://l/v1"}
models:
  m: {kind: chat, free: true, targets: [{provider: p, model: x}], aliases: [n], fallbacks: [l]}
  l: {kind: chat, free: true, targets: [{provider: local, model: x}]}
"""
BAD = GOOD.replace("{wire: openai", "{wire: opnai", 1).replace("{kind: chat", "{kind: chta", 1)


def run(*arguments: str) -> int:
    app = App(name="aspendos")
    app.command(check_config, name="check-config")
    with pytest.raises(SystemExit) as ended:
        app(["check-config", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(GOOD)
    return path


def test_a_good_file_shows_what_is_on_and_why_the_rest_is_not(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("P_KEY", raising=False)
    assert run(str(file)) == 0
    assert capsys.readouterr().out == (
        f"{file}: 1 of 2 providers on, 1 of 2 models routable.\n"
        "\n"
        "PROVIDER  WIRE    MODELS  STATE\n"
        "p         openai  0       off: P_KEY is not set\n"
        "local     openai  1       on\n"
        "\n"
        f"warning: {file}:6: `fallbacks` has no effect in this version\n"
    )


def test_tiers_are_shown_with_what_they_reach_now(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("P_KEY", raising=False)
    file.write_text(
        GOOD.replace(", fallbacks: [l]", "")
        + """\
tiers:
  free: {models: [m, l], credits_per_month: 50, price: {USD: 0}, when_empty: {shorten: 9, model: l}}
  pro: {price: {USD: 9.99, JPY: 1200}}
"""
    )
    assert run(str(file)) == 0
    assert capsys.readouterr().out.partition("\n\nTIER")[2] == (
        "  MODELS  ON  CREDITS/MONTH  PRICE/MONTH         WHEN EMPTY\n"
        "free  2       1   50             0.00 USD            shorten to 9, then l\n"
        "pro   all     1   0              9.99 USD, 1200 JPY  refuse\n"
    )
    assert run(str(file), "--json") == 0
    tiers = msgspec.json.decode(capsys.readouterr().out)["tiers"]
    assert [(tier["name"], tier["models"]) for tier in tiers] == [("free", ["l", "m"]), ("pro", ["l", "m"])]


def test_a_bad_file_gets_one_line_per_problem(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BAD)
    assert run(str(file)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" expected ")[0] for line in lines] == [
        f"{file}:3: providers.p.wire:",
        f"{file}:6: models.m.kind:",
    ]


def test_json_says_the_same(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P_KEY", "k")
    assert run(str(file), "--json") == 0
    good = msgspec.json.decode(capsys.readouterr().out)
    assert (good["ok"], good["routable"]) == (True, 2)
    assert [m["name"] for m in good["models"]] == ["m", "l"]
    file.write_text(BAD)
    assert run(str(file), "--json") == 1
    bad = msgspec.json.decode(capsys.readouterr().out)
    assert bad["problems"][0] | {"expected": "", "message": ""} == {
        "file": str(file),
        "line": 3,
        "column": 13,
        "field": "providers.p.wire",
        "found": "the text `opnai`",
        "expected": "",
        "hint": "openai",
        "message": "",
    }


@pytest.mark.parametrize("arguments", [(), ("--json",)])
@pytest.mark.parametrize("text", [GOOD, BAD])
def test_no_key_is_printed(
    file: Path,
    text: str,
    arguments: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("P_KEY", CANARY)
    file.write_text(text)
    run(str(file), *arguments)
    shown = capsys.readouterr()
    assert CANARY not in shown.out + shown.err


def test_the_environment_names_the_file(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASPENDOS_CONFIG", str(file))
    assert run() == 0
    assert capsys.readouterr().out.startswith(f"{file}: ")


def test_the_file_is_named_as_serve_has_it_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--config", str(file)) == 0
    assert capsys.readouterr().out.startswith(f"{file}: ")
    assert run(str(file), "--config", str(file)) == 1
    assert "once" in capsys.readouterr().err


def test_a_model_that_is_off_by_its_weights_is_shown_with_that(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P_KEY", CANARY)
    file.write_text(GOOD.replace("{provider: local, model: x}", "{provider: local, model: x, weight: 0}"))
    assert run(str(file)) == 0
    assert "MODEL  STATE\nl      off: local: its weight is 0\n" in capsys.readouterr().out
