"""What simulated drivers and workers share: messages, references, functions, and the tasks that they submit."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING

from nbray.ids import NO_TASK, CellRunId, ObjectId, ProcessId, TaskId, template_id
from nbray.ids import object_id as make_object_id
from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.messages import STREAMING, Failure, Inline, Stored, Value
from tests.scheduler.simulated_actors import ActorUser
from tests.scheduler.simulated_disk import Reader
from tests.scheduler.simulated_streams import StreamUser

if TYPE_CHECKING:
    from tests.scheduler.world import World

Template = messages.Template


ORDERS = tuple(tuple((first + place) % 3 for place in range(3)) for first in range(6))
"""What a process tries first, second and third."""


class Simulated:
    """One process: what it has received and not read, what it has sent and nobody has read, what it holds."""

    greedy = False
    """Whether it submits tasks that need more than CPUs."""

    def __init__(self, world: World, process_id: ProcessId) -> None:
        self.world = world
        self.process_id = process_id
        self.inbox: deque[messages.FromScheduler] = deque()
        self.outbox: deque[messages.ToScheduler] = deque()
        self.alive = True
        self.linked = True
        """What is said arrives; a process whose link is broken may go on for a while."""
        self.joined = True
        self.ended_by: int | None = None
        self.stalled_until = self.muted_until = self.deaf_until = 0.0
        self.refs: dict[ObjectId, Value | None] = {}
        """Objects that it holds, with their values as far as it knows them."""
        self.templates: list[Template] = []
        self.gangs: list[ObjectId] = []
        """Those that it has created and not removed."""
        self.writing: tuple[int, list[ObjectId]] | None = None
        """Size and contents of the value for which it waits for an extent."""
        self.actors = ActorUser(self)
        self.streams = StreamUser(self)
        self.reader = Reader(self)
        self._objects = 0
        self._templates = 0

    @property
    def random(self) -> random.Random:
        """The world's only source of chance."""
        return self.world.random

    def say(self, message: messages.ToScheduler) -> None:
        """Put a message on the socket."""
        if self.linked:
            self.outbox.append(message)

    def move(self, now: float, order: int) -> bool:
        """One step, if it can take one: hear what it has said, let it read, or let it act; `order` says what is tried first."""
        for which in ORDERS[order]:
            if which == 0:
                if (self.outbox or not self.joined) and self.muted_until <= now and self.linked:
                    self.hear()
                    return True
            elif which == 1:
                if self.inbox and self.deaf_until <= now:
                    return self.read()
            elif self.ready() and self.act():
                return True
        return False

    def hear(self) -> None:
        """The next thing that it has said arrives."""
        self.world.hear(self)

    def ready(self) -> bool:
        """Whether `act` may do something by itself."""
        return False

    def act(self) -> bool:
        """Do something; False where there was nothing to do."""
        return False

    def new_object(self, count: int = 1) -> ObjectId:
        """The first of so many fresh ids."""
        self._objects += count
        return make_object_id(self.process_id, self._objects - count + 1)

    def learn(self, values: list[tuple[ObjectId, Value]]) -> None:
        """Ready."""
        for object_id, value in values:
            if object_id not in self.refs:
                continue
            self.world.ledger.see(self.process_id, object_id, value)
            self.refs[object_id] = value
            if type(value) is Failure and value.kind == "actor_died":
                self.actors.mourn(object_id)
            self.streams.learn(object_id, value)
            self.open(object_id, value)

    def open(self, object_id: ObjectId, value: Value) -> None:
        """Read a value that is held: the references inside it are held from now on too."""
        self.world.arena.read(object_id, value)
        if isinstance(value, (Inline, Stored)):
            fresh = [nested for nested in value.nested if nested not in self.refs]
            if fresh and self.random.random() < 0.5:
                self.say(messages.Held(fresh))
                self.subscribe(fresh)
                self.refs.update(dict.fromkeys(fresh))

    def subscribe(self, object_ids: list[ObjectId]) -> None:
        """Ask for values."""
        self.say(messages.Subscribe(object_ids))
        self.world.ledger.expect(self.process_id, object_ids)

    def read(self) -> bool:
        """Take in one message; False when there is none."""
        raise NotImplementedError

    def release(self, object_ids: list[ObjectId]) -> None:
        """Drop references."""
        for object_id in object_ids:
            self.refs.pop(object_id, None)
            if object_id in self.gangs:
                self.gangs.remove(object_id)
                self.forget_gang(object_id)
        self.actors.released(object_ids)
        self.streams.released(object_ids)
        if object_ids:
            self.say(messages.Released(object_ids))

    def register(self, cell_run: CellRunId, gang: ObjectId = NO_TASK) -> Template:
        """A new template of one of a few functions; what a task submits asks for CPUs only.

        Otherwise a task could wait for one that needs what it holds itself, and would rightly wait for ever.
        """
        draw, world = self.random, self.world
        name = draw.choice(["short", "long", "nested"])
        nested = draw.sample(sorted(self.refs), min(len(self.refs), draw.choice([0, 0, 1])))
        key = f"{name}{nested}".encode().ljust(16, b".")
        self._templates += 1
        choices = [{CPU: UNIT}] * 18 + [{CPU: UNIT // 2}] * 4 + [{CPU: 2 * UNIT}, {CPU: 2 * UNIT}, {}, {}, {CPU: 99 * UNIT}]
        resources = draw.choice(choices + [{CPU: UNIT, "disk": UNIT}] * 4 * self.greedy)
        if self.greedy and world.gpus and draw.random() < 0.3:
            resources = {CPU: UNIT, GPU: draw.choice([UNIT // 2, UNIT, 2 * UNIT])}
        if gang:
            resources = draw.choice([{CPU: UNIT // 2}, {CPU: UNIT // 2}, {}, resources])
        template = Template(
            template_id(self.process_id, self._templates), key, name, cell_run, resources,
            num_returns=draw.choice([1, 1, 1, 1, 2, 0, STREAMING]), max_retries=draw.choice([0, 0, 0, 1, 2]),
            window=draw.choice([0, 1, 3]),
            timeout=draw.choice([0.0] * 6 + [0.5]), priority=draw.choice([0] * 6 + [1, -1]),
            max_calls=draw.choice([0] * 8 + [1, 3]), profile=draw.choice([b""] * 8 + [b"A", b"B"]),
            gang=gang, bundle=draw.choice([-1, -1, 0, 1]) if gang else -1,
        )  # fmt: skip
        self.say(messages.RegisterFunction(key, name, name.encode(), nested))
        self.say(messages.RegisterTemplate(template))
        self.templates.append(template)
        return template

    def submit(self, template: Template, count: int, parent: TaskId = NO_TASK) -> list[TaskId]:
        """Tasks with random dependencies."""
        draw, specs = self.random, []
        held = self.arguments()
        for _ in range(count):
            deps = draw.choices(held, k=draw.choice([0, 0, 0, 1, 2])) if held else []
            nested = draw.choices(held, k=draw.choice([0, 0, 0, 1])) if held else []
            task_id = self.new_object(max(1, template.num_returns))
            specs.append(messages.TaskSpec(task_id, template.template_id, b"", deps, nested, parent=parent))
            for place in range(abs(template.num_returns)):
                self.refs[ObjectId(task_id + place)] = None
            self.streams.submitted(task_id, template)
            self.world.ledger.submit(self.process_id, task_id, template, deps)
        self.say(messages.Submit(specs))
        return [spec.task_id for spec in specs]

    def forget_gang(self, gang: ObjectId) -> None:
        """Mostly, what is for this gang will not be called any more."""
        mine = [template.template_id for template in self.templates if template.gang == gang]
        if mine and self.random.random() < 0.9:
            self.templates = [template for template in self.templates if template.gang != gang]
            self.say(messages.ForgetTemplates(mine))

    def arguments(self) -> list[ObjectId]:
        """What calls may be given; seldom what is known to have failed.

        A task gives what is there already: that cannot be waiting for this very task.
        """
        failed = self.random.random() < 0.1
        return [
            object_id for object_id in sorted(self.refs)
            if object_id not in self.gangs and (failed or type(self.refs[object_id]) is not Failure)
            and (self.greedy or self.refs[object_id] is not None)
        ]  # fmt: skip

    def put(self, value: Value) -> None:
        """An object of its own."""
        number = self.new_object()
        self.refs[number] = value
        self.world.arena.seal(number, value)
        self.say(messages.Put(number, value))
        self.world.ledger.expect(self.process_id, [number])  # told only when the store has no room

    def leave_tidily(self) -> None:
        """Let go of everything."""
        self.release(sorted(self.refs))
        self.say(messages.ForgetTemplates([template.template_id for template in self.templates + self.actors.methods]))
        self.templates, self.actors.methods = [], []

    def some(self, most: int) -> list[ObjectId]:
        """A few objects that it holds."""
        held = [number for number in sorted(self.refs) if number not in self.gangs or self.random.random() < 0.1]
        return self.random.sample(held, min(len(held), self.random.randint(0, most)))
