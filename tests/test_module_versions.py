"""What stands behind modules: an edit of a local one counts, and of what it imports, however it imports it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

import nbray
from nbray.fingerprints import Import, Untracked
from nbray.module_versions import ModuleVersions

SOURCES = {
    "alpha": "import beta_pack.inner\ndef late():\n    from gamma import value\n    return value\n",
    "beta_pack/__init__": "",
    "beta_pack/inner": "from . import other\nfrom .deep import thing\n",
    "beta_pack/other": "x = 1\n",
    "beta_pack/deep": "import json\nthing = 2\n",
    "beta_pack/alone": "y = 1\n",
    "gamma": "value = 3\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Local modules that are imported here."""
    for name, source in SOURCES.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    importlib.import_module("alpha")
    importlib.import_module("gamma")
    yield tmp_path
    for name in [each for each in sys.modules if each.partition(".")[0] in ("alpha", "beta_pack", "gamma")]:
        del sys.modules[name]


def about(name: str, *members: str) -> list[str]:
    return sorted(ModuleVersions().about(Import(name, 0, members)))


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "beta_pack/alone"])
def test_an_edit_of_a_module_or_of_what_it_imports_counts(folder: Path, name: str) -> None:
    before = about("alpha")
    assert before == about("alpha")
    path = folder / f"{name}.py"
    path.write_text(path.read_text() + "z = 4\n")
    assert about("alpha") != before


def test_a_module_that_is_not_used_does_not_count(folder: Path) -> None:
    before = about("alpha")
    (folder / "beta_pack/alone.py").write_text("y = 2\n")
    assert about("alpha") == before


def test_members_that_are_modules_count(folder: Path) -> None:
    assert any(fact.startswith("beta_pack.other ") for fact in about("beta_pack", "other", "thing"))


def test_the_files_are_told_with_their_hashes(folder: Path) -> None:
    versions = ModuleVersions()
    versions.about(Import("alpha", 0, ()))
    assert sorted(Path(path).name for path in versions.files) == [
        "__init__.py", "alpha.py", "deep.py", "gamma.py", "inner.py", "other.py"
    ]  # fmt: skip


def test_a_local_module_that_is_not_imported_here_is_refused(folder: Path) -> None:
    with pytest.raises(Untracked, match=r"the module beta_pack\.alone, which is imported there only"):
        about("beta_pack", "alone")


def test_relative_imports_outside_of_modules_are_refused() -> None:
    with pytest.raises(Untracked, match="a relative import"):
        ModuleVersions().about(Import("inner", 1, ()))


def test_broken_and_vanished_sources_are_refused(folder: Path) -> None:
    (folder / "gamma.py").write_text("def (")
    with pytest.raises(Untracked, match="gamma, whose source is broken"):
        about("gamma")
    (folder / "gamma.py").unlink()
    with pytest.raises(Untracked, match="gamma, whose source cannot be read"):
        about("gamma")


def test_packages_count_by_version(monkeypatch: pytest.MonkeyPatch) -> None:
    [fact] = about("numpy.linalg")
    assert fact.startswith(f"numpy {numpy.__version__} ")
    monkeypatch.setattr(numpy, "__version__", "0.1")
    assert about("numpy") != [fact]
    assert about("nbray")[0].startswith("nbray ")
    assert nbray.__name__ == "nbray"


def test_the_standard_library_counts_with_python_and_what_is_missing_is_said() -> None:
    assert about("json.tool") == about("__main__") == about("sys") == []
    assert about("there_is_no_such_module") == ["there_is_no_such_module is not there"]
