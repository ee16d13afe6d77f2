"""What a simulation knows to be true without asking the scheduler: outcomes, attempts, and what is in the arena."""

from __future__ import annotations

from collections import Counter

from nbray.ids import ActorId, ObjectId, ProcessId, TaskId
from nbray.scheduler.messages import ActorSpec, Failure, RunSpec, Spilled, Stored, Template, Value


class Ledger:
    """Every task that was submitted, every attempt, and every value that anybody has seen."""

    def __init__(self) -> None:
        self.tasks: dict[TaskId, Template] = {}
        self.values: dict[ObjectId, Value] = {}
        self.outcomes: Counter[str] = Counter()
        self.actors: dict[ActorId, ActorSpec] = {}
        self.delivered = 0
        """Items of streams."""
        self._items: dict[ObjectId, tuple[TaskId, int, Value]] = {}
        self._calls: dict[TaskId, tuple[ProcessId, ActorId]] = {}
        self._last: dict[tuple[ProcessId, ActorId], TaskId] = {}
        """The last call that each process made of each actor without concurrency and that has begun."""
        self._creations: Counter[ActorId] = Counter()
        self._spared: Counter[TaskId] = Counter()
        """Attempts that were ended for their memory, which do not count."""
        self._produced: dict[ObjectId, list[Value]] = {}
        self._attempts: set[tuple[TaskId, int]] = set()
        self._alone: set[TaskId] = set()
        """Tasks without dependencies, which cannot share the failure of one."""
        self._pushes: Counter[tuple[ProcessId, ObjectId]] = Counter()

    def submit(
        self, process: ProcessId, task_id: TaskId, template: Template, deps: list[ObjectId] | None = None
    ) -> None:  # fmt: skip
        """A task is on its way to the scheduler; its returns will be pushed."""
        self.tasks[task_id] = template
        if deps is not None and not deps:
            self._alone.add(task_id)
        self.expect(process, [ObjectId(task_id + place) for place in range(abs(template.num_returns))])

    def expect(self, process: ProcessId, object_ids: list[ObjectId]) -> None:
        """One push more of each may come."""
        self._pushes.update((process, object_id) for object_id in object_ids)

    def gang(self, process: ProcessId, gang: ObjectId, value: Value) -> None:
        """A gang is on its way to the scheduler; its value will be pushed once it is reserved."""
        self._produced[gang] = [value]
        self.expect(process, [gang])

    def yielded(self, stream: TaskId, index: int, object_id: ObjectId, value: Value) -> None:
        """An attempt at a stream has made an item."""
        self._items[object_id] = stream, index, value

    def deliver(self, stream: TaskId, index: int, object_id: ObjectId, value: Value) -> None:
        """I3: the items of a stream come in order, each exactly once, as an attempt made them."""
        made = self._items.pop(object_id, None)
        assert made is not None, f"item {index} of {stream:#x} came twice"
        assert made[:2] == (stream, index), f"item {index} of {stream:#x} came as {made}"
        assert anywhere(made[2]) == anywhere(value) or (isinstance(value, Failure) and value.kind == "store_full"), (made, value)
        self.delivered += 1

    def called(self, process: ProcessId, actor_id: ActorId, task_id: TaskId) -> None:
        """A call is on its way; a process numbers its calls upward."""
        self._calls[task_id] = process, actor_id

    def actor_of(self, object_id: ObjectId) -> ActorId:
        """Whose call made the object, or which actor it stands for."""
        return self._calls[object_id][1] if object_id in self._calls else object_id

    def create(self, actor_id: ActorId, spec: RunSpec) -> None:
        """A creation begins: once, and again as often as the actor may start again."""
        self._creations[actor_id] += 1
        allowed = self.actors[actor_id].max_restarts
        assert allowed < 0 or self._creations[actor_id] <= 1 + allowed, f"{actor_id:#x} was created too often"
        assert (spec.task_id, spec.attempt) not in self._attempts
        self._attempts.add((spec.task_id, spec.attempt))

    def start_call(self, actor_id: ActorId, spec: RunSpec) -> None:
        """A call begins: in the actor that it was meant for, and after those that its process made before."""
        process, meant = self._calls[spec.task_id]
        assert meant == actor_id, "a call came to another actor"
        if spec.attempt == 1 and self.actors[actor_id].concurrency == "sync":
            last = self._last.get((process, actor_id), 0)
            assert last < spec.task_id, f"{spec.task_id:#x} was called before {last:#x} and begins after it"
            self._last[process, actor_id] = spec.task_id
        self.start(spec)

    def start(self, spec: RunSpec) -> None:
        """I2: an attempt runs once, there are as many as were asked for, and none after the outcome."""
        template = self.tasks[spec.task_id]
        assert (spec.task_id, spec.attempt) not in self._attempts, f"attempt {spec.attempt} of {spec.task_id:#x} ran twice"
        assert spec.attempt <= 1 + template.max_retries + self._spared[spec.task_id], f"{spec} ran too often"
        assert spec.task_id not in self.values, f"{spec.task_id:#x} ran after its outcome was known"
        self._attempts.add((spec.task_id, spec.attempt))

    def spare(self, task_id: TaskId) -> None:
        """The running attempt is ended for its memory, and does not count."""
        self._spared[task_id] += 1

    def finish(self, spec: RunSpec, values: list[Value]) -> None:
        """An attempt ended with these values."""
        for place, value in enumerate(values):
            self._produced.setdefault(ObjectId(spec.task_id + place), []).append(value)

    def see(self, process: ProcessId, object_id: ObjectId, value: Value) -> None:
        """I1: a value comes as often as asked at most, is the same for everybody, and was made by an attempt."""
        self._pushes[process, object_id] -= 1
        assert self._pushes[process, object_id] >= 0, f"{object_id:#x} was pushed too often"
        if isinstance(value, Failure) and value.kind == "lost":
            return
        first = self.values.setdefault(object_id, value)
        assert anywhere(first) == anywhere(value), f"{object_id:#x} has two values: {first!r}, {value!r}"
        if not isinstance(value, Failure) and object_id in self.tasks:
            made = [anywhere(produced) for produced in self._produced[object_id]]
            assert anywhere(value) in made, f"{object_id:#x} has a value that nobody made"
        if isinstance(value, Failure) and value.kind == "worker_died" and value.worker and object_id in self._alone:
            # A worker's word tells no attempts apart: one that had run the last attempt may have begun the next as well.
            last = value.attempt - 1
            began = (object_id, value.attempt) in self._attempts or (object_id, last) in self._attempts
            assert began, f"{object_id:#x} failed with {value.worker}, which had not begun it"
        self.outcomes[value.kind if isinstance(value, Failure) else "result"] += 1


