"""A process of its own that asks the scheduler the time of day, all the time: how long it waits is the lag of its loop.

    python -m tests.floods.probe RUN_DIRECTORY PID...      until its standard input ends; prints one `Report` as JSON

Beside every question it sends a few bytes to an echo, which is nobody but the machine: what both take is the machine's, what
the scheduler takes beyond that is its own. It also looks how much memory the processes take, and the logs on the disk.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from nbray.engine import handshake, run_directory, transport, wire
from nbray.engine.zygote import SOCKET_NAME
from nbray.scheduler.messages import PROTOCOL, Answer, Ask, Hello

PACE = 0.005
"""Seconds from one question to the next."""
LOOK_SECONDS = 0.05
ROOT = Path(__file__).parents[2]
ECHO = "import os\nwhile data := os.read(0, 64): os.write(0, data)"


class Report(msgspec.Struct):
    """What was seen: times in seconds, sizes in bytes."""

    lags: list[float]
    """Of the scheduler; what a question would have waited that was not asked because the one before took so long is in it."""
    echoes: list[float]
    """Of the machine."""
    memory: dict[int, tuple[int, int]]
    """Of each process, at first and at most."""
    disk: int
    """The most that the logs took."""


@dataclass
class Probe:
    """A running probe; `report` is there once its block has ended."""

    report: Report | None = None


@contextmanager
def probing(directory: Path, pids: Sequence[int]) -> Iterator[Probe]:
    """Ask and look as long as the block runs."""
    command = [sys.executable, "-m", "tests.floods.probe", str(directory), *map(str, pids)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    probe = Probe()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"asking\n"
        yield probe
        said, _ = process.communicate(timeout=60)
        probe.report = msgspec.json.decode(said, type=Report)
    finally:
        if process.returncode is None:
            process.kill()
            process.communicate()


def percentile(values: Sequence[float], part: float) -> float:
    """The value that so large a part of them does not exceed.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([1.0, 2.0, 3.0, 4.0], 1.0)
    (2.0, 4.0)
    """
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(part * len(ordered)) - 1))]


def with_omitted(seconds: Sequence[float], pace: float = PACE) -> list[float]:
    """The same waits, with those of the questions that would have come while one was waited for.

    >>> with_omitted([0.25, 1.0], 0.25)
    [0.25, 1.0, 0.75, 0.5, 0.25]
    """
    full = []
    for one in seconds:
        full.append(one)
        while one - pace >= pace:
            one -= pace
            full.append(one)
    return full


class Questions:
    """A connection of somebody who only asks."""

    def __init__(self, directory: Path) -> None:
        content = run_directory.read(directory)
        assert content is not None
        self.socket = transport.connect(directory / SOCKET_NAME)
        hello = Hello("watcher", os.getpid(), PROTOCOL, content.epoch)
        _, _, self._decoder, descriptors = handshake.say_hello(self.socket, hello, 30)
        for descriptor in descriptors:
            os.close(descriptor)
        self._number = 0

    def ask(self) -> None:
        """One question, and its answer."""
        self._number += 1
        self.socket.sendall(wire.frame(Ask(self._number, "started", 1)))
        while True:
            assert transport.wait_readable(self.socket.fileno(), 60), "no answer for a minute"
            data = transport.receive(self.socket)
            assert data, "the scheduler is gone"
            if any(isinstance(message, Answer) for message in self._decoder.feed(data)):
                return


@contextmanager
def echo() -> Iterator[Callable[[], None]]:
    """A call there and back to a process that does nothing else."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen([sys.executable, "-S", "-c", ECHO], stdin=theirs.fileno())
    theirs.close()

    def call() -> None:
        ours.sendall(b"x")
        ours.recv(1)

    with ours:
        call()
        yield call
    process.wait()


def timed(call: Callable[[], None]) -> float:
    """How long a call takes."""
    started = time.monotonic()
    call()
    return time.monotonic() - started


class Sizes:
    """The most that processes and logs have taken."""

    def __init__(self, directory: Path, pids: Sequence[int]) -> None:
        self._logs = directory / "logs"
        self._processes = [psutil.Process(pid) for pid in pids]
        self.memory = {process.pid: (process.memory_info().rss,) * 2 for process in self._processes}
        self.disk = 0

    def look(self) -> None:
        """Look once."""
        for process in self._processes:
            first, most = self.memory[process.pid]
            self.memory[process.pid] = first, max(most, process.memory_info().rss)
        self.disk = max(self.disk, sum(file.stat().st_blocks * 512 for file in self._logs.iterdir()))


def main(directory: Path, pids: Sequence[int]) -> None:
    """Ask until nobody wants to know any more."""
    questions, sizes = Questions(directory), Sizes(directory, pids)
    lags, echoes, look_at = [], [], 0.0
    with echo() as call, questions.socket:
        print("asking", flush=True)
        while not select.select([sys.stdin], [], [], PACE)[0]:
            lags.append(timed(questions.ask))
            echoes.append(timed(call))
            if time.monotonic() >= look_at:
                sizes.look()
                look_at = time.monotonic() + LOOK_SECONDS
    report = Report(with_omitted(lags), with_omitted(echoes), sizes.memory, sizes.disk)
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(pid) for pid in sys.argv[2:]])
