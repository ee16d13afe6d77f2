"""An experiment's directory is its own, and where nothing can be written the user hears it before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbray.errors import UsageError
from nbray.tune import directories


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    paths = [directories.claim(tmp_path / "results", "forest") for _ in range(3)]
    assert [path.name for path in paths] == ["forest", "forest_2", "forest_3"]
    assert all(path.is_dir() and path.is_absolute() for path in paths)


def test_relative_and_home_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert directories.place_of("./results") == tmp_path / "results"
    assert directories.place_of(None) == tmp_path / "home" / "nbray_results"
    assert directories.place_of("file:///data/x") == Path("/data/x")


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UsageError, match=r"results cannot be written \(it is no folder\).*'forest'.*local_dir= of Trainer.fit"):
        directories.claim(tmp_path / "results", "forest")
    with pytest.raises(UsageError, match="cannot be written"):
        directories.claim("/proc/nowhere", "forest")


def test_what_was_claimed_in_vain_is_given_back(tmp_path: Path) -> None:
    path = directories.claim(tmp_path, "forest")
    (path / "experiment.pkl").write_bytes(b"")
    directories.give_back(str(path))
    assert not path.exists()
    directories.give_back(str(path))


def test_an_experiment_is_never_removed(tmp_path: Path) -> None:
    path = directories.claim(tmp_path, "forest")
    for name in ("experiment.pkl", "journal.jsonl"):
        (path / name).write_bytes(b"")
    directories.give_back(str(path))
    assert sorted(each.name for each in path.iterdir()) == ["experiment.pkl", "journal.jsonl"]


def test_nor_is_what_somebody_else_put_there(tmp_path: Path) -> None:
    path = directories.claim(tmp_path, "forest")
    (path / "notes.txt").write_text("mine")
    directories.give_back(str(path))
    assert (path / "notes.txt").exists()
