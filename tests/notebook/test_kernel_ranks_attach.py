"""Ranks of a kernel that was killed, and the lists that the next one brings.

Apart from other tests of ranks, whose shared kernel has the same name: the next kernel would join its cluster.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebook.kernel import running_kernel

pytestmark = pytest.mark.local


@pytest.mark.parametrize("how", ["-n 2", "--each p q"])
def test_the_next_kernel_brings_the_lists(tmp_path: Path, how: str) -> None:
    with running_kernel(tmp_path, "%load_ext nbray", "%nbray start -n 2") as kernel:
        cell = kernel.submit(
            f"%%remote {how} -o x\nimport time\nprint('at work', flush=True)\ntime.sleep(2)\nx = rank * 10\nprint('done')"
        )
        kernel.until(lambda: cell.stdout.count("at work") == 2, 20, cell)
        kernel.kill()
        kernel.manager.restart_kernel(now=True)
        kernel.client.wait_for_ready(timeout=30)
        kernel.run_ok("%load_ext nbray")
        again = kernel.run_ok("%nbray attach")
        kernel.until(lambda: again.stdout.count("done") >= 2, 20, again)
        kernel.until(lambda: kernel.run("x").result == "[0, 10]", 20, again)
        kernel.run_ok("%nbray stop")
