"""Modules that were edited after a worker had imported them."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.notebook.held_modules import HeldModules, old_code_text


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for modules, whose edits differ by their time also on coarse clocks."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "held_steps").mkdir()
    (tmp_path / "held_steps" / "__init__.py").touch()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("held_") and "." not in name[5:]]:
        del sys.modules[name]
    sys.modules.pop("held_steps.fit", None)


_edits = 0


def write(path: Path, source: str) -> None:
    global _edits
    path.write_text(source)
    _edits += 1
    os.utime(path, (1_000_000 + _edits, 1_000_000 + _edits))
    importlib.invalidate_caches()


def test_an_edit_is_told_once_each(beside: Path) -> None:
    write(beside / "held_one.py", "x = 1")
    write(beside / "held_steps" / "fit.py", "y = 1")
    held = HeldModules()
    importlib.import_module("held_one")
    importlib.import_module("held_steps.fit")
    held.note()
    assert held.edited() == []
    write(beside / "held_one.py", "x = 2")
    write(beside / "held_steps" / "fit.py", "y = 2")
    assert held.edited() == ["held_one", "held_steps.fit"]
    held.note()
    assert held.edited() == []
    write(beside / "held_one.py", "x = 3")
    assert held.edited() == ["held_one"]


def test_a_module_that_was_loaded_again_is_new(beside: Path) -> None:
    write(beside / "held_two.py", "x = 1")
    module = importlib.import_module("held_two")
    held = HeldModules()
    write(beside / "held_two.py", "x = 2")
    importlib.reload(module)
    held.note()
    assert held.edited() == []
    write(beside / "held_two.py", "x = 3")
    assert held.edited() == ["held_two"]


def test_a_file_that_is_gone_for_a_moment_was_not_edited(beside: Path) -> None:
    write(beside / "held_three.py", "x = 1")
    importlib.import_module("held_three")
    held = HeldModules()
    (beside / "held_three.py").unlink()
    assert held.edited() == []


def test_what_is_said() -> None:
    assert old_code_text(["features"], "gpu0").startswith(
        "nbray: 1 module edited since the namespace 'gpu0' has imported it: features. The old code runs here."
    )
    assert "%remote drop gpu0 begins anew" in old_code_text(["features"], "gpu0")
    assert "imported them: a, b, c and 1 more." in old_code_text(["a", "b", "c", "d"], "gpu0")
