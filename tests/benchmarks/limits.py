"""What the machine itself allows, without any library: copying memory, asking another process, using one core."""

from __future__ import annotations

import os
import pickle
import socket
import statistics
import time
from typing import BinaryIO

from tests.benchmarks import workloads
from tests.benchmarks.systems import WORKERS
from tests.benchmarks.tasks import block, increment


def memcpy() -> float:
    """GiB/s of copying 100 MiB into pages that this process has touched."""
    source = block(100)
    target = source.copy()
    times = []
    for _ in range(12):
        start = time.perf_counter()
        target[:] = source
        times.append(time.perf_counter() - start)
    return source.nbytes / 2**30 / statistics.median(times[2:])


def socket_roundtrip() -> float:
    """Microseconds of one byte to another process and back over an AF_UNIX stream, without any library."""
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        here.close()
        while data := there.recv(1):
            there.sendall(data)
        os._exit(0)
    there.close()
    times = []
    for _ in range(2000):
        start = time.perf_counter()
        here.sendall(b"x")
        here.recv(1)
        times.append(time.perf_counter() - start)
    here.close()
    os.waitpid(pid, 0)
    return statistics.median(times) * 1e6


def batched_calls() -> float:
    """Calls/s of 10,000 that go to another process in one pickle, are made there one by one, and come back in one."""
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        here.close()
        with there.makefile("rb") as incoming, there.makefile("wb") as outgoing:
            while work := incoming.read(int.from_bytes(incoming.read(8))):
                _send(outgoing, [function(*args) for function, args in pickle.loads(work)])
        os._exit(0)
    there.close()
    times = []
    with here.makefile("rb") as incoming, here.makefile("wb") as outgoing:
        for _ in range(20):
            start = time.perf_counter()
            _send(outgoing, [(increment, (number,)) for number in range(10_000)])
            pickle.loads(incoming.read(int.from_bytes(incoming.read(8))))
            times.append(time.perf_counter() - start)
    here.close()
    os.waitpid(pid, 0)
    return 10_000 / statistics.median(times)


def _send(stream: BinaryIO, value: object) -> None:
    data = pickle.dumps(value)
    stream.write(len(data).to_bytes(8) + data)
    stream.flush()


def one_by_one() -> float:
    """How many messages a second go to another process and back when each waits for the one before."""
    return 1e6 / socket_roundtrip()


def fits_on_all_cores() -> float:
    """Fits/s of the grid search in one process, times the workers."""
    start = time.perf_counter()
    workloads.search(1)
    return workloads.FITS / (time.perf_counter() - start) * WORKERS


LIMITS = {
    "memcpy": memcpy,
    "socket": socket_roundtrip,
    "one by one": one_by_one,
    "batched": batched_calls,
    "all cores": fits_on_all_cores,
}
