"""Which modules beside the notebook were edited."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

import nbray.local_modules
from nbray.local_modules import LocalModules


def module_at(path: Path, text: str = "x = 1\n") -> ModuleType:
    path.write_text(text)
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    return module


def test_an_edit_is_noticed_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    local = LocalModules({"mine": module_at(file), "other": module_at(tmp_path / "other.py")})
    before = local.snapshot()
    assert before.keys() == {"mine", "other"}
    assert local.changed(before) == []
    file.write_text("x = 22\n")
    assert local.changed(before) == ["mine"]
    assert local.changed(local.snapshot()) == []


def test_an_edit_of_equal_length_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    local = LocalModules({"mine": module_at(file)})
    before = local.snapshot()
    file.write_text("x = 2\n")
    os.utime(file, ns=(1, before["mine"].mtime_ns + 1))
    assert local.changed(before) == ["mine"]


def test_a_module_imported_later_or_deleted_is_not_an_edit(tmp_path: Path) -> None:
    modules = {"mine": module_at(tmp_path / "mine.py")}
    local = LocalModules(modules)
    before = local.snapshot()
    modules["new"] = module_at(tmp_path / "new.py")
    (tmp_path / "mine.py").unlink()
    assert local.changed(before) == []


def test_installed_modules_are_not_looked_at() -> None:
    modules = {"json": json, "numpy": np, "nbray": nbray.local_modules, "sys": sys}
    assert LocalModules(modules).snapshot() == {}


def test_the_modules_of_this_process_are_the_default() -> None:
    assert __file__ in {state.path for state in LocalModules().snapshot().values()}
