"""A driver that reads nothing while its tasks print and return a lot: it stops itself, and goes on when it is told to.

    python -m tests.floods.stopped_driver TASKS BYTES      prints its cluster's directory, stops, and in the end a `Woken` as JSON
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil

import nbray
from nbray import session
from nbray.engine import questions, run_directory
from tests.floods.probe import ROOT, Report, probing

RETURNED = 32 * 1024
VALUE = 40 * 1024
"""What such a value takes in the scheduler process without any flood: 39,210 bytes were measured, with what malloc leaves."""
MEGABYTE = 1 << 20
WAITS = 64 * MEGABYTE
"""More than the output that may wait for it."""


class Woken(msgspec.Struct):
    """What a driver finds that had been stopped."""

    right: int
    """Results that are what they should be."""
    shown: int
    """Bytes of output that have come, notices included."""
    told: list[str]
    """What it was told of the rest."""


class Slept(NamedTuple):
    """What became of a cluster whose driver slept."""

    tasks: int
    size: int
    woken: Woken
    report: Report
    turns: list[int]

    def wrong(self) -> list[str]:
        """What may not be."""
        (_, scheduler), = self.report.memory.values()
        most = 60 * MEGABYTE + self.tasks * (2048 + VALUE) + WAITS
        printed = self.tasks * (self.size // 1000 * 1000)
        hidden = sum(int(line.split()[1].replace(",", "")) for line in self.woken.told if "not shown" in line)
        notices = sum(len(line) + 2 for line in self.woken.told)
        checks = {
            f"{self.woken.right} of {self.tasks} results are right": self.woken.right == self.tasks,
            f"the scheduler had {scheduler / MEGABYTE:.0f} MB": scheduler < most,
            f"{self.woken.shown} bytes shown and {hidden} told of, of {printed}": self.woken.shown - notices + hidden == printed,
            "a turn of the loop took 0.1 s of the CPU": not sum(self.turns[10:]),
        }
        return [what for what, right in checks.items() if not right]


def sleep_through(tasks: int, size: int) -> Slept:
    """Let so many tasks print so much each while their driver is stopped, then wake it."""
    command = [sys.executable, "-m", "tests.floods.stopped_driver", str(tasks), str(size)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as driver:
        try:
            assert driver.stdout is not None
            directory = Path(driver.stdout.readline().decode().strip())
            content = run_directory.read(directory)
            assert content is not None
            scheduler = min(child.pid for child in psutil.Process(content.zygote_pid).children())
            with probing(directory, [scheduler]) as probe:
                while any(run["waiting"] + run["running"] for run in questions.ask(directory, content, "cell_runs")):
                    time.sleep(0.05)
                turns = list(questions.ask(directory, content, "turns")["cpu"])
            driver.send_signal(signal.SIGCONT)
            woken = msgspec.json.decode(driver.communicate(timeout=60)[0], type=Woken)
        finally:
            if driver.returncode is None:
                driver.kill()
    assert probe.report is not None
    return Slept(tasks, size, woken, probe.report, turns)


def talk(number: int, size: int) -> bytes:
    """Print so much, and return something that is too small for the store."""
    line = f"{number:06d} {'x' * 992}\n"
    for _ in range(size // 1000):
        sys.stdout.write(line)
    return b"%06d" % number * (RETURNED // 6)


def main(tasks: int, size: int) -> None:
    """Start the tasks, sleep through them, and look what is there."""
    nbray.init(num_workers=4, linger=0)
    shown: list[str] = []
    session.current_backend().on_output(lambda event: shown.append(event.data.decode()))
    nbray.get([nbray.apply_async(abs, (-1,)) for _ in range(4)])
    refs = [nbray.apply_async(talk, (number, size)) for number in range(tasks)]
    backend: Any = session.current_backend()
    directory = backend._driver.directory
    backend._link.flush()
    print(directory, flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    results = nbray.get(refs)
    right = sum(result == b"%06d" % number * (RETURNED // 6) for number, result in enumerate(results))
    told = [line for text in shown for line in text.splitlines() if line.startswith("[nbray]")]
    print(msgspec.json.encode(Woken(right, sum(map(len, shown)), told)).decode(), flush=True)
    nbray.shutdown()
    assert not directory.exists()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
