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
