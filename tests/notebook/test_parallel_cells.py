"""Reading a `%%parallel` cell, handing its results to the notebook, and `%nbray retry`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray import call_options
from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.notebook import parallel_cells
from nbray.notebook.cells import CellOptions
from nbray.notebook.item_cell import LAST
from nbray.notebook.loops import read_line
from nbray.notebook.parallel_runs import ParallelRun
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    parallel_cells._unfinished.clear()
    with fake_session() as backend:
        yield backend
    parallel_cells._unfinished.clear()


def read(
    shell: InteractiveShell, line: str, body: str, outputs: list[str] | None = None, inputs: list[str] | None = None
) -> ParallelRun:
    given = CellOptions(inputs, outputs)
    return parallel_cells.read(shell, line, read_line(line), body, given, call_options.build({}))


def run(shell: InteractiveShell, line: str, body: str, outputs: list[str] | None = None) -> list[Any] | None:
    return parallel_cells.run(shell, read(shell, line, body, outputs))


def test_the_loops_names_are_not_taken_from_the_notebook(shell: InteractiveShell) -> None:
    shell.user_ns.update(x=1, i=2, y=3)
    parallel = read(shell, "for i, x in [(0, 1)]", "x + y + i")
    assert parallel.cell.inputs.values == {"y": 3}
    assert parallel.cell.code.source == "# %%parallel for i, x in [(0, 1)]\nx + y + i"
    assert parallel.cell.wanted == (LAST,)


def test_functions_of_the_notebook_see_the_item(shell: InteractiveShell) -> None:
    shell.run_cell("x = 100\nlimit = 1\ndef f(): return x + limit")
    assert run(shell, "for x in [1, 2]", "f()") == [2, 3]


@pytest.mark.parametrize(
    ("line", "body", "options", "message"),
    [
        ("for x in [1]", " \n", {}, "the cell is empty; what stands below the line runs once for each item"),
        ("for x in [1]", "if x: break", {}, "break: each item runs by itself, so there is no loop around it"),
        ("for x in [1]", "if x: continue", {}, "continue: each item runs by itself"),
        ("for x in [1]", "a = x", {"outputs": ["b"]}, "-o b: the cell does not assign it; it assigns a"),
        ("for x in [1]", "x", {"inputs": ["nope"]}, "-i nope: the notebook has no such name"),
        ("for a, b in [(1, 2), (3,)]", "a", {}, "item [1] of [(1, 2), (3,)] does not fit for (a, b): not enough values"),
        ("for a, b in [1]", "a", {}, "item [0] of [1] does not fit for (a, b): cannot unpack"),
    ],
)
def test_cells_that_cannot_be(
    shell: InteractiveShell, backend: FakeBackend, line: str, body: str, options: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(shell, line, body, **options)
    assert message in str(caught.value)
    assert backend.submitted == []


def test_other_mistakes_are_pythons_own(shell: InteractiveShell) -> None:
    with pytest.raises(SyntaxError, match="'return' outside function"):
        read(shell, "for x in [1]", "return x")
    with pytest.raises(NameError, match="name 'xs' is not defined"):
        read(shell, "for x in xs", "x")
    with pytest.raises(WrongType, match="5 is of type int"):
        read(shell, "for x in 5", "x")


def test_the_serial_backend_is_told_apart(
    shell: InteractiveShell, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "name", "serial")
    with pytest.raises(NotSupportedHere, match="without %%parallel"):
        run(shell, "for x in [1]", "x")


def test_what_comes_of_a_cell(shell: InteractiveShell) -> None:
    assert run(shell, "for x in []", "x") == []
    assert run(shell, "for x in [1, 2]", "print(x)") is None
    assert run(shell, "for x in [1, 2]", "y = x") is None
    assert run(shell, "for x in [1, None]", "x") == [1, None]
    assert run(shell, "for x in [1, 2]", "x;") is None
    assert shell.user_ns["_"] == [1, 2]


def test_names_become_lists_in_the_notebook(shell: InteractiveShell) -> None:
    assert run(shell, "for x in [1, 2]", "a = x; b = -x", outputs=["b", "a"]) is None
    assert (shell.user_ns["a"], shell.user_ns["b"]) == ([1, 2], [-1, -2])


def test_what_failed_is_kept_and_retried(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["bad"] = [2]
    with pytest.raises(ValueError, match="no 2"):
        run(shell, "for x in [1, 2, 3]", "if x in bad: raise ValueError(f'no {x}')\n10 * x")
    kept = shell.user_ns["_"]
    assert (kept[0], kept[2]) == (10, 30)
    assert "nbray: 1 failed, of 3 items." in capsys.readouterr().err
    shell.user_ns["bad"] = []
    assert parallel_cells.retry(shell, None) is kept
    assert kept == [10, 20, 30]
    with pytest.raises(UsageError, match="no %%parallel cell has items left"):
        parallel_cells.retry(shell, None)


def test_names_are_kept_and_mended_too(shell: InteractiveShell) -> None:
    shell.user_ns["bad"] = [2]
    with pytest.raises(ZeroDivisionError):
        run(shell, "for x in [1, 2]", "a = 6 / (x not in bad)", outputs=["a"])
    assert shell.user_ns["a"][0] == 6
    shell.user_ns["bad"] = []
    del shell.user_ns["a"]
    assert parallel_cells.retry(shell, None) is None
    assert shell.user_ns["a"] == [6, 6]


def test_a_retry_takes_the_latest_or_the_one_that_is_named(shell: InteractiveShell) -> None:
    for number, items in ((4, "[0, 1]"), (5, "[0, 2]")):
        shell.execution_count = number
        shell.user_ns["one"] = 1
        with pytest.raises(ZeroDivisionError):
            run(shell, f"for x in {items}", "one / x")
    with pytest.raises(UsageError, match=r"\[9\] is no %%parallel cell with items left; there is \[4\] and \[5\]"):
        parallel_cells.retry(shell, "9")
    shell.user_ns["one"] = type("One", (), {"__truediv__": lambda self, x: "fine"})()
    assert parallel_cells.retry(shell, "[4]") == ["fine", 1]
    assert parallel_cells.retry(shell, None) == ["fine", 0.5]


def test_a_cell_that_was_not_submitted_leaves_nothing_to_retry(shell: InteractiveShell) -> None:
    shell.user_ns["f"] = (n for n in [1])
    with pytest.raises(UsageError, match="f cannot be sent"):
        run(shell, "for x in [1]", "f")
    assert not parallel_cells._unfinished


def test_only_the_latest_runs_are_kept(shell: InteractiveShell) -> None:
    for number in range(1, parallel_cells.KEPT_RUNS + 3):
        shell.execution_count = number
        with pytest.raises(ZeroDivisionError):
            run(shell, "for x in [0]", "1 / x")
    assert list(parallel_cells._unfinished) == [str(number) for number in range(3, parallel_cells.KEPT_RUNS + 3)]
