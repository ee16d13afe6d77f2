"""Files of many trials grow line by line, with few of them open at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbray.tune.loggers import trial_files
from nbray.tune.loggers.trial_files import TrialFiles


def test_a_file_is_begun_anew_and_then_grows(tmp_path: Path) -> None:
    path = tmp_path / "trial" / "log.txt"
    path.parent.mkdir()
    path.write_text("of an earlier run\n")
    files = TrialFiles()
    files.append(path, "a\n")
    assert path.read_text() == "a\n", "it is flushed"
    files.close(path)
    files.append(path, "b\n")
    assert path.read_text() == "a\nb\n"
    files.begin(path, "c\n")
    assert path.read_text() == "c\n"
    files.close()


def test_few_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_files, "OPEN", 2)
    files = TrialFiles()
    for _ in range(2):
        for number in range(4):
            files.append(tmp_path / f"{number}.txt", f"{number}\n")
            assert len(files._open) <= 2
    files.close()
    assert len(files._open) == 0
    assert [(tmp_path / f"{number}.txt").read_text() for number in range(4)] == [f"{number}\n" * 2 for number in range(4)]
