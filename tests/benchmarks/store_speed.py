"""How fast values enter and leave the arena, in one process and without a scheduler, beside what memory itself does.

    python -m tests.benchmarks.store_speed [MEBIBYTES]

Each line is the median of several runs; the best possible figure for a copy is the line "memcpy".
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import numpy

from nbray import serialization
from nbray.ids import ObjectId
from nbray.store.arena import Arena
from nbray.store.object_store import ObjectStore

RUNS = 7
NAME = ObjectId(1)


def nothing(object_id: ObjectId) -> None:
    """Nobody counts references here."""


def measure(act: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> float:
    """Median seconds of one call, each after an untimed `prepare`."""
    times = []
    for _ in range(RUNS):
        prepare()
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def copies(size: int) -> Iterator[tuple[str, float]]:
    """Copying without the store, and filling an extent the naive way."""
    source, target = numpy.ones(size, numpy.uint8), numpy.zeros(size, numpy.uint8)
    yield "memcpy", measure(lambda: numpy.copyto(target, source))
    arena = Arena.create(4 * size)
    fresh = numpy.frombuffer(arena.write_view(0, size), numpy.uint8)
    yield "copy into fresh pages", measure(lambda: numpy.copyto(fresh, source), lambda: arena.give_back(0, size))
    yield "give back", measure(lambda: arena.give_back(0, size), lambda: numpy.copyto(fresh, source))
    arena.close()


def puts(size: int) -> Iterator[tuple[str, float]]:
    """Writing an array, pickling included, into pages in each state."""
    value = numpy.ones(size, numpy.uint8)
    extent = serialization.encoded_size(serialization.dumps(value))
    arena = Arena.create(4 * extent)
    store = ObjectStore(arena, nothing, nothing)

    def put(to: ObjectStore, warm: bool) -> None:
        to.write(serialization.dumps(value), 0, extent, warm)

    yield "put, fresh pages", measure(lambda: put(store, False), lambda: arena.give_back(0, extent))
    strangers = [Arena.from_fd(os.dup(arena.fd), arena.size) for _ in range(RUNS)]
    unmapped = iter([ObjectStore(stranger, nothing, nothing) for stranger in strangers])
    yield "put, pages of another process", measure(lambda: put(next(unmapped), True))
    yield "put, warm pages", measure(lambda: put(store, True), lambda: put(store, True))
    for used in (arena, *strangers):
        used.close()


def gets(size: int) -> Iterator[tuple[str, float]]:
    """Reading an array, and then its bytes."""
    value = numpy.ones(size // 8)
    payload = serialization.dumps(value)
    extent = serialization.encoded_size(payload)
    arena = Arena.create(4 * extent)
    store = ObjectStore(arena, nothing, nothing)
    store.write(payload, 0, extent, False)
    yield "get", measure(lambda: serialization.loads(store.view(NAME, 0, extent)))
    array = serialization.loads(store.view(NAME, 0, extent))
    yield "sum, first read", measure(lambda: array.sum(), lambda: arena.forget(0, extent))
    yield "sum, read before", measure(lambda: array.sum())
    yield "sum, own memory", measure(lambda: value.sum())
    arena.close()


def main(mebibytes: int = 100) -> None:
    size = mebibytes << 20
    print(f"{mebibytes} MiB, {os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}\n")
    create = measure(lambda: Arena.create(size).close())
    print(f"{'create and close an arena':32}{create * 1e3:10.3f} ms")
    for part in (copies, puts, gets):
        for name, seconds in part(size):
            print(f"{name:32}{seconds * 1e3:10.3f} ms{size / seconds / (1 << 30):12,.1f} GiB/s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
