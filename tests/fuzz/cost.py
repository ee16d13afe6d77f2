"""What a reader takes for hostile input: seconds of this thread's CPU, and bytes at its highest."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

REPEATS = 5


class Cost(NamedTuple):
    """Of one call."""

    seconds: float
    size: int


def seconds_of(call: Callable[[], object], enough: float) -> float:
    """CPU seconds of the quickest of a few calls; the first one below `enough` will do."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.thread_time()
        call()
        best = min(best, time.thread_time() - started)
        if best <= enough:
            break
    return best


def memory_of(call: Callable[[], object]) -> int:
    """Bytes that the call has allocated at its highest, what it returns included."""
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        kept = call()
        peak = tracemalloc.get_traced_memory()[1] - before
        del kept
    finally:
        if not was_tracing:
            tracemalloc.stop()
    return peak
