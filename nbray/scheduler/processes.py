"""Who is connected: drivers and workers, and the actions that the event in hand has produced so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbray.errors import InternalError
from nbray.ids import ObjectId, ProcessId
from nbray.scheduler import messages
from nbray.scheduler.actions import Action, Send, StopCluster

if TYPE_CHECKING:
    from nbray.scheduler.cell_runs import Job
    from nbray.scheduler.worker_records import Worker

READY_VALUES = 1024
"""Most values in one Ready message: with inline values of 64 KiB it stays far below the largest frame."""


class Contradiction(InternalError):
    """A process says what cannot be, and nothing was changed by it: its connection ends, everybody else goes on."""


class Process:
    """One connected driver or worker."""

    __slots__ = ("held", "job", "parted", "process_id", "ready", "worker")

    def __init__(self, process_id: ProcessId, job: Job | None, worker: Worker | None) -> None:
        self.process_id = process_id
        self.job = job
        """Of a driver; a worker serves the job of its task."""
        self.worker = worker
        self.parted: float | None = None
        """When it said goodbye first."""
        self.held: set[ObjectId] = set()
        """Objects to which this process holds a reference."""
        self.ready: list[tuple[ObjectId, messages.Value]] = []
        """Values to push at the end of this event."""

    def __repr__(self) -> str:
        return f"<process {self.process_id}: {self.worker or 'driver'}>"


class Outbox:
    """The actions of one event, in order; values to push are collected into one message for each process."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.readied: list[Process] = []
        self.stopped = False
        """The cluster has been told to end: nothing may follow."""

    def stop(self, reason: str) -> None:
        """End the cluster, once."""
        if not self.stopped:
            self.stopped = True
            self.actions.append(StopCluster(reason))

    def send(self, process_id: ProcessId, message: messages.FromScheduler) -> None:
        """Send one message."""
        self.actions.append(Send(process_id, message))

    def push(self, process: Process, object_id: ObjectId, value: messages.Value) -> None:
        """Push a value at the end of this event."""
        if not process.ready:
            self.readied.append(process)
        process.ready.append((object_id, value))

    def take(self) -> list[Action]:
        """The actions of this event; the outbox is empty afterwards."""
        if self.readied:
            self.send_ready()
        actions, self.actions = self.actions, []
        if self.stopped:  # other deadlines may have come in the same event
            last = next((place for place, action in enumerate(actions) if type(action) is StopCluster), -1)
            del actions[last + 1 :]
        return actions

    def send_ready(self) -> None:
        """Send the values that were pushed so far: what is sent next comes after them."""
        for process in self.readied:
            ready, process.ready = process.ready, []
            if len(ready) <= READY_VALUES:
                self.send(process.process_id, messages.Ready(ready))
                continue
            for start in range(0, len(ready), READY_VALUES):
                self.send(process.process_id, messages.Ready(ready[start : start + READY_VALUES]))
        self.readied = []
