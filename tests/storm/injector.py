"""Does the faults of a plan to a notebook and its cluster, from outside, and takes back what lasts when its time is over."""

from __future__ import annotations

import heapq
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from nbray.engine.run_directory import process_started
from tests.storm import family, faults
from tests.storm.faults import Done, Fault
from tests.storm.journal import now
from tests.storm.ledger import Tail
from tests.storm.places import Places
from tests.storm.victims import Victim

PATIENCE = 10.0
"""A fault for which nobody is there is left out after so many seconds."""
SPARE_DESCRIPTORS = 1
"""So many more a squeezed scheduler process may open."""


class Fallen(NamedTuple):
    """What was killed with all that belongs to it."""

    kind: str
    at: float
    processes: list[tuple[int, float]]
    """Pid and start time of each, so that a pid that is given away again is told apart."""

    @classmethod
    def of(cls, kind: str, pids: list[int]) -> Fallen:
        """These have been killed just now, or will be by those that were."""
        return cls(kind, now(), [(pid, process_started(pid)) for pid in pids])

    def alive(self) -> list[int]:
        """Those of them that still run."""
        return [pid for pid, started in self.processes if started and process_started(pid) == started]


class Injector:
    """One thread; `victim` is the notebook of the moment, or None while there is none."""

    def __init__(self, places: Places, plan: Iterator[Fault], log: Path) -> None:
        self.victim: Victim | None = None
        self.done: list[Done] = []
        self.watched: list[Fallen] = []
        """The controller looks when they are gone."""
        self._places = places
        self._plan = plan
        self._log = log.open("wb", buffering=0)
        self._next = next(plan)
        self._due = 0.0
        self._undo: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._lasting: set[str] = set()
        self._tail = Tail()
        self._read = 0

    def begin(self) -> None:
        """The first fault comes after its pause from now."""
        self._due = now() + self._next.pause

    def step(self) -> None:
        """Take back and do what is due."""
        while self._undo and self._undo[0][0] <= now():
            heapq.heappop(self._undo)[2]()
        if now() < self._due:
            return
        fault = self._next
        done = self._do(fault)
        if done is None and now() < self._due + PATIENCE:
            return  # nobody is there at the moment
        self._note(done or self._of(fault, note="nobody was there"))
        self._next = next(self._plan)
        self._due = now() + self._next.pause

    def calm(self) -> None:
        """Take back all that still lasts."""
        while self._undo:
            heapq.heappop(self._undo)[2]()

    def close(self) -> None:
        """No fault follows."""
        self.calm()
        self._log.close()

    def kills(self) -> int:
        """How many processes it has ended."""
        return sum(done.kills for done in self.done)

    # ---------------------------------------------------------------- faults

    def _do(self, fault: Fault) -> Done | None:
        """Do it; None when there is nobody to whom to do it."""
        victim = self.victim
        cluster = family.find(self._places.run)
        if victim is None or cluster is None or not cluster.scheduler or not cluster.workers:
            return None
        if fault.kind in faults.KILLS:
            return self._kill_worker(fault, cluster)
        match fault.kind:
            case "stop_worker":
                return self._stop_worker(fault, cluster)
            case "kill_scheduler" | "kill_supervisor":
                return self._kill_head(fault, cluster)
            case "kill_notebook":
                return self._kill_notebook(fault, victim, cluster)
            case "fill_store":
                victim.order(f"fill {fault.seconds:.3f}")
                return self._of(fault)
            case "fill_disk":
                return self._once(fault, self._places.fill_disk, self._places.free_disk)
            case "squeeze":
                return self._squeeze(fault, cluster)
            case _:
                return self._hog(fault)

    def _kill_worker(self, fault: Fault, cluster: family.Family) -> Done | None:
        pid = self._choose(cluster.workers, fault)
        number = faults.KILLS[fault.kind]
        return self._of(fault, pid, number) if family.send(pid, number, family.worker_name(pid)) else None

    def _stop_worker(self, fault: Fault, cluster: family.Family) -> Done | None:
        pid = self._choose(cluster.workers, fault)
        name = family.worker_name(pid)
        if not family.send(pid, signal.SIGSTOP, name):
            return None
        self._later(fault.seconds, lambda: family.send(pid, signal.SIGCONT, name))
        return msgspec.structs.replace(self._of(fault, pid, signal.SIGSTOP), until=now() + fault.seconds)

    def _kill_head(self, fault: Fault, cluster: family.Family) -> Done | None:
        pid = cluster.scheduler if fault.kind == "kill_scheduler" else cluster.supervisor
        fallen = Fallen.of(fault.kind, cluster.everybody)
        if not family.send(pid, signal.SIGKILL):
            return None
        self.watched.append(fallen)
        return self._of(fault, pid, signal.SIGKILL)

    def _kill_notebook(self, fault: Fault, victim: Victim, cluster: family.Family) -> Done | None:
        if victim.ended() is not None:
            return None
        fallen = Fallen.of(fault.kind, [victim.pid, *cluster.everybody])
        victim.kill()
        self.watched.append(fallen)
        done = self._of(fault, victim.pid, signal.SIGKILL)
        self.victim = None
        return done

    def _squeeze(self, fault: Fault, cluster: family.Family) -> Done | None:
        if "squeeze" in self._lasting:
            return self._of(fault, note="it is squeezed already")
        limits = family.squeeze(cluster.scheduler, SPARE_DESCRIPTORS)
        if limits is None:
            return None
        return self._once(fault, lambda: None, lambda: family.loosen(cluster.scheduler, limits))

    def _hog(self, fault: Fault) -> Done:
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]

        def end() -> None:
            for process in busy:
                process.kill()
                process.wait()

        self._later(fault.seconds, end)
        return msgspec.structs.replace(self._of(fault), until=now() + fault.seconds)

    def _once(self, fault: Fault, begin: Callable[[], None], end: Callable[[], None]) -> Done:
        """A lasting fault of which there is one at a time."""
        if fault.kind in self._lasting:
            return self._of(fault, note="it is so already")
        begun = now()
        self._lasting.add(fault.kind)
        begin()

        def undo() -> None:
            end()
            self._lasting.discard(fault.kind)

        self._later(fault.seconds, undo)
        return msgspec.structs.replace(self._of(fault), at=begun, until=now() + fault.seconds)

    # ---------------------------------------------------------------- records

    def _of(self, fault: Fault, pid: int = 0, number: int = 0, note: str = "") -> Done:
        notebook = self.victim.number if self.victim is not None else -1
        return Done(fault.number, fault.kind, now(), pid=pid, signal=int(number), notebook=notebook, note=note)

    def _later(self, seconds: float, what: Callable[[], object]) -> None:
        heapq.heappush(self._undo, (now() + seconds, next(self._order), lambda: (what(), None)[1]))

    def _note(self, done: Done) -> None:
        self.done.append(done)
        self._log.write(msgspec.json.encode(done) + b"\n")

    def _choose(self, workers: list[int], fault: Fault) -> int:
        """A worker, by the fault's draw; among those that are busy at the moment if it aims."""
        if fault.aims and self._places.ledger.exists():
            with self._places.ledger.open("rb") as file:
                file.seek(self._read)
                text = file.read()
            self._read += len(text)
            self._tail.feed(text)
            workers = self._tail.busy(workers) or workers
        return workers[int(fault.draw * len(workers))]
