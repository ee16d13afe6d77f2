"""The text of notebook cells."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
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
