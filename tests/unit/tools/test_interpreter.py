"""Which Python the environment is made of: the one started, or a build of it that is plainly quicker."""

import sys
from pathlib import Path

import pytest

from tools import interpreter
from tools.interpreter import Build, others, quickest, this, tried, which

OWN, OTHER, THIRD = "/own/python3", "/usr/bin/python3.11", "/opt/bin/python3.11"


def machine(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float | None], *, optimised: bool = False
) -> None:
    """One with these Pythons, the first of which was started; what None takes does not start."""

    def at(path: str) -> Build | None:
        took = seconds[path]
        return None if took is None else Build(path, (3, 11, 2), str(Path(path).parent), took)

    def elsewhere(path: str) -> list[str]:
        return [each for each in seconds if each != path]

    monkeypatch.setattr(interpreter, "tried", at)
    monkeypatch.setattr(interpreter, "others", elsewhere)
    monkeypatch.setattr(interpreter, "said_to_be_optimised", lambda: optimised)


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [
        ({OWN: 0.010}, OWN),
        ({OWN: 0.010, OTHER: 0.006}, OTHER),
        ({OWN: 0.010, OTHER: 0.009}, OWN),
        ({OWN: 0.010, OTHER: 0.012}, OWN),
        ({OWN: 0.010, OTHER: None}, OWN),
        ({OWN: 0.010, OTHER: 0.008, THIRD: 0.006}, THIRD),
        ({OWN: None, OTHER: 0.006}, OWN),
    ],
)
def test_the_quickest_is_taken_where_it_is_plainly_so(
    seconds: dict[str, float | None], taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, seconds)
    path, words = quickest(OWN)
    assert path == taken
    assert bool(words) == (taken != OWN)


def test_each_has_its_best_try_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {OWN: 0.010})
    monkeypatch.setattr(interpreter, "_ROUNDS", 3)
    tries = {OWN: [0.030, 0.010, 0.020], OTHER: [0.010, 0.009, 0.015]}

    def at(path: str) -> Build:
        return Build(path, (3, 11, 2), str(Path(path).parent), tries[path].pop(0))

    def elsewhere(path: str) -> list[str]:
        return [OTHER]

    monkeypatch.setattr(interpreter, "tried", at)
    monkeypatch.setattr(interpreter, "others", elsewhere)
    assert quickest(OWN) == (OWN, "")


def test_what_is_said_names_both_and_how_to_have_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {OWN: 0.0101, OTHER: 0.0067})
    words = quickest(OWN)[1]
    assert words.startswith(f"taking {OTHER} (3.11.2): {OWN} (3.11.2) was built without optimisation")
    assert "takes 1.5 times" in words
    assert "PYTHON=" in words


def test_one_that_says_it_is_optimised_is_taken_untried(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {OWN: 0.010, OTHER: 0.001}, optimised=True)
    assert quickest(OWN) == (OWN, "")


def test_a_python_is_tried_by_running_it(tmp_path: Path) -> None:
    own = tried(sys.executable)
    assert own is not None
    assert own.version == sys.version_info[:3]
    assert own.home == sys.base_prefix
    assert which(sys.executable) == this()
    assert own.seconds > 0
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\necho '[1, 2]'\n")
    assert tried(str(broken)) is None, "not allowed to run"
    broken.chmod(0o755)
    assert tried(str(broken)) is None
    assert tried(str(tmp_path / "none")) is None


def test_others_are_found_in_path_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    real = tmp_path / "real" / name
    for folder in ("real", "linked", "plain", "other"):
        (tmp_path / folder).mkdir()
    real.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    real.chmod(0o755)
    (tmp_path / "linked" / name).symlink_to(real)
    (tmp_path / "plain" / name).write_text("no program")
    (tmp_path / "other" / "python3.99").symlink_to(real)
    monkeypatch.setattr(interpreter, "_PLACES", (str(tmp_path / "linked"),))
    folders = [str(tmp_path / folder) for folder in ("real", "plain", "other", "none")]
    monkeypatch.setenv("PATH", ":".join([*folders, ""]))
    assert others(sys.executable) == [str(real)]
    assert others(str(real)) == []
