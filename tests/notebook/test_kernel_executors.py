"""Executors, pools and joblib in a real kernel: Stop ends what they have on the cluster, and they can be used again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = [pytest.mark.local, pytest.mark.slow]

SETUP = """
%load_ext nbray
%nbray start -n 2
import time, joblib, concurrent.futures, nbray
from joblib import Parallel, delayed
from nbray.util.multiprocessing import Pool
def long(_):
    print("begun")
    time.sleep(60)
with nbray.Executor() as executor:
    print(list(executor.map(abs, [-1, -2])))
with joblib.parallel_config("nbray"):
    print(Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(3)))
"""

LONG = {
    "executor": "with nbray.Executor() as executor:\n    list(executor.map(long, range(4)))",
    "result": "executor = nbray.Executor()\nexecutor.submit(long, 0).result()",
    "wait": "executor = nbray.Executor()\nconcurrent.futures.wait([executor.submit(long, n) for n in range(4)])",
    "pool": "with Pool(2) as pool:\n    pool.map(long, range(4), chunksize=1)",
    "joblib": "with joblib.parallel_config('nbray'):\n    Parallel(n_jobs=2)(delayed(long)(n) for n in range(4))",
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("executors"), *SETUP.strip().split("\n", 2)) as kernel:
        yield kernel


@pytest.mark.parametrize("kind", LONG)
def test_stop(kernel: Kernel, kind: str) -> None:
    cell = kernel.submit(LONG[kind])
    kernel.until(lambda: "begun" in cell.stdout, 20, cell)
    pressed = time.monotonic()
    kernel.interrupt()
    kernel.wait(cell, 10)
    assert cell.error_name == "KeyboardInterrupt", cell.everything()
    after = kernel.run_ok("with nbray.Executor(num_cpus=2) as executor: print(executor.submit(abs, -7).result())")
    assert after.stdout == "7\n"
    assert time.monotonic() - pressed < 10
