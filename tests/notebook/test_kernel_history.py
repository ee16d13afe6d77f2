"""The history of a real kernel: what cells took, over a restart, and which version of a local module each has used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook.kernel import Cell, Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with running_kernel(tmp_path, "%load_ext nbray", "%nbray start -n 2", env={"XDG_CACHE_HOME": str(tmp_path / "c")}) as kernel:
        yield kernel


def facts(kernel: Kernel, cell: Cell) -> str:
    return kernel.run_ok(f"%nbray history {cell.number}").result


def test_cells_are_remembered_with_what_they_took(kernel: Kernel) -> None:
    assert "no cell of this notebook has had work" in kernel.run_ok("%nbray history").stdout
    kernel.run_ok("import numpy as np, time\nx, frame = 3, np.arange(10_000.0)")
    slept = kernel.run_ok("%%remote\ntime.sleep(0.5)\ny = frame.sum() + x")
    why = kernel.run_ok("%nbray why")
    said = r"\[\d+\] time.sleep\(0.5\): \d.\d s, ok\n\d\d % of the \d.\d s was its own code, which mostly waited"
    assert re.search(said, why.result)
    [html] = why.data("text/html")
    assert "<script" not in html
    told = facts(kernel, slept)
    for part in ("local cluster", "worker ", "numpy 2.", "frame  ndarray 10,000, float64  78 KiB  ", "x  int  9 B  ", "y  float"):
        assert part in told
    failed = kernel.run("%%remote\nx / 0")
    mapped = kernel.run_ok("import nbray\nf = nbray.remote(time.sleep)\n_ = nbray.get([f.remote(0.02) for _ in range(20)])")
    kernel.run_ok("%%parallel for i in range(3)\ni + x")
    kernel.run_ok("local = 1")
    table = kernel.run_ok("%nbray history")
    lines = table.result.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == [f"[{mapped.number + 1}]", f"[{mapped.number}]", f"[{failed.number}]",
                                                        f"[{slept.number}]"]  # fmt: skip
    assert "parallel" in lines[1]
    assert lines[1].split()[-2:] == ["x", "_"]
    assert "20 tasks" in lines[2]
    assert "failed: ZeroDivisionError: division by zero" in lines[3]
    assert "<table>" in table.data("text/html")[0]
    assert "of 2 cores busy" in kernel.run_ok(f"%nbray why {mapped.number}").result
    assert "It failed after" in kernel.run_ok(f"%nbray why [{failed.number}]").result
    assert "no cell [99] with work" in kernel.run("%nbray why 99").error


def test_the_history_outlives_the_kernel(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run_ok("x = [1, 2]")
    kernel.run_ok("%%remote\ny = sum(x)")
    kernel.restart()
    kernel.run_ok("%load_ext nbray")
    kernel.run_ok("x = [1, 2]")
    again = kernel.run_ok("%%remote\ny = sum(x)")
    lines = kernel.run_ok("%nbray history").result.splitlines()
    assert sum("y = sum(x)" in line for line in lines) == 2
    assert "with nothing different that is hashed" in facts(kernel, again)
    kernel.run_ok("x = [1, 3]")
    other = kernel.run_ok("%%remote\ny = sum(x)")
    assert "now different: other content of x" in facts(kernel, other)
    [file] = (tmp_path / "c" / "nbray" / "history").iterdir()
    assert len({json.loads(line)["cell_run"] for line in file.read_text().splitlines()}) == 3
    assert "3 cell runs forgotten" in kernel.run_ok("%nbray history clear").stdout
    assert "no cell of this notebook" in kernel.run_ok("%nbray why").stdout


def test_a_cell_that_outlives_its_kernel(kernel: Kernel) -> None:
    kernel.run_ok("import time\nx = 1")
    kernel.run_ok("%%remote --bg\ntime.sleep(1.5)\ny = x")
    kernel.restart()
    kernel.run_ok("%load_ext nbray\nimport nbray\nnbray.init()")
    assert "kernel lost" in kernel.run_ok("%nbray history").result
    assert "Its kernel was lost while it ran" in kernel.run_ok("%nbray why").result
    kernel.run_ok("%nbray attach")
    kernel.until(lambda: "kernel lost" not in kernel.run_ok("%nbray history").result)
    told = kernel.run_ok("%nbray why").result
    assert re.search(r"y = x|time.sleep", told.splitlines()[0])
    assert re.search(r"run +█+ +\d.\d s", told)


def test_each_run_says_which_version_it_used(kernel: Kernel, tmp_path: Path) -> None:
    source = tmp_path / "history_prices.py"
    source.write_text("PRICE = 1\n")
    kernel.run_ok(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport history_prices")
    cell, kept = "%%remote\ny = history_prices.PRICE", "%%remote --on shop\nz = history_prices.PRICE"
    versions = []
    for text in ("PRICE = 1\n", "PRICE = 22\n"):
        source.write_text(text)
        told = [facts(kernel, kernel.run_ok(each)) for each in (cell, kept)]
        versions += [re.findall(r"history_prices (\w{8})", each)[0] for each in told]
    plain, in_namespace, plain_edited, namespace_still = versions
    assert plain == in_namespace == namespace_still  # a namespace keeps what it has imported, and this is what it used
    assert plain_edited != plain
    assert kernel.run_ok("y").result == "22"
    mapped = facts(kernel, kernel.run_ok("import nbray\nlist(nbray.map(lambda i: history_prices.PRICE, range(2)))"))
    assert f"history_prices {plain_edited}" in mapped
    assert f"now different: module history_prices {plain} -> {plain_edited}" in told[0]


def test_cells_in_the_background_and_kept_results(kernel: Kernel) -> None:
    background = kernel.run_ok("%%remote --bg\nimport time\ntime.sleep(0.3)\nw = 1")
    assert "runs" in kernel.run_ok("%nbray history").result
    kernel.until(lambda: "w" in kernel.run_ok("sorted(name for name in globals() if name == 'w')").result)
    assert "remote --bg" in facts(kernel, background)
    assert "ok" in facts(kernel, background)
    kernel.run_ok("%%remote --cache\nv = sum(range(1000))")
    again = kernel.run_ok("%%remote --cache\nv = sum(range(1000))")
    assert "Nothing was run" in kernel.run_ok("%nbray why").result
    assert "ok, kept result" in facts(kernel, again)


def test_a_stopped_cell(kernel: Kernel) -> None:
    cell = kernel.submit("%%remote\nprint('begins')\nimport time\ntime.sleep(60)")
    kernel.until(lambda: "begins" in cell.stdout, cell=cell)
    kernel.interrupt()
    kernel.wait(cell)
    assert "You stopped it after" in kernel.run_ok("%nbray why").result


def test_what_a_cell_waited_for(kernel: Kernel) -> None:
    kernel.run_ok("import time")
    for _ in range(2):
        kernel.run_ok("%%remote --bg\ntime.sleep(1.5)")
    kernel.run_ok("%%remote\ny = 1")
    why = kernel.run_ok("%nbray why").result
    assert re.search(r"was waiting: all CPUs held by cell \[\d\] and cell \[\d\]. %nbray scale N", why)
    kernel.run_ok("%%remote --on shop\nz = 1")
    kernel.run_ok("%%remote --bg --on shop\ntime.sleep(1.5)")
    kernel.run_ok("%%remote --on shop\ny = 1")
    assert "was waiting for the namespace shop: for an earlier cell there" in kernel.run_ok("%nbray why").result


def test_arguments_that_are_written_again_and_again(kernel: Kernel) -> None:
    kernel.run_ok("import numpy as np, nbray\nbig = np.ones(4_000_000)\nf = nbray.remote(lambda a: a[0])")
    kernel.run_ok("_ = nbray.get([f.remote(big) for _ in range(8)])")
    first = kernel.run_ok("%nbray why").result
    assert "was writing arguments and captured values into the store (244 MiB): nbray.put what several tasks use" in first
    kernel.run_ok("ref = nbray.put(big)\n_ = nbray.get([f.remote(ref) for _ in range(8)])")
    assert "31 MiB written into the cluster's store" in kernel.run_ok("%nbray history 6").result
