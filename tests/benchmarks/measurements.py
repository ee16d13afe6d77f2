"""One function for each figure: what is done and timed, written once for every system."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.systems import WORKERS, System, Unsupported
from tests.benchmarks.tasks import MIB, block, first_value, increment, no_op, prepared
from tests.leak_guard import MARK, ProcessTable


class Measured(NamedTuple):
    """The repeats of one figure, in its row's unit, and what a reader should know about them."""

    values: list[float]
    note: str = ""
    beside: Mapping[str, float] = {}
    """What was measured in the same breath, for a target to name."""


def seconds(action: Callable[[], Any]) -> float:
    """How long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@contextlib.contextmanager
def running(system: System) -> Iterator[None]:
    """The system with both workers started and used."""
    system.start()
    try:
        if "core" in system.parts:
            system.gather([system.submit(prepared, 0) for _ in range(2 * WORKERS)])
        yield
    finally:
        system.stop()


def startup(system: System) -> Measured:
    """Import, start and one result; the caller starts a fresh interpreter for each repeat."""
    start = time.perf_counter()
    system.start()
    system.gather([system.submit(no_op)])
    taken = time.perf_counter() - start
    system.stop()
    return Measured([taken])


def roundtrip(system: System) -> Measured:
    with running(system):
        times = sorted(seconds(lambda: system.gather([system.submit(no_op)])) for _ in range(1000))
    p99 = times[989] * 1e6
    return Measured([times[499] * 1e6], f"p99 {p99:.0f} us")


def throughput(system: System) -> Measured:
    count = system.one_by_one
    with running(system):
        times = [seconds(lambda: system.gather([system.submit(no_op) for _ in range(count)])) for _ in range(3)]
    return Measured([count / taken for taken in times], f"{count} tasks" if count < 10_000 else "")


def map_(system: System) -> Measured:
    items = range(system.map_items)
    with running(system):
        list(system.map(increment, items))
        times = [seconds(lambda: list(system.map(increment, items))) for _ in range(3)]
    return Measured([len(items) / taken for taken in times], f"{len(items)} items" if len(items) < 100_000 else "")


def put(system: System) -> Measured:
    value = block(100)
    with running(system):
        times = []
        for _ in range(12):
            start = time.perf_counter()
            stored = system.put(value)
            times.append(time.perf_counter() - start)
            del stored
            time.sleep(0.01)  # a loop's own work, during which the release travels
    rates = [value.nbytes / 2**30 / taken for taken in times]
    return Measured(rates[2:], f"first {rates[0]:.1f}")


def get(system: System) -> Measured:
    with running(system):
        stored = system.put(block(100))
        system.get(stored)
        times = [seconds(lambda: system.get(stored)) * 1e3 for _ in range(20)]
        copied = system.get(stored).flags.writeable
    return Measured(times, "a copy" if copied else "no copy")


def broadcast(system: System) -> Measured:
    with running(system):
        stored = system.put(block(100))
        times = [
            seconds(lambda: system.gather([system.submit(first_value, stored) for _ in range(100)])) for _ in range(3)
        ]
        system.gather([system.submit(no_op)])
    return Measured([taken * 1e3 for taken in times])


def _rounds(system: System, one_round: Callable[[], Any]) -> list[float]:
    times = []
    for _ in range(4):
        times.append(seconds(one_round))
        system.gather([system.submit(no_op)])  # by then the last round's objects are known to be free
    return [50 * 10 / 1024 / taken for taken in times]


def results(system: System) -> Measured:
    with running(system):
        system.gather([system.submit(prepared, 10) for _ in range(2 * WORKERS)])
        rates = _rounds(system, lambda: system.gather([system.submit(block, 10) for _ in range(50)]))
    return Measured(rates)


def arguments(system: System) -> Measured:
    values = [block(10) * number for number in range(50)]
    with running(system):
        rates = _rounds(system, lambda: system.gather([system.submit(first_value, value) for value in values]))
    return Measured(rates)


def chain(system: System) -> Measured:
    system.takes_handles()

    def once() -> None:
        handle = system.submit(increment, 0)
        for _ in range(499):
            handle = system.submit(increment, handle)
        if system.gather([handle]) != [500]:
            raise AssertionError("the chain is broken")

    with running(system):
        return Measured([500 / seconds(once) for _ in range(3)])


def _capturing_cell(system: System, array: Any) -> float:
    """What a cell does that is run again: its function is a new one each time, the array is the same."""

    def use(index: int) -> float:
        return float(array[index])

    return seconds(lambda: system.gather([system.submit(use, index) for index in range(20)]))


def capture(system: System) -> Measured:
    """Puts and cells take turns, each with an array of its own, so that both write where nothing has been written."""
    stored, puts, first, second = [], [], [], []
    with running(system):
        for number in range(5):
            array, other = block(38) * number, block(38) + number  # 40 MB each
            start = time.perf_counter()
            stored.append(system.put(other))
            puts.append(time.perf_counter() - start)
            first.append(_capturing_cell(system, array))
            second.append(_capturing_cell(system, array))
    one_put, ran, again = (statistics.median(times) * 1e3 for times in (puts, first, second))
    return Measured([ran / one_put], f"{ran:.0f} ms, again {again:.0f} ms, one put {one_put:.0f} ms")


def capture_again(system: System) -> Measured:
    array = block(38) * 3
    with running(system):
        _capturing_cell(system, array)
        before = system.stored_bytes()
        if before < array.nbytes:
            raise AssertionError(f"the array of {array.nbytes} bytes is not in the store, which holds {before}")
        _capturing_cell(system, array)
        return Measured([float(system.stored_bytes() - before)])


def _proportional_set_size(pid: int) -> int:
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # ended meanwhile
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def idle_memory(system: System) -> Measured:
    with running(system):
        time.sleep(1)
        pids = ProcessTable(os.environ[MARK]).ours()
        total = sum(_proportional_set_size(pid) for pid in pids)
    return Measured([total / MIB], f"{len(pids)} processes")


def shutdown(system: System) -> Measured:
    system.start()
    system.gather([system.submit(prepared, 0) for _ in range(2 * WORKERS)])
    table = ProcessTable(os.environ[MARK])
    called = seconds(system.stop)
    start = time.perf_counter()
    while (left := table.ours()) and time.perf_counter() - start < 5:
        time.sleep(0.005)
    if left:
        return Measured([called], f"{len(left)} processes stay until the driver ends")
    return Measured([called + time.perf_counter() - start])


def printing(system: System) -> Measured:
    from tests.benchmarks.kernels import wire_bytes

    loop = "for number in range(2000):\n    print('line', number, 'of a loop that prints without a pause')"
    payload = sum(len(f"line {number} of a loop that prints without a pause\n") for number in range(2000))
    first, cell = system.printing_cells(loop)
    wire, text = wire_bytes(first, cell)
    if "line 0 of" not in text or "line 1999 of" not in text:
        raise AssertionError(f"the printed lines did not all arrive: {text[-200:]!r}")
    return Measured([wire / payload], f"{wire / 1024:.0f} KiB for {payload / 1024:.0f} KiB")


def load_ext(system: System) -> Measured:
    if system.module != "nbray":
        raise Unsupported
    from tests.benchmarks.kernels import load_ext_seconds

    return Measured([load_ext_seconds() * 1e3])
