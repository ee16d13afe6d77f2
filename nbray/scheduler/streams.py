"""The items of tasks that yield, on their way to the process that submitted the task: in order, each exactly once.

An item is an object of the consumer's from birth: it holds the one reference. Items of an attempt that runs again are
skipped up to those that were delivered before. A stream that nobody can take any more is stopped.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nbray.ids import ObjectId, ProcessId, creator
from nbray.scheduler.messages import NO_LIMIT, STREAMING, Consumed, Streamed, Value, Yielded
from nbray.scheduler.ownership import Objects
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.states import TaskState
from nbray.scheduler.tasks import Task


class Stream(msgspec.Struct, gc=False):
    """How far one task has come, over all its attempts."""

    delivered: int = 0
    """Items that the consumer was sent."""
    consumed: int = 0
    """Items that it has taken."""
    unlimited: bool = False
    """The worker need not wait for it."""


class Streams:
    """Passes items on to consumers, and what these have taken back to the workers."""

    def __init__(
        self, objects: Objects, processes: dict[ProcessId, Process], outbox: Outbox, stop: Callable[[Task], None]
    ) -> None:
        self._objects = objects
        self._processes = processes
        self._outbox = outbox
        self._stop = stop
        """What to do with a task whose items nobody will take."""

    def yielded(self, maker: Process, message: Yielded) -> None:
        """A worker's next items."""
        task = self._running(message.task_id)
        if task is None or maker.worker is None or task.worker is not maker.worker:
            self._reject(maker, message.items)
            return
        consumer = self._consumer(task)
        if consumer is None:
            self._reject(maker, message.items)
            if task.stream is None:
                task.stream = Stream()
            if not task.stream.unlimited:  # a call of an actor may go on although it was interrupted
                task.stream.unlimited = True
                self._tell(task, task.stream)
            if task.state is TaskState.ASSIGNED:
                self._stop(task)
            return
        stream = task.stream
        if stream is None:
            stream = task.stream = Stream()
        again = stream.delivered - message.first
        if again > 0:
            self._reject(maker, message.items[:again])
        if again > 0 or (message.first == 0 and stream.unlimited):  # this attempt had not begun when it was said
            self._tell(task, stream)
        fresh = message.items[again:] if again > 0 else message.items
        create, run = self._objects.create, task.run
        items = [(object_id, create(consumer, object_id, value, run, maker)) for object_id, value in fresh]
        stream.delivered += len(items)
        if items:
            self._outbox.send(consumer.process_id, Streamed(message.task_id, items))

    def consumed(self, consumer: Process, message: Consumed) -> None:
        """The consumer has taken so many items in all."""
        entry = self._objects.entries.get(message.task_id)
        task = entry.task if entry is not None else None
        if task is None or creator(message.task_id) != consumer.process_id:
            return
        stream = task.stream
        if stream is None:
            stream = task.stream = Stream()
        if message.count == NO_LIMIT:
            stream.unlimited = True
        else:
            stream.consumed = max(stream.consumed, message.count)
        if self._running(message.task_id) is not None:
            self._tell(task, stream)

    def forget(self, consumer: Process) -> None:
        """The process is about to go: what still yields for it is stopped."""
        entries = self._objects.entries
        for object_id in list(consumer.held):
            entry = entries.get(object_id)
            task = entry.task if entry is not None else None
            if task is not None and task.template.template.num_returns == STREAMING:
                self._stop(task)

    def _running(self, task_id: ObjectId) -> Task | None:
        """The task if it is in a worker."""
        entry = self._objects.entries.get(task_id)
        task = entry.task if entry is not None else None
        return task if task is not None and task.state in (TaskState.ASSIGNED, TaskState.CANCELLING) else None

    def _consumer(self, task: Task) -> Process | None:
        """Who submitted the task, as long as it wants the items."""
        process = self._processes.get(creator(task.task_id))
        return process if process is not None and task.task_id in process.held else None

    def _tell(self, task: Task, stream: Stream) -> None:
        """Let the worker know how far the consumer is."""
        if task.worker is not None and task.worker.process is not None:
            process_id = task.worker.process.process_id
            self._outbox.send(process_id, Consumed(task.task_id, stream.consumed))
            if stream.unlimited:
                self._outbox.send(process_id, Consumed(task.task_id, NO_LIMIT))

    def _reject(self, maker: Process, items: list[tuple[ObjectId, Value]]) -> None:
        for _, value in items:
            self._objects.reject(maker, value)
