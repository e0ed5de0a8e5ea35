from pathlib import Path

import pytest

from tools import mirror

LOGIC = "def f(x):\n" + "    x += 1\n" * 30


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "gateway/call.py": LOGIC,
        "gateway/words.py": "A = 1\n",
        "tests/unit/gateway/test_call.py": "import pytest\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(mirror, "ROOT", tmp_path)
    return tmp_path


def test_a_tree_that_mirrors_is_left_in_peace(tree: Path) -> None:
    unit = tree / "tests" / "unit"
    assert mirror.strays(unit) == []
    assert mirror.untested(unit, set()) == []


def test_a_test_that_outlived_its_source_is_named(tree: Path) -> None:
    unit = tree / "tests" / "unit"
    (tree / "gateway" / "call.py").unlink()
    assert mirror.strays(unit) == ["tests/unit/gateway/test_call.py: there is no gateway/call.py"]


def test_logic_without_a_test_is_named_unless_another_test_imports_it(tree: Path) -> None:
    unit = tree / "tests" / "unit"
    (unit / "gateway" / "test_call.py").unlink()
    assert mirror.untested(unit, set()) == ["gateway/call.py: 30 statements and no test"]
    assert mirror.untested(unit, {"gateway.call"}) == []


def test_a_folder_of_tests_may_stand_for_the_one_file_of_a_source(tree: Path) -> None:
    unit = tree / "tests" / "unit"
    (unit / "gateway" / "call").mkdir()
    (unit / "gateway" / "test_call.py").rename(unit / "gateway" / "call" / "test_deadlines.py")
    assert mirror.strays(unit) == []
    assert mirror.untested(unit, set()) == []
    (tree / "gateway" / "call.py").unlink()
    assert mirror.strays(unit) == [
        "tests/unit/gateway/call/test_deadlines.py: there is no gateway/call/deadlines.py"
    ]
    (unit / "gateway" / "call" / "test_deadlines.py").unlink()
    (tree / "gateway" / "call.py").write_text(LOGIC)
    assert mirror.untested(unit, set()) == ["gateway/call.py: 30 statements and no test"]
