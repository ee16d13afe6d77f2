"""Owns whether the kernel counts as busy: while it answers a request, and while its notebook has work on the cluster.

A kernel says "busy" and "idle" around each request. Work on the cluster goes on after its cell has ended; so that nobody takes
the kernel for idle then, and ends it, "busy" is said again after each "idle", until that work is done too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbray.snapshot import CellRunSnapshot

REMIND_SECONDS = 60.0
"""So often "busy" is repeated while work goes on: Jupyter's servers take each message for activity, and silence for none."""


class KernelStatus:
    """What is said about the kernel beside what it says itself; any thread.

    `publish` sends "busy" or "idle" to the page and the server. It is called under a lock: what is said in the same moment
    by two threads could else arrive in the wrong order.
    """

    def __init__(self, publish: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._publish = publish
        self._clock = clock
        self._lock = threading.Lock()
        self._requests: set[str] = set()
        self._works = False
        self._said_at = 0.0

    def report(self, status: str, request: str, say: Callable[[], None]) -> None:
        """The kernel reports "busy" or "idle" about a request of its own, by `say`."""
        with self._lock:
            say()
            if status == "busy":
                self._requests.add(request)
            elif status == "idle":
                self._requests.discard(request)
                if self._works and not self._requests:
                    self._say("busy")

    def hear(self, job: str, cell_runs: Sequence[CellRunSnapshot]) -> bool:
        """What the cluster has to do now; returns whether this job has work there, whose end one should look out for."""
        works = any(run.job == job and (run.waiting or run.running) for run in cell_runs)
        with self._lock:
            if not self._requests:  # else what the kernel says itself holds, and clients that wait for its end hear only that
                if works and (not self._works or self._clock() >= self._said_at + REMIND_SECONDS):
                    self._say("busy")
                if self._works and not works:
                    self._say("idle")
            self._works = works
        return works

    def _say(self, status: str) -> None:
        self._said_at = self._clock()
        self._publish(status)
