"""`%%remote` and `%nbray` in a shell of this process, on a backend without processes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray import errors, session
from nbray.notebook import extension
from tests.fakes import FakeBackend, fresh_session
from tests.notebook.conftest import run, run_ok


def names_after(shell: InteractiveShell, code: str) -> dict[str, Any]:
    """The notebook's names once a cell has run, which must succeed."""
    run_ok(shell, code)
    return dict(shell.user_ns)


# ---------------------------------------------------------------- %%remote


def test_names_go_and_come(notebook: InteractiveShell) -> None:
    run_ok(notebook, "import math\nimport math as m\na = 2\ndef double(x): return scale * x\nscale = 2")
    found = names_after(notebook, "%%remote\nb = double(a) + m.floor(1.5)\nimport json as j")
    assert found["b"] == 5
    assert found["j"].__name__ == "json"


def test_inputs_are_copies(notebook: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    run_ok(notebook, "x = [1]")
    found = names_after(notebook, "%%remote\nx.append(2)\nprint('there', x)")
    assert found["x"] == [1]
    assert "there [1, 2]" in capsys.readouterr().out


def test_a_run_does_not_find_what_an_earlier_one_changed(
    notebook: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run_ok(notebook, "x = [1]")
    run_ok(notebook, "for _ in range(2): get_ipython().run_cell_magic('remote', '', 'x.append(2)\\nprint(x)')")
    assert "[1, 2]\n[1, 2]\n" in capsys.readouterr().out


def test_functions_of_the_notebook_see_what_the_cell_assigns(notebook: InteractiveShell) -> None:
    run_ok(notebook, "rate = 1\ndef tax(x): return rate * x")
    assert names_after(notebook, "%%remote\nrate = 3\ny = tax(10)")["y"] == 30


def test_functions_of_a_cell_see_what_the_notebook_assigns_later(notebook: InteractiveShell) -> None:
    run_ok(notebook, "%%remote\nrate = 1\ndef tax(x): return rate * x")
    assert names_after(notebook, "rate = 5\ny = tax(10)")["y"] == 50


def test_small_arrays_come_back_writable(notebook: InteractiveShell) -> None:
    assert names_after(notebook, "%%remote\nimport numpy as np\nx = np.zeros(3)")["x"].flags.writeable
    assert names_after(notebook, "x[0] = 1")["x"][0] == 1


def test_a_failing_cell_brings_nothing_back(notebook: InteractiveShell) -> None:
    result = run(notebook, "%%remote\nkept = 1\n1 / 0")
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert "kept" not in notebook.user_ns


def test_a_failure_is_shown_with_the_cells_own_lines(
    notebook: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run(notebook, "%%remote\nx = 1\nx / 0")
    shown = strip_colors(capsys.readouterr().out)
    assert "----> 3 x / 0" in shown
    assert "on worker 0 (in this process), attempt 1" in shown
    assert "magics.py" not in shown


def strip_colors(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("source", ["def f(:", "return 1", "x = = 1"])
def test_a_syntax_error_is_found_here(
    notebook: InteractiveShell, backend: FakeBackend, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    result = run(notebook, f"%%remote\n{source}")
    assert type(result.error_in_exec).__name__ == "SyntaxError"
    assert backend.submitted == []
    shown = strip_colors(capsys.readouterr().out)
    assert source in shown
    assert "interactiveshell.py" not in shown


def test_outputs_can_be_named(notebook: InteractiveShell) -> None:
    found = names_after(notebook, "%%remote -o a b\na, b, c = 1, 2, 3")
    assert (found["a"], found["b"]) == (1, 2)
    assert "c" not in found


def test_an_input_can_come_back(notebook: InteractiveShell) -> None:
    run_ok(notebook, "x = [1]")
    assert names_after(notebook, "%%remote -o x\nx.append(2)")["x"] == [1, 2]


def test_inputs_can_be_named(notebook: InteractiveShell) -> None:
    run_ok(notebook, "import math\na, b = 1, 2")
    assert names_after(notebook, "%%remote -i a\nfound = 'b' in globals(), math.pi > a")["found"] == (False, True)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%remote -o scroes\nscores = 1", "-o scroes: the cell does not assign it; it assigns scores. Did you mean scores?"),
        ("%%remote -i datta\nx = 1", "-i datta: the notebook has no such name. Did you mean data?"),
        ("%%remote -o b\nif 0: b = 1", "-o b: the cell ran well, but did not assign b"),
        ("%%remote --memory lots\n1", "memory='lots': expected a size"),
        ("%%remote --timeout -1\n1", "timeout=-1.0: expected seconds > 0"),
        ("%%remote --retries -7\n1", "max_retries=-7: expected a whole number"),
    ],
)
def test_bad_options(notebook: InteractiveShell, cell: str, message: str) -> None:
    run_ok(notebook, "data = 1")
    error = run(notebook, cell).error_in_exec
    assert isinstance(error, errors.UsageError)
    assert message in str(error)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%%remote --tiemout 3", "there is no --tiemout 3: did you mean --timeout?"),
        ("%%remote --cpus two", "--cpus two: expected a number, as %%remote --cpus 2"),
        ("%nbray start --memory lots", "%nbray start --memory lots: expected a size, as %nbray start --memory 4GB"),
        ("%%remote x", "%%remote takes no x: code goes below this line; there are -i, --inputs,"),
    ],
)
def test_unknown_options(notebook: InteractiveShell, backend: FakeBackend, line: str, message: str) -> None:
    error = run(notebook, f"{line}\n1").error_in_exec
    assert type(error).__name__ == "UsageError"
    assert message in str(error)
    assert backend.submitted == []


def test_options_reach_the_engine(notebook: InteractiveShell, backend: FakeBackend) -> None:
    run_ok(notebook, "%%remote --cpus 2 --timeout 9 --retries 2 --name 'my training'\n1")
    name, options, _ = backend.submitted[-1]
    assert (name, options.name, options.timeout, options.max_retries) == ("my training", "my training", 9.0, 2)
    assert options.resources["CPU"] == 20_000


def test_what_asks_for_too_much_is_refused(notebook: InteractiveShell) -> None:
    assert isinstance(run(notebook, "%%remote --gpus 1\n1").error_in_exec, errors.InfeasibleRequest)


def test_what_cannot_be_shipped_is_named(notebook: InteractiveShell) -> None:
    run_ok(notebook, "import threading\nclass M: pass\nmodel = M(); model.lock = threading.Lock()")
    error = run(notebook, "%%remote\nmodel").error_in_exec
    assert isinstance(error, errors.NotShippable)
    assert str(error).startswith("model cannot be sent: model -> lock: a thread lock")


def test_what_cannot_come_back_is_told(notebook: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    found = names_after(notebook, "%%remote\nfine = 1\ng = (i for i in range(3))")
    assert found["fine"] == 1
    assert "g" not in found
    assert "nbray: g stays behind: g cannot be sent: it is a generator" in capsys.readouterr().err


def test_plan_runs_nothing(notebook: InteractiveShell, backend: FakeBackend, capsys: pytest.CaptureFixture[str]) -> None:
    run_ok(notebook, "%%remote --plan\nx = 1")
    assert backend.submitted == []
    assert "Nothing was run." in capsys.readouterr().out
    assert "x" not in notebook.user_ns


def test_a_background_cell_assigns_before_the_next_cell(
    notebook: InteractiveShell, backend: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.frozen = True
    run_ok(notebook, "%%remote --bg\nx = 1")
    assert "runs in the background; then it assigns x." in capsys.readouterr().out
    assert "x" not in notebook.user_ns
    backend.frozen = False
    backend.wait([ref.ref.id for ref in notebook.magics_manager.registry["NbrayMagics"].background._running.values()], 1)
    assert names_after(notebook, "y = x + 1")["y"] == 2


def test_a_failing_background_cell_tells(
    notebook: InteractiveShell, backend: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(notebook, "%%remote --bg\nx = 1 / 0")
    assert result.success
    run_ok(notebook, "y = 1")
    assert "ZeroDivisionError" in capsys.readouterr().err


# ---------------------------------------------------------------- %nbray


def test_status(notebook: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    run_ok(notebook, "%nbray")
    shown = capsys.readouterr().out
    assert "fake cluster fake" in shown
    assert "2 workers" in shown


def test_without_a_cluster(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_session():
        extension.load_ipython_extension(shell)
        for line in ("%nbray", "%nbray stop", "%nbray cancel --all", "%nbray memory", "%nbray stack"):
            run_ok(shell, line)
        assert not session.is_initialized()
        extension.unload_ipython_extension(shell)
    assert capsys.readouterr().out.count("no cluster runs") == 5


def test_stop(notebook: InteractiveShell, backend: FakeBackend) -> None:
    run_ok(notebook, "%nbray stop")
    assert backend.closed


def test_start_says_what_differs(notebook: InteractiveShell) -> None:
    error = run(notebook, "%nbray start -n 7").error_in_exec
    assert isinstance(error, errors.UsageError)
    assert "num_workers=7 (it runs with 2)" in str(error)


def test_scale(notebook: InteractiveShell, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(FakeBackend, "scale", lambda backend, least, most: asked.append((least, most)))
    run_ok(notebook, "%nbray scale 3")
    assert asked == [(3, 3)]


def test_cancel(notebook: InteractiveShell, backend: FakeBackend, capsys: pytest.CaptureFixture[str]) -> None:
    backend.frozen = True
    run_ok(notebook, "%%remote --bg\nx = 1")
    number = notebook.execution_count - 1
    run_ok(notebook, "%%remote --bg\ny = 1")
    run_ok(notebook, f"%nbray cancel {number}")
    assert "nbray: cancelled 1." in capsys.readouterr().out
    run_ok(notebook, "%nbray cancel --all")
    assert "nbray: cancelled 1, 1 had ended before." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%nbray stpo", "%nbray stpo: did you mean stop?"),
        ("%nbray cancel", "name one cell, as %nbray cancel 4"),
        ("%nbray scale", "expected how many workers there shall be, as %nbray scale 4"),
        ("%nbray scale -3", "%nbray scale -3: expected how many workers"),
        ("%nbray cancel 99", "no cell [99] has run"),
        ("%nbray stop --all", "%nbray stop takes no --all; it belongs to %nbray status"),
        ("%nbray start 3", "%nbray start takes no 3"),
        ("%nbray --wrokers 3", "did you mean --workers?"),
    ],
)
def test_wrong_lines(notebook: InteractiveShell, line: str, message: str) -> None:
    error = run(notebook, line).error_in_exec
    assert type(error).__name__ == "UsageError"
    assert message in str(error)


def test_the_help_says_what_follows_and_what_comes_back(notebook: InteractiveShell) -> None:
    text = notebook.find_cell_magic("remote").__doc__
    assert "COPIES" in text
    assert "come back when it has ended well" in text
    assert "--timeout SECONDS" in text
