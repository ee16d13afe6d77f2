"""What simulated processes do with actors: create, call, find, kill and host them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

import msgspec

from nbray.ids import BACKGROUND, ActorId, CellRunId, ObjectId, TaskId, template_id
from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.messages import STREAMING, ActorSpec, Failure, Template
from tests.scheduler.simulated_streams import Producer, length

if TYPE_CHECKING:
    from tests.scheduler.simulated import Simulated
    from tests.scheduler.simulated_drivers import SimulatedDriver
    from tests.scheduler.simulated_workers import SimulatedWorker

NAMES = ["", "", "", "totals", "means"]
Concurrency = Literal["sync", "threads", "async"]
_KINDS: list[Concurrency] = ["sync", "sync", "threads", "async"]


class ActorUser:
    """The part of a process that has to do with actors of others."""

    def __init__(self, process: Simulated) -> None:
        self._process = process
        self.actors: list[ActorId] = []
        """Those that it holds, as far as it knows that they are actors."""
        self.methods: list[Template] = []
        self.lookups: set[int] = set()
        """Questions for names that have not been answered."""

    def create(self, cell_run: CellRunId) -> None:
        """A new actor of a class of its own."""
        process, draw = self._process, self._process.random
        process._templates += 1
        key = b"class".ljust(16, b".")
        resources: dict[str, int] = draw.choice([{}] * 8 + [{CPU: UNIT}, {CPU: UNIT // 2}, {"disk": UNIT // 4}, {CPU: 99 * UNIT}])
        if process.world.gpus and draw.random() < 0.2:
            resources = {GPU: UNIT}
        template = Template(
            template_id(process.process_id, process._templates), key, "Class", cell_run, resources, method="__init__",
            profile=draw.choice([b""] * 8 + [b"A"]),
        )  # fmt: skip
        process.say(messages.RegisterFunction(key, "Class", b"class"))
        process.say(messages.RegisterTemplate(template))
        held = process.arguments()
        deps = draw.choices(held, k=draw.choice([0, 0, 1])) if held else []
        nested = draw.choices(held, k=draw.choice([0, 0, 1])) if held else []
        actor_id = process.new_object()
        concurrency: Concurrency = draw.choice(_KINDS)
        spec = ActorSpec(
            "Class", name=draw.choice(NAMES), detached=draw.random() < 0.1, max_restarts=draw.choice([0, 1, 1, 2, -1]),
            concurrency=concurrency, max_concurrency=1 if concurrency == "sync" else draw.choice([1, 3]),
        )  # fmt: skip
        process.refs[actor_id] = None
        process.world.ledger.submit(process.process_id, actor_id, template)
        process.world.ledger.actors[actor_id] = spec
        process.say(messages.CreateActor(messages.TaskSpec(actor_id, template.template_id, b"", deps, nested), spec))
        process.say(messages.ForgetTemplates([template.template_id]))
        self.actors.append(actor_id)

    def call(self, count: int) -> list[TaskId]:
        """Calls of one actor; an answer of several values takes as many ids."""
        process, draw = self._process, self._process.random
        actor_id = draw.choice(self.actors)
        if not self.methods or draw.random() < 0.3:
            self._register_method()
        template = draw.choice(self.methods)
        held = process.arguments()
        specs = []
        for _ in range(count):
            deps = draw.choices(held, k=draw.choice([0, 0, 0, 1])) if held else []
            nested = draw.choices(held, k=draw.choice([0, 0, 0, 1])) if held else []
            task_id = process.new_object(max(1, template.num_returns))
            specs.append(messages.TaskSpec(task_id, template.template_id, b"", deps, nested))
            for place in range(abs(template.num_returns)):
                process.refs[ObjectId(task_id + place)] = None
            process.streams.submitted(task_id, template)
            process.world.ledger.submit(process.process_id, task_id, template)
            process.world.ledger.called(process.process_id, actor_id, task_id)
        process.say(messages.Call(actor_id, specs))
        return [spec.task_id for spec in specs]

    def mourn(self, object_id: ObjectId) -> None:
        """A call, or a creation, has failed: the actor is dead, or starts again. It is called less from then on."""
        called = self._process.world.ledger.actor_of(object_id)
        if called in self.actors and self._process.random.random() < 0.3:
            self.actors.remove(called)

    def kill(self) -> None:
        """End an actor in one of the ways."""
        draw = self._process.random
        how = draw.choice([(True, False), (False, False), (True, True)])
        self._process.say(messages.KillActor(draw.choice(self.actors), *how))

    def look_up(self, request: int) -> None:
        """Ask for an actor by its name."""
        namespace, name = self._process.random.choice(["", "a.ipynb", "b.ipynb"]), self._process.random.choice(NAMES[3:])
        self.lookups.add(request)
        self._process.say(messages.Ask(request, "actor", text=f"{namespace}\n{name}"))

    def found(self, request: int, body: bytes) -> None:
        """The answer: whoever asked holds the actor now."""
        self.lookups.remove(request)
        actor_id = msgspec.msgpack.decode(body)["actor_id"]
        self._process.world.seen["names"] += bool(actor_id)
        if actor_id and actor_id not in self._process.refs:
            self._process.refs[actor_id] = None
            self._process.subscribe([actor_id])
            self.actors.append(actor_id)

    def released(self, object_ids: list[ObjectId]) -> None:
        """Handles are gone."""
        self.actors = [actor_id for actor_id in self.actors if actor_id not in object_ids]

    def act(self, driver: SimulatedDriver) -> None:
        """Something that a notebook does with actors."""
        draw = self._process.random
        choice = draw.random()
        if not self.actors or choice < 0.15:
            self.create(CellRunId(draw.choice([BACKGROUND, f"cell {driver.cells}"])))
        elif choice < 0.86:
            self.call(draw.choice([1, 2, 5, 20]))
        elif choice < 0.92:
            driver._asked += 1
            self.look_up(driver._asked)
        else:
            self.kill()

    def _register_method(self) -> None:
        process, draw = self._process, self._process.random
        process._templates += 1
        cells = [BACKGROUND, *(template.cell_run for template in process.templates[-1:])]
        template = Template(
            template_id(process.process_id, process._templates), b"", "Class.method", draw.choice(cells), {},
            num_returns=draw.choice([1, 1, 1, 2, 0, STREAMING]), max_retries=draw.choice([0, 0, 1]), method="method",
            window=draw.choice([0, 2]),
        )  # fmt: skip
        process.say(messages.RegisterTemplate(template))
        self.methods.append(template)


class Hosted:
    """The actor that a simulated worker serves; without concurrency the worker runs its calls as it runs tasks."""

    def __init__(self, worker: SimulatedWorker, message: messages.Host) -> None:
        self._worker = worker
        self.actor_id = message.actor_id
        self.spec = message.actor
        self.leaving = False
        self.waiting: deque[messages.RunSpec] = deque()
        self.under_way: dict[TaskId, messages.RunSpec] = {}
        self._blocked: set[TaskId] = set()
        """Those of them that wait for objects."""

    @property
    def concurrent(self) -> bool:
        """Whether calls end in any order."""
        return self.spec.concurrency != "sync"

    def act(self) -> bool:
        """Start or end one of the concurrent calls."""
        draw, worker = self._worker.random, self._worker
        room = len(self.under_way) < self.spec.max_concurrency
        if self.waiting and room and (not self.under_way or draw.random() < 0.7):
            spec = self.waiting.popleft()
            worker.world.start(worker, spec)
            self.under_way[spec.task_id] = spec
            return True
        if not self.under_way:
            return False
        if draw.random() < 0.15:
            worker.submit_for(self.under_way[draw.choice(sorted(self.under_way))])
            return True
        task_id = draw.choice(sorted(self.under_way))
        if draw.random() < 0.15 and task_id not in self._blocked:
            self._blocked.add(task_id)
            worker.flush()
            worker.say(messages.Blocked(task_id))
            return True
        self._unblock(task_id)
        spec = self.under_way.pop(task_id)
        template = worker.known[spec.template_id]
        count = abs(template.num_returns)
        if template.num_returns == STREAMING:
            Producer(worker, spec).send([b"item"] * length(spec.task_id))
        name = spec.task_id.to_bytes(8, "big") + bytes([spec.attempt])
        values: list[messages.Value] = [name + bytes([place]) for place in range(count)]
        if draw.random() < 0.2:
            values = [Failure("exception", "no luck", "ValueError", retriable=draw.random() < 0.5)]
        worker.report(spec, values)
        return True

    def cancel(self, task_ids: list[TaskId]) -> None:
        """CancelCalls: what has not begun is not begun; coroutines stop, threads go on."""
        stopped = [spec for spec in self.waiting if spec.task_id in task_ids]
        self.waiting = deque(spec for spec in self.waiting if spec.task_id not in task_ids)
        if self.spec.concurrency == "async":
            stopped += [self.under_way.pop(task_id) for task_id in task_ids if task_id in self.under_way]
        for spec in stopped:
            self._unblock(spec.task_id)
            self._worker.report(spec, [Failure("cancelled", "stopped")])

    def _unblock(self, task_id: TaskId) -> None:
        """What the call waited for is there, or it waits no more."""
        if task_id in self._blocked:
            self._blocked.remove(task_id)
            self._worker.say(messages.Unblocked(task_id))

    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.waiting or self.under_way)
