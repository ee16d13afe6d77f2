"""Versions of local modules: what a process goes on with, and what its workers get from the disk."""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module, reload
from pathlib import Path

import pytest

from nbray.notebook.local_versions import EDITED, LoadedModules, ModulesOnDisk, hash_of


@pytest.fixture
def rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "history_rates", raising=False)
    path = tmp_path / "history_rates.py"
    path.write_text("RATE = 1\n")
    return path


def test_a_module_has_the_version_that_was_imported(rates: Path) -> None:
    loaded = LoadedModules()
    assert "history_rates" not in loaded.versions(time.time())
    module = import_module("history_rates")
    since = time.time() + 60.0
    first = loaded.versions(since)["history_rates"]
    rates.write_text("RATE = 22\n")
    assert loaded.versions(since)["history_rates"] == first  # which is what this process goes on with
    reload(module)
    assert loaded.versions(since)["history_rates"] not in (first, EDITED)
    del sys.modules["history_rates"]
    assert "history_rates" not in loaded.versions(since)


def test_where_it_cannot_be_told_it_is_said(rates: Path) -> None:
    import_module("history_rates")
    assert LoadedModules().versions(time.time() - 60.0)["history_rates"] == EDITED
    del sys.modules["history_rates"]


def test_on_the_disk_lies_what_workers_import_next(rates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = ModulesOnDisk()
    assert "history_rates" not in disk.versions()
    import_module("history_rates")
    first = disk.versions()["history_rates"]
    assert first == hash_of(str(rates))
    monkeypatch.setattr("nbray.notebook.local_versions.hash_of", lambda path: pytest.fail("it was read again"))
    assert disk.versions()["history_rates"] == first
    monkeypatch.undo()
    rates.write_text("RATE = 333\n")
    os.utime(rates, (1, 1))
    assert disk.versions()["history_rates"] not in (first, EDITED)
    rates.unlink()
    assert "history_rates" not in disk.versions()
    assert hash_of(str(rates)) == EDITED
