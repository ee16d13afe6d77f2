"""The text of notebook cells."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from nbray import sources

NAME = "/tmp/ipykernel_1/5.py"
CELL = "def f():\n    return 1\n"


@pytest.fixture
def cell() -> Iterator[None]:
    linecache.cache[NAME] = (len(CELL), None, CELL.splitlines(keepends=True), NAME)
    yield
    linecache.cache.pop(NAME, None)


@pytest.mark.usefixtures("cell")
def test_cells_are_found_files_are_not() -> None:
    linecache.getlines(__file__)
    assert sources.of_file(NAME) == CELL
    assert sources.of_file(__file__) == ""
    assert sources.of_file("nowhere") == ""


@pytest.mark.usefixtures("cell")
def test_what_is_installed_survives_a_check() -> None:
    del linecache.cache[NAME]
    sources.install(NAME, CELL)
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
