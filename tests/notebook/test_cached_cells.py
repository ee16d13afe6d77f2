"""`%%remote --cache` decided in this process: what a cell's fingerprint depends on, doubts, what is shown again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray import call_options
from nbray.fingerprints import Untracked
from nbray.notebook import cells
from nbray.notebook.cached_cells import order_for, replay
from tests.fakes import FakeBackend


@pytest.fixture
def key(shell: InteractiveShell, backend: FakeBackend) -> Any:
    """The key of a cell in a notebook with these names."""

    def of(cell: str, **names: Any) -> str:
        shell.user_ns.update(names)
        ready = cells.read_cell(shell, "--cache", cell, cells.CellOptions())
        return order_for(shell, backend, ready, call_options.build({})).key

    return of


def test_code_and_inputs_count_and_comments_do_not(key: Any) -> None:
    first = key("y = x + 1\ny", x=1, unused=1)
    assert key("# why\n\ny = (x + 1)\ny", x=1, unused=2) == first
    edits = [("y = x + 2\ny", 1), ("y = x + 1\ny;", 1), ("y = x + 1", 1), ("y = x + 1\ny", 2), ("y = x + 1\ny", 1.0),
             ("z = x + 1\nz", 1), ("y = x + 1\ny\n5", 1), ("y = x + 1\ny\n6", 1)]  # fmt: skip
    keys = [key(cell, x=x) for cell, x in edits]
    assert len({first, *keys}) == 1 + len(edits)


def test_functions_that_it_uses_count_with_their_globals(key: Any) -> None:
    space: dict[str, Any] = {"__name__": "__main__", "rate": 2}
    exec("def tax(x):\n    return rate * x", space)
    first = key("y = tax(1)", tax=space["tax"])
    assert key("y = tax(1)", tax=space["tax"]) == first
    space["rate"] = 3
    assert key("y = tax(1)", tax=space["tax"]) != first


def test_options_of_the_line_count(shell: InteractiveShell, backend: FakeBackend) -> None:
    shell.user_ns.update(x=1)
    keys = set()
    for asked in (cells.CellOptions(), cells.CellOptions(outputs=["y"]), cells.CellOptions(outputs=["y", "z"])):
        ready = cells.read_cell(shell, "--cache", "y = x\nz = y", asked)
        keys.add(order_for(shell, backend, ready, call_options.build({})).key)
    assert len(keys) == 3


@pytest.mark.parametrize("cell", ["%time x", "!ls", "get_ipython()"])
def test_magics_are_refused(key: Any, cell: str) -> None:
    with pytest.raises(Untracked, match="magics or the shell"):
        key(cell, x=1)


def test_inputs_that_cannot_be_told_are_refused(key: Any) -> None:
    with pytest.raises(Untracked, match="generator"):
        key("y = list(items)", items=(each for each in [1]))


def test_output_is_shown_again(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    content = {"data": {"text/plain": "shown"}, "metadata": {}, "transient": {}}
    replay(shell, [("stdout", "é".encode()), ("display_data", json.dumps(content).encode()), ("stderr", b"err")])
    assert capsys.readouterr() == ("éshown\n", "err")
