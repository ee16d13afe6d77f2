"""What runs an actor's calls where several are under way at a time, and what that needs of its worker.

    thread that receives     main thread                              other threads
    --------------------     ---------------------------------------  ------------------------
    Run, to `add`            threads: creates the actor, waits        take call by call, report
                             async: creates the actor, runs the loop

An actor without `async def` and with max_concurrency=1 needs none of this: the worker runs its calls as it runs tasks.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from nbray.engine.attempts import Attempts
from nbray.engine.connection import Connection
from nbray.engine.hosted_actor import HostedActor
from nbray.ids import ObjectId, TaskId, TemplateId
from nbray.scheduler.messages import Blocked, RunSpec, Template, Unblocked, Value


class Report(Protocol):
    """Says how the call of the calling thread, or coroutine, has ended."""

    def __call__(
        self, spec: RunSpec, values: list[Value], seconds: float, carried: list[ObjectId], hurry: bool, /
    ) -> None: ...


class Desk(NamedTuple):
    """What calls need of the worker."""

    attempts: Attempts
    templates: Mapping[TemplateId, Template]
    enter: Callable[[RunSpec, Template], None]
    """From now on the calling thread, or coroutine, works for that call."""
    report: Report
    flush: Callable[[], None]
    """Send the reports that wait."""


class ConcurrentCalls(ABC):
    """Calls of the hosted actor, several at a time; they start in the order in which they come."""

    @abstractmethod
    def add(self, specs: list[RunSpec]) -> None:
        """Calls to run, the very first being the actor's creation; on the thread that receives."""

    @abstractmethod
    def cancel(self, task_ids: set[TaskId]) -> None:
        """Stop those of the calls that can be stopped; on the thread that receives."""

    @abstractmethod
    def stop(self) -> None:
        """Let `run` return; any thread."""

    @abstractmethod
    def run(self, create: Callable[[RunSpec], None], connection: Connection) -> None:
        """Create the actor and run its calls until `stop`, or until one of them leaves; on the main thread."""


class CallsWait:
    """Entered by each call that waits for objects: while any does, the CPUs that the actor holds are free. Any thread."""

    def __init__(self, host: HostedActor, connection: Connection) -> None:
        self._host = host
        self._connection = connection
        self._lock = threading.Lock()
        self._count = 0

    def __enter__(self) -> None:
        if self._host.holds_cpus:
            with self._lock:
                self._count += 1
                if self._count == 1:
                    self._connection.post(Blocked(self._host.actor_id), now=True)

    def __exit__(self, *_: object) -> None:
        if self._host.holds_cpus:
            with self._lock:
                self._count -= 1
                if self._count == 0:
                    self._connection.post(Unblocked(self._host.actor_id), now=True)
