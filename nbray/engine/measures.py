"""What the workers take of the machine: CPU and memory, asked of the system, and what is left of the latter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec
import psutil

from nbray import machine
from nbray.engine import descriptors
from nbray.scheduler.events import MemoryUsed
from nbray.snapshot import ClusterSnapshot
from nbray.store.headroom import available_memory, memory_kills

SHORT_SECONDS = 0.05
"""How often to look when less than a fifth of the memory is left: a task can fill a GiB in so much time."""
CALM_SECONDS = 0.25


class Measures:
    """Of the workers by slot; memory is what is a worker's own, without the store's pages that it maps."""

    def __init__(self, memory_limit: int) -> None:
        self._limit = memory_limit
        self._total = memory_limit or machine.memory_limit()
        self._pids: dict[int, int] = {}
        self._processes: dict[int, psutil.Process] = {}
        self._cores: dict[int, float] = {}
        self._memory: dict[int, int] = {}
        self._kills = memory_kills()
        self._available = available_memory()

    def add(self, slot: int, pid: int) -> None:
        """A worker has begun."""
        self._pids[slot] = pid

    def remove(self, slot: int, *, killed: bool) -> int:
        """A worker has ended. The bytes that it had if it was `killed` because the system ran out of memory, else 0."""
        for known in (self._pids, self._processes, self._cores):
            known.pop(slot, None)
        size, before = self._memory.pop(slot, 0), self._kills
        with _may_be_short():
            self._kills = memory_kills() if killed else before
        return max(1, size) if self._kills > before else 0

    def look_at_memory(self) -> MemoryUsed:
        """What each worker has taken, and what is left."""
        with _may_be_short():
            for slot, process in self._look_at_workers():
                with contextlib.suppress(psutil.Error):  # it has just ended
                    memory = process.memory_info()
                    self._memory[slot] = memory.rss - getattr(memory, "shared", 0)
        available = self._limit - sum(self._memory.values()) if self._limit else self.headroom()
        return MemoryUsed(available, self._total, dict(self._memory))

    def look_at_cores(self) -> None:
        """Note how many cores each worker has kept busy since the last look."""
        with _may_be_short():
            for slot, process in self._look_at_workers():
                with contextlib.suppress(psutil.Error):
                    self._cores[slot] = process.cpu_percent() / 100

    def headroom(self) -> int:
        """How many bytes can be populated before the system kills somebody."""
        with _may_be_short():
            self._available = available_memory()
        return self._available

    def _look_at_workers(self) -> Iterator[tuple[int, psutil.Process]]:
        """Each worker that can be looked at; to find one takes a file, as all looks do."""
        for slot, pid in self._pids.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                if slot not in self._processes:
                    self._processes[slot] = psutil.Process(pid)
                yield slot, self._processes[slot]

    def written_into(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        """The same picture, with what each worker takes as far as it was looked at."""
        workers = [
            msgspec.structs.replace(one, cpu=self._cores.get(one.slot, 0.0), rss=self._memory.get(one.slot, 0))
            for one in snapshot.workers
        ]
        return msgspec.structs.replace(snapshot, workers=workers)


@contextlib.contextmanager
def _may_be_short() -> Iterator[None]:
    """Without a descriptor for the system's files, what was known at the last look holds until the next one."""
    try:
        yield
    except OSError as error:
        if not descriptors.are_short(error):
            raise


def seconds_until_next(used: MemoryUsed) -> float:
    """When to look at the memory again.

    >>> seconds_until_next(MemoryUsed(100, 1000, {})), seconds_until_next(MemoryUsed(300, 1000, {}))
    (0.05, 0.25)
    """
    return SHORT_SECONDS if used.available < used.total // 5 else CALM_SECONDS
