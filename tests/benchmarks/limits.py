"""What the machine itself allows: copying memory, and one message to another process and back."""

from __future__ import annotations

import os
import socket
import statistics
import time

from tests.benchmarks.tasks import block


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


LIMITS = {"memcpy": memcpy, "socket": socket_roundtrip}
