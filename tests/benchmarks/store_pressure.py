"""What many objects cost, and how fast they go to disk and back: `python -m tests.benchmarks.store_pressure [MiB of store]`.

    memory of the scheduler    a million live objects of 100 bytes, put and released through `Scheduler.handle`
    disk                       a working set of three times the store in a loop, with a real cluster; beside it, what the disk
                               and the memory of this machine do by themselves
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

import nbray
from nbray.engine import wire
from nbray.ids import object_id
from nbray.scheduler import messages
from nbray.scheduler.events import Received
from tests.benchmarks.scheduler_speed import DRIVER, Drive

OBJECTS = 1_000_000
BATCH = 500
ITEM = 16 << 20
GIB = 1 << 30


def memory_of_objects(count: int) -> tuple[float, float]:
    """Bytes of the scheduler for each object, and seconds until all are freed."""
    drive, decoder = Drive(2), wire.scheduler_decoder()
    gc.collect()
    gc.disable()
    process = psutil.Process()
    before = process.memory_info().rss
    for start in range(1, count, BATCH):
        frames = [wire.frame(messages.Put(object_id(DRIVER, start + place), b"x" * 100)) for place in range(BATCH)]
        for message in decoder.feed(b"".join(frames)):
            drive.handle(Received(DRIVER, message))
    each = (process.memory_info().rss - before) / count
    began = time.perf_counter()
    for start in range(1, count, BATCH):
        drive.handle(Received(DRIVER, messages.Released([object_id(DRIVER, start + place) for place in range(BATCH)])))
    seconds = time.perf_counter() - began
    gc.enable()
    assert drive.scheduler.snapshot(drive.now).store.objects == 0
    return each, seconds


def rate(call: Callable[[], object], total: int) -> float:
    """GiB a second."""
    began = time.perf_counter()
    call()
    return total / GIB / (time.perf_counter() - began)


def limits(data: np.ndarray, count: int) -> None:
    """What is possible: memory to memory, and into and out of files through the system's cache."""
    target, source = np.empty_like(data), data.tobytes()

    def copy() -> None:
        for _ in range(count):
            np.copyto(target, data)

    print(f"{'memcpy':>32} {rate(copy, count * ITEM):>8.2f} GiB/s")
    total = count * ITEM
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        paths = [Path(folder) / str(number) for number in range(count)]
        print(f"{'write(2) into files':>32} {rate(lambda: [path.write_bytes(source) for path in paths], total):>8.2f} GiB/s")
        print(f"{'read(2) from the cache':>32} {rate(lambda: [path.read_bytes() for path in paths], total):>8.2f} GiB/s")


def working_set(store: int) -> None:
    """Objects of three times the store: put once, got in a loop, used by tasks."""
    count = 3 * store // ITEM
    data = np.random.default_rng(0).random(ITEM // 8)
    limits(data, count)
    nbray.init(num_workers=2, memory=store)
    refs: list[nbray.ObjectRef] = []

    @nbray.remote
    def first(values: np.ndarray) -> float:
        return float(values[0])

    def put() -> None:
        refs.extend(nbray.put(data) for _ in range(count))

    def get() -> None:
        for ref in refs:
            assert nbray.get(ref)[0] == data[0]

    print(f"{'put, three stores':>32} {rate(put, count * ITEM):>8.2f} GiB/s")
    for place in range(3):
        print(f"{f'get, round {place + 1}':>32} {rate(get, count * ITEM):>8.2f} GiB/s")
    print(f"{'tasks over all':>32} {rate(lambda: nbray.get([first.remote(ref) for ref in refs]), count * ITEM):>8.2f} GiB/s")
    nbray.shutdown()


def main() -> None:
    """Print both tables."""
    each, seconds = memory_of_objects(OBJECTS)
    print(f"{OBJECTS:,} objects of 100 bytes: {each:,.0f} bytes each in the scheduler, freed in {seconds:.1f} s")
    store = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    print(f"working set of {3 * store} MiB in a store of {store} MiB, load {os.getloadavg()[0]:.1f}")
    working_set(store << 20)


if __name__ == "__main__":
    main()
