"""A task finds the modules and files that its driver finds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from nbray.engine import environment


@pytest.fixture(autouse=True)
def keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(Path.cwd())


def test_an_environment_comes_back_as_it_was_captured(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    sys.path.append(str(tmp_path))
    captured = environment.capture()
    os.chdir("/")
    sys.path.remove(str(tmp_path))
    environment.adopt(captured)
    assert Path.cwd() == tmp_path
    assert sys.path[-1] == str(tmp_path)


def test_equal_environments_are_equal_bytes() -> None:
    assert environment.capture() == environment.capture()


def test_a_deleted_directory_leaves_tasks_where_they_are(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    captured = environment.capture()
    os.chdir(tmp_path)
    environment.adopt(captured)
    assert Path.cwd() == tmp_path


def test_a_directory_that_is_gone_is_the_tasks_own_error(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    captured = environment.capture()
    os.chdir(tmp_path)
    gone.rmdir()
    with pytest.raises(FileNotFoundError):
        environment.adopt(captured)
