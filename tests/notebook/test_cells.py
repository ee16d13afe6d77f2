"""Reading a cell: its source with the page's line numbers, its names, what must come back."""

from __future__ import annotations

import linecache

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.errors import NotShippable, UsageError
from nbray.notebook import cells
from nbray.notebook.cells import CellOptions, RemoteCell, read_cell


def read(
    shell: InteractiveShell, cell: str, line: str = "", inputs: list[str] | None = None, outputs: list[str] | None = None
) -> RemoteCell:
    return read_cell(shell, line, cell, CellOptions(inputs, outputs))


def test_line_numbers_are_those_of_the_page(shell: InteractiveShell) -> None:
    code = read(shell, "x = 1\ny = 2", "--bg").code
    assert code.source == "# %%remote --bg\nx = 1\ny = 2"
    assert linecache.getline(code.filename, 2) == "x = 1\n"


def test_a_cell_magic_may_follow(shell: InteractiveShell) -> None:
    cell = read(shell, "%%time\ny = x")
    assert cell.code.source == "%%time\ny = x"
    assert cell.wanted == ("y",)


def test_ipython_syntax_and_await_are_fine(shell: InteractiveShell) -> None:
    assert read(shell, "files = !ls {folder}\nx = await f()").wanted == ("files", "x")


def test_what_ipython_owns_stays(shell: InteractiveShell) -> None:
    shell.user_ns["x"] = 1
    assert read(shell, "exit, In, x").inputs.values == {"x": 1}
    shell.user_ns["exit"] = 2
    assert read(shell, "exit, x").inputs.values == {"exit": 2, "x": 1}


def test_an_unknown_output_is_refused_only_where_the_source_tells_all(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="-o b: the cell does not assign it; it assigns a"):
        read(shell, "a = 1", outputs=["b"])
    for cell in ("exec('b = 1')", "from math import *", "%run script.py"):
        assert read(shell, cell, outputs=["b"]).wanted == ("b",)


def test_outputs_are_named_once(shell: InteractiveShell) -> None:
    cell = read(shell, "a = b = 1", outputs=["b", "a", "b"])
    assert (cell.wanted, cell.required) == (("b", "a"), True)


def test_the_culprit_is_found_under_its_name(shell: InteractiveShell) -> None:
    shell.user_ns["numbers"] = {"fine": 1, "bad": (n for n in range(3))}
    with pytest.raises(NotShippable, match=r"^numbers cannot be sent: numbers -> \['bad'\]: a generator"):
        cells.as_task(read(shell, "numbers"))


def test_a_syntax_error_is_one_here(shell: InteractiveShell) -> None:
    with pytest.raises(SyntaxError) as caught:
        read(shell, "x = 1\ny = = 2")
    assert caught.value.lineno == 3
