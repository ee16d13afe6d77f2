"""Two pieces of work that people do: a tree of sums over arrays, and a search of scikit-learn's."""

from __future__ import annotations

import os

import psutil

from tests.benchmarks.measurements import Measured, running, seconds
from tests.benchmarks.systems import System
from tests.benchmarks.tasks import MIB, add, block
from tests.leak_guard import MARK, ProcessTable

LEAVES = 1000
FITS = 36


def tree(system: System) -> Measured:
    """Sums of two until one is left; nothing but that one comes to the driver."""
    system.takes_handles()

    def once() -> None:
        level = [system.submit(block, 1) for _ in range(LEAVES)]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            level = [system.submit(add, one, other) for one, other in pairs] + ([level[-1]] if len(level) % 2 else [])
        total = system.gather(level)[0]
        if total[0] != LEAVES or total.nbytes != MIB:
            raise AssertionError(f"the sum is {total[0]} over {total.nbytes} bytes")

    with running(system):
        times = [seconds(once) for _ in range(3)]
    return Measured([LEAVES / 1024 / taken for taken in times], f"first {times[0]:.2f} s")


def search(n_jobs: int) -> None:
    """36 fits of a support vector machine, each of some 80 ms, on scikit-learn's digits."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    digits = load_digits()
    grid = {"C": [0.1, 1, 10, 100], "gamma": [0.0005, 0.001, 0.005]}
    found = GridSearchCV(SVC(), grid, cv=3, n_jobs=n_jobs, refit=False).fit(digits.data, digits.target)
    if not found.best_score_ > 0.95:
        raise AssertionError(f"the best score is {found.best_score_}")


def grid_search(system: System) -> Measured:
    with running(system), system.joblib_backend():
        search(-1)
        times = [seconds(lambda: search(-1)) for _ in range(3)]
    return Measured([FITS / taken for taken in times])


def _cpu_seconds() -> dict[int, float]:
    """What each process of this measurement has used since it started."""
    used = {}
    for pid in (os.getpid(), *ProcessTable(os.environ[MARK]).ours()):
        times = psutil.Process(pid).cpu_times()
        used[pid] = times.user + times.system
    return used


def grid_search_cpu(system: System) -> Measured:
    """CPU seconds of all processes in one search: on a machine that others use too, wall time says little."""
    with running(system), system.joblib_backend():
        search(-1)
        times = []
        for _ in range(5):
            before = _cpu_seconds()
            search(-1)
            times.append(sum(used - before.get(pid, 0.0) for pid, used in _cpu_seconds().items()))
    return Measured(times)
