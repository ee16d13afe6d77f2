"""What very many tasks and objects cost: memory in the process that keeps them, and how long the others wait for it."""

from __future__ import annotations

import contextlib
import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks import scheduler_speed
from tests.benchmarks.measurements import Measured, running, seconds
from tests.benchmarks.systems import WORKERS, System, Unsupported
from tests.benchmarks.tasks import answer_times, hundred_bytes, no_op, wait_for_file


def _memory(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


@contextlib.contextmanager
def _workers_kept(system: System, *probe: str) -> Iterator[list[Any]]:
    """Both workers are busy until the block ends; with a `probe`, asking questions. Yields the handles of what keeps them."""
    with tempfile.TemporaryDirectory() as directory:
        end = Path(directory, "end")
        function = answer_times if probe else wait_for_file
        handles = [system.submit(function, str(end), *probe) for _ in range(WORKERS)]
        time.sleep(0.3)  # until they run
        try:
            yield handles
        finally:
            end.touch()
            system.gather(handles)


def _count(items: int, usual: int) -> str:
    return "" if items == usual else f"{items} only"


def cancelled(system: System) -> Measured:
    items = min(100_000, system.queued_items)
    with running(system), _workers_kept(system):
        system.cancel([])  # raises Unsupported before there are so many
        handles = [system.submit(no_op) for _ in range(items)]
        taken = seconds(lambda: system.cancel(handles))
    return Measured([taken / items * 1e6], _count(items, 100_000))


def queued(system: System) -> Measured:
    """Bytes a queued task, and the longest answer time in ms of a question asked meanwhile from a worker."""
    items = system.queued_items
    with running(system):
        if not hasattr(system, "api"):
            raise Unsupported
        keeper = system.queueing_process()
        with _workers_kept(system, system.module) as probes:
            before = _memory(keeper)
            start = time.perf_counter()
            handles = [system.submit(no_op) for _ in range(items)]
            submitted = time.perf_counter() - start
            time.sleep(1)  # what is on its way arrives
            grown = _memory(keeper) - before
            start = time.perf_counter()
            system.cancel(handles)
            called = time.perf_counter() - start
            del handles
        lag = max(system.gather(probes)) * 1e3
    notes = [_count(items, 1_000_000), f"submitted in {submitted:.1f} s, cancelled in {called:.1f} s"]
    return Measured([grown / items, lag], ", ".join(filter(None, notes)))


def live(system: System) -> Measured:
    """Bytes an object of 100 bytes, and the seconds until a million of them are freed."""
    items, batch = system.queued_items, 1000
    with running(system):
        keeper = system.queueing_process()
        system.gather(system.many_values(hundred_bytes, batch))
        system.gather([system.submit(no_op)])
        gc.collect()
        before = _memory(keeper)
        handles: list[Sequence[Any]] = [system.many_values(hundred_bytes, batch) for _ in range(items // batch)]
        system.gather([batch_of[-1] for batch_of in handles])
        grown = _memory(keeper) - before
        start = time.perf_counter()
        handles.clear()
        freed = time.perf_counter() - start
        with contextlib.suppress(Unsupported):
            while system.stored_objects() >= batch:
                if time.perf_counter() - start > 60:
                    raise AssertionError(f"{system.stored_objects()} objects are still there after a minute")
                time.sleep(0.05)
            freed = time.perf_counter() - start
    return Measured([grown / items, freed * 1_000_000 / items], _count(items, 1_000_000))


def _cost_ratio(system: System, small: tuple[int, int], large: tuple[int, int]) -> Measured:
    """CPU time of the pure scheduler a task: (tasks, workers) of `large` over that of `small`; the best of five each."""
    if system.module != "nbray":
        raise Unsupported
    best = {small: float("inf"), large: float("inf")}
    for _ in range(5):  # in turns, so that a busy machine slows both
        for tasks, workers in best:
            gc.collect()
            gc.disable()  # as in the scheduler process
            each = scheduler_speed.measure(tasks, workers)[0] / tasks * 1e6
            gc.enable()
            best[tasks, workers] = min(each, best[tasks, workers])
    return Measured([best[large] / best[small]], f"{best[small]:.1f} us and {best[large]:.1f} us")


def cost_of_many_tasks(system: System) -> Measured:
    return _cost_ratio(system, (1_000, 2), (1_000_000, 2))


def cost_of_many_workers(system: System) -> Measured:
    return _cost_ratio(system, (100_000, 1), (100_000, 64))
