"""`%%remote` and `%nbray` in a real kernel: code and data that are used again and again, deaths, the cluster's life."""

from __future__ import annotations

import os
import re
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook.kernel import Cell, Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """With a cluster from the start, since what a test leaves behind is counted."""
    with running_kernel(tmp_path_factory.mktemp("magics"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        yield kernel


def shown(cell: Cell) -> list[str]:
    """The text of what a cell displayed, without its card."""
    texts = (str(text) for text in cell.data("text/plain"))
    return [text for text in texts if not text.startswith("nbray:")]


def failed(kernel: Kernel, code: str) -> Cell:
    cell = kernel.run(code)
    assert cell.status == "error", cell.everything()
    return cell


# ---------------------------------------------------------------- code and data


def test_what_is_edited_here_is_edited_there(kernel: Kernel) -> None:
    kernel.run_ok("factor = 2\ndef inner(x):\n    return factor * x\ndef outer(x):\n    return inner(x)")
    assert shown(kernel.run_ok("%%remote\nouter(10)")) == ["20"]
    kernel.run_ok("factor = 3")
    assert shown(kernel.run_ok("%%remote\nouter(10)")) == ["30"]
    kernel.run_ok("def inner(x):\n    return -x")
    assert shown(kernel.run_ok("%%remote\nouter(10)")) == ["-10"]


def test_a_function_that_a_cell_defines_reads_the_notebooks_names(kernel: Kernel) -> None:
    kernel.run_ok("rate = 1\ndef tax(x):\n    return rate * x")
    assert shown(kernel.run_ok("%%remote\nrate = 5\ndef gross(x):\n    return x + tax(x)\ntax(2)")) == ["10"]
    assert kernel.run_ok("rate = 2\ngross(10)").result == "30"


def test_each_run_finds_its_inputs_unchanged(kernel: Kernel) -> None:
    kernel.run_ok("items = [1]")
    for _ in range(2):
        assert shown(kernel.run_ok("%%remote\nitems.append(2)\nitems")) == ["[1, 2]"]
    assert kernel.run_ok("items").result == "[1]"


def test_a_large_array_goes_once_and_comes_back_as_a_handle(kernel: Kernel) -> None:
    store = "nbray.session.current_backend().snapshot().store"
    kernel.run_ok("import nbray, numpy as np\nbig = np.arange(5_000_000.0)")
    kernel.run_ok("%%remote\nlargest = float(big.max())")
    first = kernel.run_ok(f"{store}.used, {store}.objects").result
    kernel.run_ok("%%remote\nlargest = float(big.max())")
    assert kernel.run_ok(f"{store}.used, {store}.objects").result == first
    kernel.run_ok("%%remote\ndoubled = big * 2")
    assert "on the cluster: 5,000,000, float64, 40 MB" in kernel.run_ok("doubled").result
    assert shown(kernel.run_ok("%%remote\nfloat(doubled[-1])")) == ["9999998.0"]
    assert kernel.run_ok("float(doubled[-1]), bool((doubled == big * 2).all())").result == "(9999998.0, True)"


def test_a_plot_is_shown_once_and_comes_back(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote\nimport matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2]);")
    assert len(cell.data("image/png")) == 1
    assert len(kernel.run_ok("ax.get_title()").data("image/png")) == 0
    assert len(kernel.run_ok("fig").shown) == 1


def test_a_reference_stays_a_reference(kernel: Kernel) -> None:
    kernel.run_ok("import nbray\nref = nbray.put([1, 2])")
    assert shown(kernel.run_ok("%%remote\ntype(ref).__name__, nbray.get(ref)")) == ["('ObjectRef', [1, 2])"]


def test_a_remote_cell_may_use_the_cluster(kernel: Kernel) -> None:
    kernel.run_ok("import nbray\n@nbray.remote\ndef square(x):\n    return x * x")
    assert shown(kernel.run_ok("%%remote\nsum(nbray.get([square.remote(n) for n in range(10)]))")) == ["285"]


# ---------------------------------------------------------------- failures


def test_a_traceback_names_the_cells_task_and_worker(kernel: Kernel) -> None:
    definition = kernel.run_ok("def divide(x):\n    return x / 0")
    cell = failed(kernel, "%%remote\nprint('begun')\ndivide(3)")
    assert cell.error.count("Traceback (most recent call last)") == 1
    assert f"Cell In[{cell.number}], line 3" in cell.error
    assert f"Cell In[{definition.number}], line 2, in divide(x)" in cell.error
    assert re.search(rf"in task cell \[{cell.number}\] on worker \d \(pid \d+\), attempt 1", cell.error)
    assert "nbray/" not in cell.error


def test_an_exception_of_the_notebook_arrives_as_itself(kernel: Kernel) -> None:
    kernel.run_ok("class Odd(Exception):\n    def __init__(self, a, b):\n        super().__init__(a)\n        self.b = b")
    assert failed(kernel, "%%remote\nraise Odd(1, b=2)").error_name == "Odd"
    assert kernel.run_ok("import sys\ntype(sys.last_value) is Odd, sys.last_value.b").result == "(True, 2)"


def test_a_worker_that_dies_is_told(kernel: Kernel) -> None:
    cell = failed(kernel, "%%remote\nimport os\nprint('last words', flush=True)\nos._exit(7)")
    assert cell.error_name == "WorkerDied"
    assert "exit code 7" in cell.error
    assert "last words" in cell.error
    assert shown(kernel.run_ok("%%remote\n1")) == ["1"]


# ---------------------------------------------------------------- looking closely


def test_memory_names_what_holds_an_object(kernel: Kernel) -> None:
    kernel.run_ok("import nbray\ntable = nbray.put(bytes(3_000_000))\nboxed = [0, table]\ntable")
    number = kernel.run_ok("get_ipython().execution_count - 2").result
    (text, *_) = kernel.run_ok("%nbray memory").data("text/plain")
    assert "3 MB" in text
    assert f"Out[{number}], table, boxed[1]" in text
    kernel.run_ok(f"del table, boxed, Out[{number}], _{number}")


def test_stacks_show_the_line_of_the_cell(kernel: Kernel) -> None:
    kernel.run_ok("import nbray\ndef spin():\n    while True:\n        x = 1\nref = nbray.apply_async(spin, name='spinner')")
    kernel.until(lambda: "running" in kernel.run_ok("nbray.list_tasks(name='spinner')[0].state.lower()").result, 5)
    (text, *_) = kernel.run_ok("%nbray stack").data("text/plain")
    assert "runs spinner" in text
    assert re.search(r"in spin\n    (while True|x = 1)", text), text
    for task in ("spinner", kernel.run_ok("nbray.list_tasks(name='spinner')[0].task_id").result.strip("'")):
        (text, *_) = kernel.run_ok(f"%nbray stack {task}").data("text/plain")
        assert text.startswith("worker ")
        assert text.count("worker ") == 1
        assert "in spin" in text
    assert "did you mean spinner?" in kernel.run("%nbray stack spiner").everything()
    kernel.run_ok("nbray.cancel(ref, force=True)\ndel ref")


# ---------------------------------------------------------------- the cluster's life


def test_status_start_and_stop(fresh_kernel: Kernel) -> None:
    assert "no cluster runs" in fresh_kernel.run_ok("%nbray").stdout
    fresh_kernel.run_ok("%nbray start -n 1 --memory 500MB")
    fresh_kernel.run_ok("%%remote\n1")
    status = fresh_kernel.run_ok("%nbray")
    assert "1 worker" in status.data("text/plain")[0]
    assert "477 MiB" in status.data("text/plain")[0]
    assert "<table" in status.data("text/html")[0]
    assert "num_workers=3 (it runs with 1)" in failed(fresh_kernel, "%nbray start -n 3").error
    assert "has ended" in fresh_kernel.run_ok("%nbray stop").stdout
    assert "no cluster runs" in fresh_kernel.run_ok("%nbray").stdout


def test_the_first_cell_starts_a_cluster(fresh_kernel: Kernel) -> None:
    began = time.monotonic()
    cell = fresh_kernel.run_ok("%%remote\nimport os\nos.getpid()")
    assert time.monotonic() - began < 5
    assert int(shown(cell)[0]) not in (fresh_kernel.pid, os.getpid())
    fresh_kernel.run_ok("%nbray stop")


def test_a_cluster_that_has_died_is_told_and_followed_by_a_new_one(fresh_kernel: Kernel) -> None:
    zygote = int(shown(fresh_kernel.run_ok("%%remote\nimport os\nos.getppid()"))[0])
    cell = fresh_kernel.run_ok("%%remote --bg\nimport time\ntime.sleep(60)")
    os.kill(zygote, signal.SIGKILL)
    fresh_kernel.until(lambda: "ClusterDied" in cell.error, 5, cell)
    assert shown(fresh_kernel.run_ok("%%remote\n1")) == ["1"]
    fresh_kernel.run_ok("%nbray stop")


NAP = "def nap(place):\n    import pathlib, time\n    pathlib.Path(place).touch()\n    time.sleep(600)"
WAITING_CELLS = [
    "%%remote\nnap({place!r})",
    "await nbray.apply_async(nap, ({place!r},))",
    "%%parallel for number in [1, 2]\nnap({place!r})",
]


@pytest.mark.parametrize("victim", ["zygote", "scheduler"])
def test_a_cell_that_waits_is_told_at_once_when_its_cluster_dies(fresh_kernel: Kernel, victim: str, tmp_path: Path) -> None:
    """Each in a cluster of its own. Of the middle ones it is asked that they come in time: other work may take the cores."""
    fresh_kernel.run_ok(f"import nbray\n{NAP}")
    seconds = []
    for number, code in enumerate(WAITING_CELLS):
        place = tmp_path / str(number)
        zygote = int(shown(fresh_kernel.run_ok("%%remote\nimport os\nos.getppid()"))[0])
        scheduler = int(Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()[0])
        cell = fresh_kernel.submit(code.format(place=str(place)))
        fresh_kernel.until(place.exists, 20, cell)
        began = time.monotonic()
        os.kill(scheduler if victim == "scheduler" else zygote, signal.SIGKILL)
        fresh_kernel.wait(cell, 20)
        assert "ClusterDied" in cell.error, cell.everything()
        seconds.append(cell.of("error")[0].arrived - began)
    assert statistics.median(seconds) < 1
    fresh_kernel.run_ok("%nbray stop")


def test_in_serial_mode_a_debugger_finds_the_task_s_frames(fresh_kernel: Kernel) -> None:
    fresh_kernel.run_ok("%nbray stop\nimport nbray\nnbray.init('serial')")
    fresh_kernel.run_ok("@nbray.remote\ndef halve(x):\n    print('halving', x)\n    rest = x - x\n    return x / rest")
    cell = failed(fresh_kernel, "nbray.get(halve.remote(8))")
    assert "halving 8" in cell.stdout
    assert "RemoteError(ZeroDivisionError)" in cell.everything()
    look = "import sys, traceback\n*_, last = traceback.walk_tb(sys.last_traceback)\nlast[0].f_code.co_name, last[0].f_locals"
    assert fresh_kernel.run_ok(look).result == "('halve', {'x': 8, 'rest': 0})"
    assert "take the line off" in failed(fresh_kernel, "%%remote\n1").error
    fresh_kernel.run_ok("%nbray stop")
