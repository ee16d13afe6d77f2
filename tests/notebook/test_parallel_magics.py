"""`%%parallel` and `%nbray retry` as they are typed, in a shell of this process on a backend without processes."""

from __future__ import annotations

import re

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.notebook import extension
from tests.fakes import FakeBackend
from tests.notebook.conftest import run, run_ok


def test_the_list_is_the_cells_result(notebook: InteractiveShell) -> None:
    assert run_ok(notebook, "%%parallel for x in range(3)\nx * x") == [0, 1, 4]
    assert run_ok(notebook, "_") == [0, 1, 4]


def test_options_stand_on_both_sides(notebook: InteractiveShell, backend: FakeBackend) -> None:
    run_ok(notebook, "%%parallel --cpus 2 for x in [3] --timeout 9 --retries 2 -o y\ny = x")
    name, options, _ = backend.submitted[-1]
    assert (name, options.resources["CPU"], options.timeout, options.max_retries) == ("x=3", 20_000, 9.0, 2)
    assert notebook.user_ns["y"] == [3]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%parallel x in xs\n1", "expected what to go through, as %%parallel for x in xs"),
        ("%%parallel for x in [1] --tiemout 3\n1", "there is no --tiemout 3: did you mean --timeout?"),
        ("%%parallel for x in [1] --bgg\n1", "there is no --bgg: did you mean --bg?"),
        ("%%parallel for x in [1] --on a\n1", "a namespace runs one cell after the other; %%remote --on NAME with a for loop"),
        ("%%parallel --on=a for x in [1]\n1", "%%parallel --on: items run side by side"),
        ("%%parallel for x in [1] --plan\n \n", "the cell is empty"),
        ("%%parallel for x in [1] --plan\nyield x", "yield: under %%parallel the cell runs several times"),
        ("%%parallel for x in [1] --cpus two\n1", "--cpus two: expected a number, as %%parallel for x in xs --cpus 2"),
        ("%%parallel for x in [1] --memory lots\n1", "memory='lots': expected a size"),
        ("%%parallel for x in [1] -o b\na = 1", "-o b: the cell does not assign it"),
        ("%nbray retry", "no %%parallel cell has items left"),
        ("%nbray retry --all", "%nbray retry takes no --all"),
    ],
)
def test_wrong_lines(notebook: InteractiveShell, backend: FakeBackend, cell: str, message: str) -> None:
    error = run(notebook, cell).error_in_exec
    assert type(error).__name__ in ("UsageError", "WrongType")
    assert message in str(error)
    assert backend.submitted == []


def test_a_failure_is_shown_as_the_item_had_it_and_retried(
    notebook: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run_ok(notebook, "bad = [2]\ndef f(x):\n    if x in bad: raise ValueError(f'no {x}')\n    return x")
    assert isinstance(run(notebook, "%%parallel for x in [1, 2]\ny = 0\nf(x)").error_in_exec, ValueError)
    captured = capsys.readouterr()
    shown = re.sub(r"\x1b\[[0-9;]*m", "", captured.out)
    assert "----> 3 f(x)" in shown
    assert "parallel_runs.py" not in shown
    assert "[1] x=2: ValueError: no 2" in captured.err
    assert run_ok(notebook, "_")[0] == 1
    assert run_ok(notebook, "def f(x): return -x\n%nbray retry") == [1, -2]


def test_a_name_that_is_missing_is_shown_without_our_frames(
    notebook: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(run(notebook, "%%parallel for x in xs\nx").error_in_exec, NameError)
    shown = capsys.readouterr().out
    assert "name 'xs' is not defined" in shown
    assert "parallel_cells.py" not in shown


def test_the_help_tells_the_whole_story(notebook: InteractiveShell) -> None:
    text = notebook.find_cell_magic("parallel").__doc__
    for part in ("%%parallel for path in paths", "in the order of the items", "%nbray retry", "--timeout SECONDS", "-o"):
        assert part in text


def test_unloading_takes_the_magic_away(shell: InteractiveShell, backend: FakeBackend) -> None:
    extension.load_ipython_extension(shell)
    extension.unload_ipython_extension(shell)
    assert shell.find_cell_magic("parallel") is None


@pytest.mark.parametrize(("cell", "said"), [
    ("%%parallel for x in xs --plan\nx + factor", "Nothing was run. 5 items (x=1, x=2, x=3 and 2 more). Each item would\n"),
    ("%%parallel for x in xs --plan\nx + factor", "  get from the loop:\n    x\n"),
    ("%%parallel for x in xs --plan\nx + factor", "\n    factor  int  "),
    ("%%parallel for x in xs --plan\nx + factor", "    the values of the last expression, as one list\n"),
    ("%%parallel for x in [] --plan\nx", "Nothing was run. 0 items. Each item would\n"),
    ("%%parallel for x in xs --plan\ny = x", "  bring back when it has ended well:\n    nothing\n"),
    ("%%parallel for x in xs --plan -o y z\ny = z = x", "    y, as a list, z, as a list\n"),
    ("%%parallel for x in once --plan\nx", "Nothing was run. As many items as once gives. Each item would\n"),
])  # fmt: skip
def test_a_plan_runs_nothing(
    notebook: InteractiveShell, backend: FakeBackend, capsys: pytest.CaptureFixture[str], cell: str, said: str
) -> None:  # fmt: skip
    run_ok(notebook, "factor, xs = 2, [1, 2, 3, 4, 5]\nonce = iter(xs)")
    run_ok(notebook, cell)
    assert said in capsys.readouterr().out
    assert backend.submitted == []
    assert run_ok(notebook, "len(list(once))") == 5
