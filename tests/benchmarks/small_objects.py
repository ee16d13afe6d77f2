"""What small values cost: storing and fetching one, and taking thousands of results one at a time."""

from __future__ import annotations

import functools

from tests.benchmarks.measurements import Measured, running, seconds
from tests.benchmarks.systems import System
from tests.benchmarks.tasks import no_op

VALUE = b"8 bytes."


def put(system: System) -> Measured:
    with running(system):
        stored = []
        times = sorted(seconds(lambda: stored.append(system.put(VALUE))) for _ in range(2000))
    return Measured([times[1000] * 1e6], f"p99 {times[1980] * 1e6:.0f} us")


def get(system: System) -> Measured:
    """Each value is one that was put and has not been fetched yet."""
    with running(system):
        stored = [system.put(VALUE) for _ in range(2000)]
        times = sorted(seconds(functools.partial(system.get, handle)) for handle in stored)
    return Measured([times[1000] * 1e6], f"p99 {times[1980] * 1e6:.0f} us")


def one_at_a_time(system: System) -> Measured:
    """The results are there already: what is measured is only the taking."""
    count = system.one_by_one
    with running(system):
        handles = [system.submit(no_op) for _ in range(count)]
        system.gather(handles)
        taken = seconds(lambda: system.one_at_a_time(handles))
    return Measured([taken / count * 1e6], f"{taken:.2f} s for {count}")
