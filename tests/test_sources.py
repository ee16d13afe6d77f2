"""The text of notebook cells."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import pytest

from nbray import sources

NAME = "/tmp/ipykernel_1/5.py"
CELL = "def f():\n    return 1\n"


@pytest.fixture
def cell() -> Iterator[FunctionType]:
    namespace: dict[str, Any] = {}
    exec(compile(CELL, NAME, "exec"), namespace)
    linecache.cache[NAME] = (len(CELL), None, CELL.splitlines(keepends=True), NAME)
    yield namespace["f"]
    linecache.cache.pop(NAME, None)


def on_disk() -> None: ...


def test_cells_are_found_files_are_not(cell: FunctionType) -> None:
    assert isinstance(on_disk, FunctionType)
    linecache.getlines(__file__)
    assert sources.of_functions([cell, on_disk, cell]) == {NAME: CELL}
    assert sources.of_file(str(Path(__file__))) == ""
    assert sources.of_file("nowhere") == ""


def test_what_is_installed_survives_a_check(cell: FunctionType) -> None:
    del linecache.cache[NAME]
    sources.install({NAME: CELL})
    linecache.checkcache()
    assert linecache.getline(NAME, 2) == "    return 1\n"


def test_a_kernel_s_own_cells_are_named_as_ipython_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Compiler:
        def format_code_name(self, name: str) -> tuple[str, str] | None:
            return ("Cell", "In[5]") if name == NAME else None

    shell = SimpleNamespace(compile=Compiler())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    text = f'  File "{NAME}", line 2, in f\n    return 1\n  File "/a/b.py", line 3, in g\n'
    assert sources.with_cell_labels(text) == (
        '  Cell In[5], line 2, in f\n    return 1\n  File "/a/b.py", line 3, in g\n'
    )
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert sources.with_cell_labels(text) == text
