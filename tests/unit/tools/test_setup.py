"""What the set-up says of a step that failed and is done in another way; which Python it takes."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest

from tools import setup
from tools.setup import Progress, reason

AWAY = """error: Request failed after 3 retries in 11.3s
  cause: Failed to fetch: http://127.0.0.1:9/simple/six/
  cause: tcp connect error
"""


def test_the_reason_is_one_line() -> None:
    assert reason(AWAY) == "uv could not reach the package index"
    assert reason("warning: x\nerror: no such lock\n") == "uv failed (error: no such lock)"
    assert reason("") == "uv failed (it said nothing of why)"


@pytest.mark.parametrize(
    ("otherwise", "words"),
    [
        ("trying pip", "packages: uv could not reach the package index; trying pip, "),
        ("", "packages: failed, "),
    ],
)
def test_a_step_that_failed_says_why_and_what_follows(
    otherwise: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = f"print({AWAY!r}); raise SystemExit(2)"
    progress = Progress()
    assert not progress.run("packages", [sys.executable, "-c", script], optional=True, otherwise=otherwise)
    assert words in capsys.readouterr().err


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment made by this Python, and of no use yet."""
    made = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
    placed(made, monkeypatch)
    return made


def placed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the set-up use this folder for .venv."""
    monkeypatch.setattr(setup, "VENV", folder)
    monkeypatch.setattr(setup, "PYTHON", folder / "bin" / "python")


def wheel_of_pip(folder: Path) -> Path:
    """The pip that is installed here, as a wheel: not every Python comes with one."""
    about = distribution("pip")
    wheel = folder / f"pip-{about.version}-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        for file in about.files or ():
            if file.parts[0] != ".." and file.suffix != ".pyc":
                archive.write(str(file.locate()), str(file))
    return wheel


def choosing(python: str) -> Callable[[str], tuple[str, str]]:
    """A choice of Pythons that always takes this one."""

    def chosen(path: str) -> tuple[str, str]:
        return python, "" if python == path else "taking it"

    return chosen


def test_an_environment_of_another_python_does_not_fit(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert setup.fits()
    for name, value in (("base_prefix", "/opt/python"), ("version_info", (3, 99, 1))):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, value)
            assert not setup.fits()
    (environment / "bin" / "python").unlink()
    assert not setup.fits()


def test_an_environment_of_a_quicker_python_has_the_pip_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    placed(tmp_path / ".venv", monkeypatch)
    quicker = tmp_path / "python3"
    quicker.write_text(f'#!/bin/sh\nexec "{setup.interpreter()}" "$@"\n')
    quicker.chmod(0o755)
    monkeypatch.setattr(setup, "quickest", choosing(str(quicker)))
    monkeypatch.setattr(setup, "bundled_pip", lambda: wheel_of_pip(tmp_path))
    setup.create(Progress(), this_python=False)
    assert "set-up: taking it\n" in capsys.readouterr().err
    assert setup.usable()


def test_a_quicker_python_that_makes_no_environment_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed(tmp_path / ".venv", monkeypatch)
    monkeypatch.setattr(setup, "bundled_pip", lambda: tmp_path / "pip-1.whl")
    monkeypatch.setattr(setup, "quickest", choosing("/bin/false"))
    assert not setup.create_quicker(sys.executable, Progress())
    assert not setup.VENV.exists()
    monkeypatch.setattr(setup, "quickest", choosing(sys.executable))
    assert not setup.create_quicker(sys.executable, Progress())


def test_an_environment_is_not_made_anew_with_its_own_python(environment: Path) -> None:
    script = "; ".join(
        (
            "import pathlib, sys",
            "sys.path.insert(0, sys.argv[1])",
            "from tools import setup",
            "setup.VENV = pathlib.Path(sys.argv[2])",
            "print(setup.interpreter())",
        )
    )
    command = [str(environment / "bin" / "python"), "-c", script, str(setup.ROOT), str(environment)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert Path(said).exists()
    assert environment not in Path(said).parents


@pytest.mark.parametrize(("named", "passed_on"), [((), False), (("PYTHON=python3.13",), True)])
def test_only_a_python_that_is_named_makes_an_environment_anew(
    named: tuple[str, ...], passed_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for told in ("PYTHON", "MAKEFLAGS", "MAKEOVERRIDES"):  # by the `make test` that runs this
        monkeypatch.delenv(told, raising=False)
    command = ["make", "--dry-run", "serve", *named]
    done = subprocess.run(command, cwd=setup.ROOT, check=True, capture_output=True, text=True)
    assert ("tools/setup.py --this-python serve" in done.stdout) == passed_on
