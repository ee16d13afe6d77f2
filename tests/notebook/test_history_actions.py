"""`%nbray history` and `%nbray why`: which cell is meant, and what is answered where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from nbray.errors import UsageError
from nbray.notebook import history_actions, history_file
from nbray.notebook.cell_history import CellHistory
from nbray.notebook.cell_runs import CellRuns
from nbray.notebook.history_actions import history, why
from nbray.notebook.history_file import HistoryFile
from nbray.notebook.history_view import Details, History, Why
from nbray.notebook.manifest import OK, RUNNING, Manifest, Stages


def manifest(number: int, cell_run: str, began: float = 0.0, **fields: Any) -> Manifest:
    return Manifest(
        cell_run=cell_run, number=number, notebook="a.ipynb", began=began, how="remote", outcome=OK, stages=Stages(run=2.0),
        **fields,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HistoryFile:
    found = CellHistory(CellRuns())
    found.open("a.ipynb", lambda: tmp_path)
    monkeypatch.setattr(history_actions, "HISTORY", found)
    monkeypatch.setattr(history_file, "directory", lambda: tmp_path)
    assert found.file is not None
    return found.file


def test_where_nothing_is_remembered(file: HistoryFile, capsys: pytest.CaptureFixture[str]) -> None:
    assert (history(()), why(()), history((), of_all=True)) == (None, None, None)
    assert capsys.readouterr().out.count("no cell of this notebook has had work") == 3


def test_the_latest_run_of_a_cell_is_meant(file: HistoryFile) -> None:
    file.append(manifest(4, "old", 1.0, line="yesterday"))
    file.append(manifest(5, "newer", 3.0, line="now"))
    file.append(manifest(4, "new", 2.0, line="today"))  # ran in the background, and was over last
    assert isinstance(history(()), History)
    assert repr(history(())).endswith("%nbray history 5 tells all of [5], %nbray why 5 where its time went.")
    assert isinstance(history(("4",)), Details)
    assert repr(history(("[4]",))).startswith("[4] today")
    assert repr(why(("4",))).startswith("[4] today")
    latest = why(())
    assert isinstance(latest, Why)
    assert repr(latest).startswith("[5] now")


def test_a_cell_that_is_not_remembered(file: HistoryFile) -> None:
    for number in (3, 4, 12):
        file.append(manifest(number, f"run-{number}"))
    with pytest.raises(UsageError, match=r"why 13: no cell \[13\] with work .* The latest are \[12\], \[4\], \[3\]: .* why 12"):
        why(("13",))
    with pytest.raises(UsageError, match=r"history fit: no cell \[fit\]"):
        history(("fit",))
    with pytest.raises(UsageError, match=r"history cler: expected a cell, as %nbray history \d+; did you mean clear\?"):
        history(("cler",))
    with pytest.raises(UsageError, match=r"history 4 takes no 5: expected a cell, as %nbray history 4 for \[4\], or clear"):
        history(("4", "5"))
    with pytest.raises(UsageError, match="history 4 takes no --all"):
        history(("4",), of_all=True)


def test_one_whose_kernel_was_lost(file: HistoryFile) -> None:
    file.append(structs.replace(manifest(4, "one"), outcome=RUNNING))
    assert "Its kernel was lost while it ran" in repr(why(()))
    assert "kernel lost" in repr(history(()))


def test_all_notebooks(file: HistoryFile, tmp_path: Path) -> None:
    file.append(manifest(4, "one", 1.0))
    HistoryFile(tmp_path, "b.ipynb").append(manifest(7, "two", 2.0))
    assert "[7]" not in repr(history(()))
    everybody = repr(history((), of_all=True)).splitlines()
    assert ["[7]" in everybody[1], "[4]" in everybody[2]] == [True, True]


def test_clear_forgets_this_notebooks(file: HistoryFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.append(manifest(4, "one"))
    HistoryFile(tmp_path, "b.ipynb").append(manifest(7, "two"))
    assert history(("clear",)) is None
    assert "1 cell run forgotten" in capsys.readouterr().out
    assert (file.manifests(), len(history_file.read_all(tmp_path))) == ([], 1)


def test_a_disk_that_refuses_is_told(file: HistoryFile) -> None:
    file.append(manifest(4, "one"))
    file.problem = "the disk is full"
    assert "Not kept beyond this kernel: the disk is full" in repr(history(()))
