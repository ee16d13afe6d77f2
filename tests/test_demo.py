"""The demo's parts: progress in the terminal, the figures, the saved page, the user's copies."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from nbray import demo
from nbray.errors import UsageError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def reply(status: str) -> dict[str, Any]:
    return {"content": {"status": status}}


def test_a_line_for_each_code_cell_says_how_it_went() -> None:
    expected_error = new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    cells = [new_markdown_cell("text"), new_code_cell("\nprint(1)\nmore"), expected_error, new_code_cell("2 / 0")]
    out = io.StringIO()
    progress = demo.Progress(new_notebook(cells=cells), out)
    for index, status in [(1, "ok"), (2, "error"), (3, "error")]:
        progress.on_start(cells[index], index)
        progress.on_executed(cells[index], index, reply(status))
    lines = [re.sub(r" +", " ", line).strip() for line in out.getvalue().splitlines()]
    assert lines == [
        "[ 1/3] 0.0 s print(1)",
        "[ 2/3] 0.0 s 1 / 0 (an error, as it should)",
        "[ 3/3] 0.0 s 2 / 0 FAILED",
    ]


def test_a_terminal_shows_the_cell_that_runs() -> None:
    cell = new_code_cell("print(1)")
    out = Terminal()
    progress = demo.Progress(new_notebook(cells=[cell]), out)
    progress.on_start(cell, 0)
    assert re.match(r"\[ 1/1\]  running  print\(1\)", out.getvalue())
    progress.on_executed(cell, 0, reply("ok"))
    assert re.search(r"\r\[ 1/1\] +0\.0 s  print\(1\) +\n$", out.getvalue())


def test_the_figures_are_read_from_the_last_display_of_them() -> None:
    data = {demo.FIGURES: {"tasks": 36, "workers": 2, "serial": 20.0, "cluster": 10.0}}
    cell = new_code_cell("display(...)", outputs=[new_output("display_data", data=data)])
    figures = demo.figures_of(new_notebook(cells=[cell, new_markdown_cell("end")]))
    assert figures == demo.Figures(36, 2, 20.0, 10.0)
    assert "2.00 x faster" in figures.summary()


def test_a_notebook_without_figures_is_told_about() -> None:
    with pytest.raises(UsageError, match="was its last cell edited"):
        demo.figures_of(new_notebook(cells=[new_code_cell("1")]))


def test_copies_of_the_notebooks_are_the_users_to_edit(tmp_path: Path) -> None:
    first = demo.copy_notebooks(tmp_path / "mine")
    assert {path.name for path in first.parent.iterdir()} == {
        path.name for path in demo.notebooks_directory().glob("*.ipynb")
    }
    first.write_text("edited")
    assert demo.copy_notebooks(tmp_path / "mine").read_text() == "edited"


@pytest.mark.local
def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = demo.to_html(new_notebook(cells=[new_markdown_cell("# A title"), new_code_cell("1 + 1")]))
    assert "A title" in page
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']+|@import[^;]+""", page) == []


@pytest.mark.local
def test_a_notebook_runs_in_a_kernel_and_a_failure_is_returned(tmp_path: Path) -> None:
    source = tmp_path / "small.ipynb"
    cells = [new_code_cell("import os; print(os.environ['IPYTHONDIR'])"), new_code_cell("1 / 0"), new_code_cell("never")]
    nbformat.write(new_notebook(cells=cells), source)
    notebook, failure = demo.execute(source, io.StringIO())
    assert "ZeroDivisionError" in str(failure)
    assert "nbray-demo-" in notebook.cells[0].outputs[0].text
    assert notebook.cells[2].outputs == []
