"""Calls of an actor on several threads: `max_concurrency` above 1, and no `async def`."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable

from nbray.engine.actor_calls import ConcurrentCalls, Desk
from nbray.engine.connection import Connection
from nbray.engine.hosted_actor import HostedActor
from nbray.ids import ObjectId, TaskId
from nbray.scheduler.messages import RunSpec, Value


class ThreadedCalls(ConcurrentCalls):
    """Plain methods on up to `max_concurrency` threads, which are started as calls come."""

    def __init__(self, host: HostedActor, desk: Desk) -> None:
        self._host = host
        self._desk = desk
        self._waiting: deque[RunSpec] = deque()
        """What came before the actor was created."""
        self._line: queue.SimpleQueue[RunSpec | None] = queue.SimpleQueue()
        """None sends a thread home."""
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._ended = threading.Event()
        self._created = False
        self._threads = 0
        self._under_way = 0
        """Calls in the line and on threads."""
        self._cancelled: set[TaskId] = set()

    def add(self, specs: list[RunSpec]) -> None:
        """See `ConcurrentCalls.add`."""
        with self._lock:
            self._waiting.extend(specs)
        self._arrived.set()
        if self._created:
            self._hand_on()

    def cancel(self, task_ids: set[TaskId]) -> None:
        """Whoever takes such a call from the line does not run it; one that runs goes on: nobody can stop a thread."""
        self._cancelled |= task_ids

    def stop(self) -> None:
        """See `ConcurrentCalls.stop`."""
        self._ended.set()
        self._arrived.set()

    def run(self, create: Callable[[RunSpec], None], connection: Connection) -> None:
        """See `ConcurrentCalls.run`."""
        connection.receive_in_background()
        self._arrived.wait()
        if self._waiting:
            create(self._waiting.popleft())
            self._desk.flush()
            self._created = True
            self._hand_on()
        if not self._host.leaving:
            self._ended.wait()
        with self._lock:
            for _ in range(self._threads):
                self._line.put(None)

    def _hand_on(self) -> None:
        """Put what has come into the line, and start threads where too few are there."""
        with self._lock:
            while self._waiting:
                self._line.put(self._waiting.popleft())
                self._under_way += 1
            missing = max(0, min(self._under_way, self._host.actor.max_concurrency) - self._threads)
            self._threads += missing
        for _ in range(missing):
            threading.Thread(target=self._work, name="nbray-actor", daemon=True).start()

    def _work(self) -> None:
        while True:
            spec = self._line.get()
            if spec is None or self._host.leaving:
                return
            self._call(spec)

    def _call(self, spec: RunSpec) -> None:
        template = self._desk.templates[spec.template_id]
        self._desk.enter(spec, template)
        carried: list[ObjectId] = []
        started = time.perf_counter()
        if spec.task_id in self._cancelled:
            values: list[Value] = [self._desk.attempts.cancelled(spec, template)]
        else:
            values = self._desk.attempts.run(spec, template, carried)
        self._cancelled.discard(spec.task_id)
        with self._lock:
            self._under_way -= 1
        self._desk.report(spec, values, time.perf_counter() - started, carried, self._line.empty())
        if self._host.leaving:
            self.stop()
