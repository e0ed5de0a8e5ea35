"""What a machine's journal is called."""

from pathlib import Path

from billing.journal_name import journal_name


def test_it_is_given_once_and_kept(tmp_path: Path) -> None:
    first = journal_name(tmp_path / "a")
    assert first
    assert journal_name(tmp_path / "a") == first
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["name"]


def test_every_folder_has_its_own(tmp_path: Path) -> None:
    assert journal_name(tmp_path / "a") != journal_name(tmp_path / "b")
