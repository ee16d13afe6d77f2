"""Where the time of one task and of one actor call goes: `python -m tests.benchmarks.profile [SECONDS]`.

CPU time of each process, by the system's own accounts (`/proc/PID/task/TID/stat`), split into Python's share and the kernel's,
divided by the number of items. With one item at a time the parties take turns, so that wall time less CPU time is waking up;
with 10,000 in flight they work at once, so that the busiest of them is the pace.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.limits import LIMITS
from tests.benchmarks.measurements import running
from tests.benchmarks.nbray_system import Nbray
from tests.benchmarks.tasks import Counter, no_op, yield_numbers

TICK = 1e6 / os.sysconf("SC_CLK_TCK")
"""Microseconds of one unit in `/proc/PID/stat`."""
AT_ONCE = 10_000
PARTIES = ("your thread", "I/O thread", "scheduler", "workers")


class Account(NamedTuple):
    """What a party has used so far: microseconds in Python, microseconds in the kernel, and how often it went to sleep."""

    user: float = 0.0
    kernel: float = 0.0
    sleeps: float = 0.0

    def __add__(self, other: object) -> Account:
        assert isinstance(other, Account)
        return Account(self.user + other.user, self.kernel + other.kernel, self.sleeps + other.sleeps)

    def since(self, earlier: Account, items: int) -> Account:
        """Each item's part of what was used since."""
        used = [(now - then) / items for now, then in zip(self, earlier, strict=True)]
        return Account(used[0], used[1], used[2])


class Line(NamedTuple):
    """One kind of work, measured."""

    name: str
    items: int
    wall: float
    """Microseconds an item."""
    parties: Mapping[str, Account]


def _thread(path: Path) -> Account:
    fields = path.joinpath("stat").read_text().rpartition(")")[2].split()
    status = path.joinpath("status").read_text().splitlines()
    sleeps = next(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches"))
    return Account(int(fields[11]) * TICK, int(fields[12]) * TICK, sleeps)


def _process(pid: int) -> Account:
    return sum(map(_thread, Path(f"/proc/{pid}/task").iterdir()), Account())


class Books:
    """The accounts of all parties of one cluster."""

    def __init__(self, system: Nbray) -> None:
        self._scheduler = system.queueing_process()
        while 0 in (pids := self._pids(system)):  # one is only starting: the actor took its place
            time.sleep(0.01)
        self._workers = pids

    @staticmethod
    def _pids(system: Nbray) -> list[int]:
        return [worker["pid"] for node in system.api.nodes() for worker in node["Workers"]]

    def read(self) -> dict[str, Account]:
        """What each party has used since it started."""
        mine = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}")
        driver, mine_alone = _process(os.getpid()), _thread(mine)
        return {
            "your thread": mine_alone,
            "I/O thread": driver.since(mine_alone, 1),
            "scheduler": _process(self._scheduler),
            "workers": sum(map(_process, self._workers), Account()),
        }


def _measure(name: str, seconds: float, books: Books, once: Callable[[], None], items: int) -> Line:
    for _ in range(max(1, 1000 // items)):
        once()
    before, start, rounds = books.read(), time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds:
        once()
        rounds += 1
    after = books.read()
    done = rounds * items
    return Line(name, done, taken * 1e6 / done, {party: after[party].since(before[party], done) for party in PARTIES})


def lines(seconds: float) -> list[Line]:
    """Measure each kind of work for so many seconds, on a cluster of two workers."""
    system = Nbray()
    with running(system):
        actor = system.actor(Counter)
        system.gather([system.call(actor, "increment")])
        books = Books(system)

        def tasks(count: int) -> None:
            system.gather([system.submit(no_op) for _ in range(count)])

        def calls(count: int) -> None:
            system.gather([system.call(actor, "increment") for _ in range(count)])

        def items(count: int) -> None:
            for _ in system.stream(yield_numbers, count):
                pass

        return [
            _measure("a task alone", seconds, books, lambda: tasks(1), 1),
            _measure("one of 10,000 tasks", seconds, books, lambda: tasks(AT_ONCE), AT_ONCE),
            _measure("an actor call alone", seconds, books, lambda: calls(1), 1),
            _measure("one of 10,000 calls", seconds, books, lambda: calls(AT_ONCE), AT_ONCE),
            _measure("one of 10,000 items", seconds, books, lambda: items(AT_ONCE), AT_ONCE),
        ]


def table(measured: list[Line]) -> str:
    """Microseconds an item, as Markdown: Python + kernel of each party, all CPU time, wall time, sleeps."""
    heads = ["us each", *PARTIES, "all CPU", "wall", "sleeps"]
    rows = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for line in measured:
        total = sum(line.parties.values(), Account())
        cells = [f"{_short(each.user)} + {_short(each.kernel)}" for each in line.parties.values()]
        cells += [_short(total.user + total.kernel), _short(line.wall), f"{total.sleeps:.3g}"]
        rows.append(f"| {line.name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def main(seconds: float = 3.0) -> None:
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}; microseconds in Python + in the kernel\n")
    print(table(lines(seconds)))
    socket, batched = LIMITS["socket"](), 1e6 / LIMITS["batched"]()
    print(f"\nThe machine: a byte to another process and back {socket:.0f} us; a call in a batch of 10,000 {batched:.2f} us")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
