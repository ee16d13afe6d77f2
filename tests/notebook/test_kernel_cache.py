"""Kept results in a real kernel: functions, across a restart and in another kernel, and `%nbray cache`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = pytest.mark.local

SLOW = """
import nbray, os
LIMIT = 3
@nbray.remote(cache=True)
def slow(x):
    return os.getpid(), x + LIMIT
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with running_kernel(tmp_path, "%load_ext nbray", "%nbray start -n 1", env={"XDG_CACHE_HOME": str(tmp_path / "c")}) as kernel:
        yield kernel


def test_a_function_is_kept_over_a_restart_until_something_is_edited(kernel: Kernel) -> None:
    kernel.run_ok(SLOW)
    first = kernel.run_ok("nbray.get(slow.remote(1))")
    assert first.stderr == ""
    again = kernel.run_ok("nbray.get(slow.remote(1))")
    assert again.result == first.result
    assert "nbray: slow: kept result of" in again.stderr
    kernel.run_ok("%nbray stop")
    kernel.restart()
    kernel.run_ok("%load_ext nbray")
    kernel.run_ok("# written anew\n" + SLOW)
    assert kernel.run_ok("nbray.get(slow.remote(1))").result == first.result
    kernel.run_ok("LIMIT = 4")
    edited = kernel.run_ok("nbray.get(slow.remote(1))")
    assert edited.result.endswith(", 5)")
    assert edited.stderr == ""
    table = kernel.run_ok("%nbray cache")
    assert "2 kept results" in table.stdout
    assert "slow" in table.result
    assert "LIMIT" in table.result
    assert "2 kept results deleted" in kernel.run_ok("%nbray cache clear slow").stdout
    assert "no result is kept" in kernel.run_ok("%nbray cache").stdout
    assert "expected nothing more" in kernel.run("%nbray cache all").everything()


CELL = """%%remote --cache
import os
import numpy as np
pid = os.getpid()
big = np.full(100_000, factor)
print("working", factor)
big[:2]
"""


def test_a_cell_is_kept_with_what_it_showed(kernel: Kernel) -> None:
    kernel.run_ok("factor = 2")
    first = kernel.run_ok(CELL)
    assert "kept result" not in first.stderr
    pid = kernel.run_ok("pid, float(big.sum())").result
    kernel.run_ok("%nbray stop\ndel pid, big")
    again = kernel.run_ok(CELL + "# a comment")
    assert "kept result of" in again.stderr
    assert "nothing was run" in again.stderr
    assert "working 2" in again.stdout
    assert "array([2, 2])" in again.everything()
    assert kernel.run_ok("pid, float(big.sum())").result == pid
    kernel.run_ok("factor = 3")
    edited = kernel.run_ok(CELL)
    assert "kept result" not in edited.stderr
    assert kernel.run_ok("float(big.sum())").result == "300000.0"


def test_what_is_not_kept_is_said(kernel: Kernel) -> None:
    assert "not kept: it holds a class or function" in kernel.run_ok("%%remote --cache\ndef f(): return 1").stderr
    assert "runs without the cache: it uses magics" in kernel.run_ok("%%remote --cache\n%time x = 1").stderr
    clock = kernel.run_ok("%%remote --cache\nimport time\nt = time.time()")
    assert "uses time.time, which the cache does not track" in clock.stderr
    failed = kernel.run("%%remote --cache\n1 / 0")
    assert failed.error_name == "ZeroDivisionError"
    assert kernel.run("%%remote --cache\n1 / 0").error_name == "ZeroDivisionError"
    assert "--cache with --bg: a cell is kept that is waited for" in kernel.run("%%remote --cache --bg\nx = 1").everything()


def test_an_edited_module_is_noticed(kernel: Kernel, tmp_path: Path) -> None:
    source = tmp_path / "kept_rates.py"
    source.write_text("RATE = 1\n")
    kernel.run_ok(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport kept_rates")
    cell = "%%remote --cache\ny = kept_rates.RATE"
    results = []
    for text in ("RATE = 1\n", "RATE = 1\n", "RATE = 222\n", "RATE = 1\n"):
        source.write_text(text)
        said = kernel.run_ok(cell).stderr
        results.append(("kept result" in said, kernel.run_ok("y").result))
    assert results == [(False, "1"), (True, "1"), (False, "222"), (True, "1")]