def anywhere(value: Value) -> Value:
    """The same value, wherever its bytes are."""
    return Spilled(value.size, value.nested) if isinstance(value, Stored) else value


class SimulatedArena:
    """Who wrote what where: a reader must find what the maker of the object wrote."""

    def __init__(self) -> None:
        self._contents: dict[int, tuple[int, int]] = {}
        self._sealed: dict[ObjectId, int] = {}
        self._writes = 0

    def write(self, process: ProcessId, offset: int, size: int) -> None:
        """A process fills an extent."""
        self.wipe(offset, size)
        self._writes += 1
        self._contents[offset] = (size, self._writes)

    def wipe(self, offset: int, size: int) -> None:
        """What was in this range is gone."""
        for start, (length, _) in list(self._contents.items()):
            if start < offset + size and offset < start + length:
                del self._contents[start]

    def seal(self, object_id: ObjectId, value: Value) -> None:
        """The object has this value; a re-run of its task may seal another one."""
        if isinstance(value, Stored):
            self._sealed[object_id] = self._contents[value.offset][1]

    def copy(self, object_id: ObjectId, offset: int) -> int:
        """The number of the writing that an object's bytes come from, which must still be there."""
        assert self._contents[offset][1] == self._sealed[object_id], f"the bytes of {object_id:#x} were overwritten"
        return self._contents[offset][1]

    def fill(self, offset: int, size: int, number: int) -> None:
        """Bytes of an earlier writing come back."""
        self.wipe(offset, size)
        self._contents[offset] = (size, number)

    def read(self, object_id: ObjectId, value: Value) -> None:
        """I5: the bytes of a held object are those that its maker wrote."""
        if isinstance(value, Stored):
            assert value.offset in self._contents, f"the bytes of {object_id:#x} are gone while it is held"
            assert self._contents[value.offset][1] == self._sealed[object_id], f"the bytes of {object_id:#x} were overwritten"
