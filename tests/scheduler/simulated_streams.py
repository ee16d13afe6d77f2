"""What simulated processes do with streams: take items as consumers, and yield them as workers, no further ahead than allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbray.ids import ObjectId, TaskId
from nbray.scheduler import messages
from nbray.scheduler.messages import NO_LIMIT, STREAMING, Failure, Inline, Stored, Template, Value

if TYPE_CHECKING:
    from tests.scheduler.simulated import Simulated
    from tests.scheduler.simulated_workers import SimulatedWorker


def length(task_id: TaskId) -> int:
    """How many items a stream has, in every attempt."""
    return (task_id * 7919) % 9


class StreamUser:
    """The streams that a process has submitted and has not given up."""

    def __init__(self, process: Simulated) -> None:
        self._process = process
        self._received: dict[TaskId, int] = {}

    def submitted(self, task_id: TaskId, template: Template) -> None:
        """A task that may be a stream is on its way."""
        if template.num_returns == STREAMING:
            self._received[task_id] = 0

    def receive(self, message: messages.Streamed) -> None:
        """Items have come."""
        process, stream = self._process, message.task_id
        if stream not in self._received:
            process.say(messages.Released([object_id for object_id, _ in message.items]))
            return
        for object_id, value in message.items:
            process.world.ledger.deliver(stream, self._received[stream], object_id, value)
            self._received[stream] += 1
            process.refs[object_id] = value
            process.open(object_id, value)
        if not process.world.faults.on or process.random.random() < 0.6:
            self._say(stream)

    def learn(self, object_id: ObjectId, value: Value) -> None:
        """A value has come: if it is the end of a stream, all its items have."""
        received = self._received.pop(object_id, None)
        if received is not None and not isinstance(value, Failure):
            assert received == length(object_id), f"{received} of {length(object_id)} items of {object_id:#x} came"

    def released(self, object_ids: list[ObjectId]) -> None:
        """Streams are given up, whose tasks end with that."""
        given_up = [object_id for object_id in object_ids if self._received.pop(object_id, None) is not None]
        if given_up:
            self._process.say(messages.Cancel(0, [TaskId(object_id) for object_id in given_up]))

    def catch_up(self) -> None:
        """Say of all streams how far they were taken."""
        for stream in self._received:
            self._say(stream)

    def _say(self, stream: TaskId) -> None:
        limitless = self._process.random.random() < 0.05
        self._process.say(messages.Consumed(stream, NO_LIMIT if limitless else self._received[stream]))


class Producer:
    """One attempt at a stream inside a worker."""

    def __init__(self, worker: SimulatedWorker, spec: messages.RunSpec) -> None:
        self._worker = worker
        self._spec = spec
        self._made = 0
        self._consumed = 0
        self._window = worker.known[spec.template_id].window
        self.paused = False

    @property
    def done(self) -> bool:
        """Whether all items were made."""
        return self._made == length(self._spec.task_id)

    @property
    def _ahead(self) -> bool:
        return 0 < self._window <= self._made - self._consumed

    def step(self) -> None:
        """A few items, or a pause."""
        if self._ahead:
            self.paused = True
            self._worker.flush()
            self._worker.say(messages.Blocked(self._spec.task_id))
            return
        values: list[Value] = []
        for place in range(self._worker.random.choice([1, 1, 2, 3])):
            if self._made + place == length(self._spec.task_id) or (values and self._ahead):
                break
            values.append(b"item" if self._worker.random.random() < 0.7 else Inline(b"holds", self._worker.some(2)))
        self.send(values)

    def send(self, values: list[Value]) -> None:
        """Send the next items, except for those that were taken already."""
        worker, task_id = self._worker, self._spec.task_id
        skipped = min(len(values), max(0, self._consumed - self._made))
        self._made += skipped
        for value in values[:skipped]:
            if isinstance(value, Stored):
                worker.say(messages.GiveBack(value.offset))
        values = values[skipped:]
        if not values:
            return
        worker.flush()
        items = [(worker.new_object(), value) for value in values]
        for place, (object_id, value) in enumerate(items):
            worker.world.ledger.yielded(task_id, self._made + place, object_id, value)
            worker.world.arena.seal(object_id, value)
        worker.say(messages.Yielded(task_id, self._made, items))
        self._made += len(items)

    def hear(self, message: messages.Consumed) -> None:
        """How far the consumer is."""
        if message.task_id != self._spec.task_id:
            return
        if message.count == NO_LIMIT:
            self._window = 0
        self._consumed = max(self._consumed, message.count)
        if not self._ahead:
            self.resume()

    def resume(self) -> None:
        """The pause is over, or the task."""
        if self.paused:
            self.paused = False
            self._worker.say(messages.Unblocked(self._spec.task_id))
