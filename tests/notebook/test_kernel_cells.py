"""`%%remote` cells in a real kernel on the local cluster, as a user runs them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Cell, Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """With a cluster from the start, since what a test leaves behind is counted."""
    with running_kernel(tmp_path_factory.mktemp("cells"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        yield kernel


def remote(kernel: Kernel, code: str, line: str = "") -> Cell:
    """Run a remote cell, whatever becomes of it."""
    return kernel.run(f"%%remote {line}\n{code}")


def remote_ok(kernel: Kernel, code: str, line: str = "") -> Cell:
    """Run a remote cell that must succeed."""
    return kernel.run_ok(f"%%remote {line}\n{code}")


def value(kernel: Kernel, expression: str) -> str:
    """The repr of an expression in the notebook."""
    return kernel.run_ok(expression).result


def test_names_follow_and_come_back(kernel: Kernel) -> None:
    kernel.run_ok("import os, math as m\noffset = 1\ndef helper(x): return x + offset")
    cell = remote_ok(kernel, "print('from', os.getpid() != 0)\npid = os.getpid()\nr = helper(m.floor(2.5))\nr")
    assert cell.stdout == "from True\n"
    assert cell.shown[0] == "3"
    assert value(kernel, "r, pid != os.getpid()") == "(3, True)"


def test_inputs_are_copies_and_may_be_changed(kernel: Kernel) -> None:
    kernel.run_ok("import numpy as np\nsmall = np.zeros(3); large = np.zeros(50_000); xs = [1]")
    remote_ok(kernel, "small += 1; large[0] = 5; xs.append(2); total = (small.sum(), large.sum(), xs)")
    assert value(kernel, "[*map(float, total[:2])], total[2]") == "([3.0, 5.0], [1, 2])"
    assert value(kernel, "float(large.sum()), xs") == "(0.0, [1])"


def test_an_array_that_the_cell_may_not_write_says_what_to_do(kernel: Kernel) -> None:
    kernel.run_ok("import numpy as np\nlarge = np.zeros(50_000)\ndef spoil(x): x[0] = 1")
    cell = remote(kernel, "spoil(large)")
    assert cell.error_name == "ValueError"
    assert ".copy()" in cell.error


def test_the_cell_and_its_functions_share_their_globals(kernel: Kernel) -> None:
    kernel.run_ok("k = 1\ndef times(x): return x * k")
    remote_ok(kernel, "k = 10\nz = times(2)\ndef plus(x): return x + k\nclass Box:\n    def get(self): return plus(0)")
    assert value(kernel, "z, plus(1), Box().get()") == "(20, 11, 10)"
    assert value(kernel, "k = 100; plus(1), Box().get()") == "(101, 100)"
    remote_ok(kernel, "again = Box().get()")
    assert value(kernel, "again") == "100"


def test_what_only_the_run_shows_comes_back(kernel: Kernel) -> None:
    remote_ok(kernel, "from math import *\nexec('made = 3')\ndef setter():\n    global seen\n    seen = 4\nsetter()")
    assert value(kernel, "floor(2.5), made, seen") == "(2, 3, 4)"


def test_large_results_are_handles(kernel: Kernel) -> None:
    remote_ok(kernel, "import numpy as np\nbig = np.arange(1_000_000.)")
    shown = kernel.run_ok("big")
    assert "1,000,000" in shown.result
    assert shown.stderr == ""
    assert value(kernel, "float(big.sum()), float(big[3]), len(big), type(big + 1).__name__") == (
        "(499999500000.0, 3.0, 1000000, 'ndarray')"
    )
    cell = remote_ok(kernel, "print(type(big).__name__, big.shape)")
    assert cell.stdout == "ndarray (1000000,)\n", "on a worker it is the value"


def test_prints_arrive_while_the_cell_runs(kernel: Kernel) -> None:
    cell = kernel.submit("%%remote\nimport time\nprint('early')\ntime.sleep(1)\nprint('late')")
    kernel.until(lambda: "early" in cell.stdout, 10, cell)
    assert cell.status == "running"
    assert kernel.wait(cell).stdout == "early\nlate\n"


def test_displays_tables_plots_and_updates(kernel: Kernel) -> None:
    cell = remote_ok(
        kernel,
        "import pandas as pd, matplotlib.pyplot as plt\nfrom IPython.display import display, HTML\n"
        "plt.plot([1, 2, 3])\nhandle = display(HTML('<b>one</b>'), display_id=True)\nhandle.update(HTML('<b>two</b>'))\n"
        "pd.DataFrame({'a': [1, 2]})",
    )
    assert "<b>two</b>" in cell.data("text/html")
    assert any("dataframe" in html for html in cell.data("text/html"))
    assert len(cell.data("image/png")) == 1


def test_await_magics_and_shell(kernel: Kernel) -> None:
    kernel.run_ok("word = 'hello'")
    cell = remote_ok(kernel, "import asyncio\nawait asyncio.sleep(0)\n%time w = word.upper()\n!echo {word}")
    assert "Wall time" in cell.stdout
    assert "hello\n" in cell.stdout
    assert value(kernel, "w") == "'HELLO'"


def test_a_failure_shows_the_cells_lines_once_and_stops_run_all(kernel: Kernel) -> None:
    first = kernel.submit("%%remote\nprint('before')\ndef deep(x):\n    return x / 0\nkept = deep(1)")
    second = kernel.submit("unreached = 1")
    kernel.wait(first)
    kernel.wait(second)
    assert (first.error_name, second.status) == ("ZeroDivisionError", "aborted")
    assert first.stdout == "before\n"
    assert first.error.count("ZeroDivisionError: division by zero") == 1
    assert f"Cell In[{first.number}], line 4, in deep" in first.error
    assert "----> 4     return x / 0" in first.error
    assert f"in task cell [{first.number}] on worker" in first.error
    assert "nbray/" not in first.error
    assert len(first.of("error")) == 1
    assert kernel.run("kept").error_name == "NameError", "a cell that fails brings nothing back"


def test_a_group_of_exceptions_is_shown_once(kernel: Kernel) -> None:
    cell = remote(kernel, "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])")
    assert cell.error_name == "ExceptionGroup"
    assert "ValueError: 1" in cell.error
    assert (cell.stderr, len(cell.of("error"))) == ("", 1)


def test_a_syntax_error_is_found_here(kernel: Kernel) -> None:
    cell = remote(kernel, "y = 1\nx = = 1")
    assert cell.error_name == "SyntaxError"
    assert "x = = 1" in cell.error
    assert "nbray" not in cell.error


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("--bogus", "1", "--bogus"),
        ("-i nosuch", "1", "-i nosuch"),
        ("-o nosuch", "a = 1", "-o nosuch"),
        ("--cpus 99", "1", "99"),
        ("--memory lots", "1", "'lots'"),
    ],
)
def test_bad_lines_are_refused(kernel: Kernel, line: str, code: str, message: str) -> None:
    cell = remote(kernel, code, line)
    assert cell.status == "error"
    assert message in cell.error + cell.stderr
    assert "Traceback" not in cell.error


def test_inputs_that_cannot_travel_are_named(kernel: Kernel) -> None:
    kernel.run_ok("import threading\nlock = threading.Lock()")
    cell = remote(kernel, "with lock: pass")
    assert cell.error_name == "NotShippable"
    assert "lock" in cell.error


def test_outputs_that_cannot_travel_are_told(kernel: Kernel) -> None:
    cell = remote_ok(kernel, "gen = (i for i in range(3))\nfine = 1")
    assert "gen" in cell.stderr
    assert "generator" in cell.stderr
    assert value(kernel, "fine") == "1"


def test_chosen_names_only(kernel: Kernel) -> None:
    kernel.run_ok("p, q = 1, 2")
    remote_ok(kernel, "here = 'q' in globals()\nother = 1", "-i p -o here")
    assert value(kernel, "here, 'other' in globals()") == "(False, False)"


def test_the_plan_runs_nothing(kernel: Kernel) -> None:
    kernel.run_ok("import numpy as np\narray = np.zeros(1_000_000)")
    cell = remote_ok(kernel, "planned = array.sum()", "--plan")
    assert "7.6 MiB" in cell.stdout
    assert "planned" in cell.stdout
    assert value(kernel, "'planned' in globals()") == "False"


def test_a_background_cell_returns_at_once_and_prints_into_its_cell(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --bg\nimport time\nprint('first')\ntime.sleep(0.5)\nprint('second')\nbg_done = 1")
    assert "second" not in cell.stdout
    kernel.until(lambda: "second\n" in cell.stdout, 10, cell)
    deadline = time.monotonic() + 10
    while value(kernel, "'bg_done' in globals()") == "False":
        assert time.monotonic() < deadline


def test_a_background_failure_is_shown_in_its_cell(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --bg\n1 / 0")
    kernel.until(lambda: bool(cell.of("error")), 10, cell)
    assert "----> 2 1 / 0" in cell.error


def test_timeout_ends_the_cell(kernel: Kernel) -> None:
    began = time.monotonic()
    cell = remote(kernel, "while True: pass", "--timeout 0.3")
    assert cell.error_name == "TaskTimeout"
    assert time.monotonic() - began < 5


def test_stop_cancels_the_cell(kernel: Kernel) -> None:
    cell = kernel.submit("%%remote\nimport time\nprint('up', flush=True)\nwhile True: time.sleep(0.1)")
    kernel.until(lambda: "up" in cell.stdout, 10, cell)
    pressed = time.monotonic()
    kernel.interrupt()
    assert kernel.wait(cell).error_name == "KeyboardInterrupt"
    assert time.monotonic() - pressed < 2
    assert "nbray/" not in cell.error
    remote_ok(kernel, "free = 1")


def test_a_background_cell_can_be_cancelled_by_its_number(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --bg\nimport time\nprint('up', flush=True)\nwhile True: time.sleep(0.1)")
    kernel.until(lambda: "up" in cell.stdout, 10, cell)
    kernel.run_ok(f"%nbray cancel {cell.number}")
    kernel.until(lambda: bool(cell.of("error")), 10, cell)
    assert "cancelled" in cell.error
