"""Manifests on disk: private, bounded, and never an error for the cell that is written down."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from nbray.notebook import history_file
from nbray.notebook.history_file import HistoryFile, read, read_all
from nbray.notebook.manifest import OK, RUNNING, Manifest


def manifest(number: int, notebook: str = "a.ipynb", began: float = 0.0) -> Manifest:
    return Manifest(cell_run=f"run-{number}", number=number, notebook=notebook, began=began, how="remote")


def test_what_is_kept_comes_back_in_order(tmp_path: Path) -> None:
    one, other = HistoryFile(tmp_path / "h", "a.ipynb"), HistoryFile(tmp_path / "h", "b.ipynb")
    assert one.manifests() == []
    one.append(manifest(1, began=1.0))
    other.append(manifest(2, "b.ipynb", 2.0))
    one.append(manifest(3, began=3.0))
    assert [each.number for each in one.manifests()] == [1, 3]
    assert [each.number for each in read_all(tmp_path / "h")] == [1, 2, 3]
    assert (tmp_path / "h").stat().st_mode & 0o777 == 0o700
    assert one.path.stat().st_mode & 0o777 == 0o600
    assert one.delete() == 2
    assert (one.manifests(), len(other.manifests())) == ([], 1)


def test_broken_lines_count_as_none(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path, "a")
    file.append(manifest(1))
    with file.path.open("ab") as raw:
        raw.write(b'{"cell_run": \n\xff\n{"number": "four"}\n')
    file.append(manifest(2))
    assert [each.number for each in read(file.path)] == [1, 2]


def test_of_a_cell_run_the_last_line_counts(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path, "a")
    begun = manifest(1)
    for each in (begun, manifest(2), structs.replace(begun, outcome=OK)):
        file.append(each)
    assert [(each.number, each.outcome) for each in file.manifests()] == [(1, OK), (2, RUNNING)]
    assert file.delete() == 2


def test_the_oldest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_file, "MOST_BYTES", 1000)
    monkeypatch.setattr(history_file, "MOST_FILES", 3)
    file = HistoryFile(tmp_path, "a")
    for number in range(50):
        file.append(manifest(number))
    numbers = [each.number for each in file.manifests()]
    assert numbers == list(range(numbers[0], 50))
    assert 3 < len(numbers) < 20
    for name in "bcdef":
        HistoryFile(tmp_path, name).append(manifest(1))
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_is_written_where_others_could_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = HistoryFile(tmp_path, "a")
    monkeypatch.setattr("os.getuid", lambda: -5)
    file.append(manifest(1))
    assert "belongs to somebody else" in file.problem
    monkeypatch.undo()
    file.path.symlink_to(tmp_path / "elsewhere")
    file.append(manifest(1))
    assert "cannot be written" in file.problem
    assert not (tmp_path / "elsewhere").exists()


def test_a_disk_that_refuses_is_told_not_raised(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = HistoryFile(tmp_path / "file" / "h", "a")
    file.append(manifest(1))
    assert "cannot be written" in file.problem
    assert str(file.path) in file.problem
