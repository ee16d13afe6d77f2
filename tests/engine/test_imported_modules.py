from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine.imported_modules import ImportedModules, decode


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write(path: Path, age: float) -> None:
    path.write_text("value = 1\n")
    when = path.stat().st_mtime - age
    os.utime(path, (when, when))


def test_new_local_modules_are_told_once(folder: Path) -> None:
    write(folder / "told_once.py", age=60)
    modules = ImportedModules()
    assert modules.news(1) == b""
    importlib.import_module("told_once")
    [(name, state)] = decode(modules.news(1)).items()
    assert (name, state.path, state.mtime_ns) == (
        "told_once", str(folder / "told_once.py"), (folder / "told_once.py").stat().st_mtime_ns,
    )  # fmt: skip
    assert modules.news(1) == b""


def test_what_was_there_before_and_what_is_installed_are_not(folder: Path) -> None:
    write(folder / "before.py", age=60)
    importlib.import_module("before")
    modules = ImportedModules()
    sys.modules.pop("colorsys", None)
    importlib.import_module("colorsys")
    assert modules.news(1) == b""


def test_one_that_was_written_meanwhile_counts_as_edited(folder: Path) -> None:
    write(folder / "meanwhile.py", age=5)
    modules = ImportedModules()
    importlib.import_module("meanwhile")
    assert decode(modules.news(10))["meanwhile"].mtime_ns == 0
