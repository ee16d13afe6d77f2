"""Simulated drivers and workers, which do what real ones may do, in any order that their sockets allow."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Literal

from nbray.ids import BACKGROUND, NO_TASK, CellRunId, ObjectId, ProcessId, TaskId, TemplateId, template_id
from nbray.ids import object_id as make_object_id
from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.messages import STREAMING, Failure, Inline, Stored, Value
from tests.scheduler.simulated_actors import ActorUser, Hosted
from tests.scheduler.simulated_disk import Reader
from tests.scheduler.simulated_streams import Producer, StreamUser

if TYPE_CHECKING:
    from tests.scheduler.simulation import World

Template = messages.Template


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
        self.outbox.append(message)

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
        choices = [{CPU: UNIT}] * 9 + [{CPU: UNIT // 2}] * 2 + [{CPU: 2 * UNIT}, {}, {CPU: 99 * UNIT}]
        resources = draw.choice(choices + [{CPU: UNIT, "disk": UNIT}] * 2 * self.greedy)
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
        held = [object_id for object_id in sorted(self.refs) if object_id not in self.gangs]
        if not self.greedy:  # what is there already cannot be waiting for this very task
            held = [object_id for object_id in held if self.refs[object_id] is not None]
        for _ in range(count):
            deps = draw.choices(held, k=draw.choice([0, 0, 0, 1, 2])) if held else []
            nested = draw.choices(held, k=draw.choice([0, 0, 0, 1])) if held else []
            task_id = self.new_object(max(1, template.num_returns))
            specs.append(messages.TaskSpec(task_id, template.template_id, b"", deps, nested, parent=parent))
            for place in range(abs(template.num_returns)):
                self.refs[ObjectId(task_id + place)] = None
            self.streams.submitted(task_id, template)
            self.world.ledger.submit(self.process_id, task_id, template)
        self.say(messages.Submit(specs))
        return [spec.task_id for spec in specs]

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


class SimulatedDriver(Simulated):
    """A notebook in a hurry."""

    greedy = True

    def __init__(self, world: World, process_id: ProcessId, job: str) -> None:
        super().__init__(world, process_id)
        self.job = job
        self.cells = 0
        self._asked = 0
        self.requests: dict[int, int] = {}
        """Cancels that are not answered: how many tasks each must account for."""

    def read(self) -> bool:
        """Take in one message."""
        if not self.inbox:
            return False
        message = self.inbox.popleft()
        if self.reader.hear(message):
            pass
        elif isinstance(message, messages.Ready):
            self.learn(message.values)
        elif isinstance(message, messages.Granted) and self.writing is not None:
            size, nested = self.writing
            self.writing = None
            self.world.arena.write(self.process_id, message.offset, size)
            if self.random.random() < 0.1:
                self.say(messages.GiveBack(message.offset))
            else:
                self.put(Stored(message.offset, size, nested))
        elif isinstance(message, messages.Refused):
            assert message.failure.kind == "store_full"
            self.writing = None
        elif isinstance(message, messages.Streamed):
            self.streams.receive(message)
        elif isinstance(message, messages.Answer) and message.request_id in self.actors.lookups:
            self.actors.found(message.request_id, message.body)
        elif isinstance(message, messages.Answer) and message.request_id:
            named = self.requests.pop(message.request_id)
            if named >= 0:
                self.world.check_answer(named, message.body)
        return True

    def act(self) -> bool:
        """Do something that a user may do."""
        draw = self.random
        choice = draw.random()
        on_disk = self.reader.on_disk()
        if on_disk and draw.random() < 0.5:
            self.reader.fetch(draw.choice(on_disk))
        elif self.world.with_actors and draw.random() < 0.4:
            self.actors.act(self)
        elif choice < 0.4 or not self.templates:
            self._call()
        elif choice < 0.5:
            value: Value = b"small" if draw.random() < 0.5 else Inline(b"holds", self.some(2))
            self.put(value)
        elif choice < 0.6 and self.writing is None:
            self.writing = (draw.choice([100, 5000, 200_000, 400_000, 900_000]), self.some(1))
            self.say(messages.Allocate(1, self.writing[0]))
        elif choice < 0.8:
            self.release(self.some(4))
        elif choice < 0.85 and len(self.templates) > 2:
            self.say(messages.ForgetTemplates([self.templates.pop(0).template_id]))
        elif choice < 0.89:
            self._cancel()
        elif choice < 0.935:
            self._gang()
        elif choice < 0.94:
            self._asked += 1
            self.requests[self._asked] = -1
            least = draw.choice([1, 1, 2])
            self.say(messages.Scale(self._asked, least, self.world.cpus + draw.choice([0, 0, 1, 2])))
        elif choice < 0.95:
            self._asked += 1
            self.requests[self._asked] = -1
            self.say(messages.Ask(self._asked, draw.choice(["renew", "snapshot", "cell_runs"])))
        elif self.refs:
            self.subscribe([draw.choice(sorted(self.refs))])
        return True

    def _gang(self) -> None:
        """Set resources aside, or give them back."""
        draw = self.random
        if self.gangs and draw.random() < 0.5:
            self.say(messages.RemoveGang(self.gangs.pop()))
            return
        sizes = [{CPU: UNIT}, {CPU: UNIT // 2}, {CPU: UNIT, "disk": UNIT}] + [{CPU: UNIT, GPU: UNIT}] * bool(self.world.gpus)
        bundles = draw.choices(sizes, k=draw.choice([1, 1, 2, 3]))
        gang = self.new_object()
        self.refs[gang] = None
        self.gangs.append(gang)
        self.world.ledger.gang(self.process_id, gang, b"gang %d" % gang)
        strategies: list[Literal["PACK", "STRICT_SPREAD"]] = ["PACK", "PACK", "PACK", "STRICT_SPREAD"]
        self.say(messages.CreateGang(gang, [dict(bundle) for bundle in bundles], b"gang %d" % gang, draw.choice(strategies)))
        for _ in range(draw.choice([1, 2])):
            self.submit(self.register(BACKGROUND, gang), draw.choice([1, 2, 5]))

    def _call(self) -> None:
        draw = self.random
        if not self.templates or draw.random() < 0.3:
            self.cells += 1
            cell = CellRunId(draw.choice([BACKGROUND, f"cell {self.cells}"]))
            self.say(messages.DescribeCellRun(cell, f"[{self.cells}]"))
            self.register(cell)
        self.submit(draw.choice(self.templates), draw.choice([1, 1, 2, 5, 30]))

    def _cancel(self) -> None:
        draw = self.random
        self._asked += 1
        request = self._asked
        tasks = [TaskId(number) for number in self.some(5)]
        cells = [CellRunId(f"cell {self.cells}")] if draw.random() < 0.3 else []
        everything = draw.random() < 0.05
        self.requests[request] = -1 if cells or everything else len(tasks)
        self.say(messages.Cancel(request, tasks, cells, everything, draw.random() < 0.2))


class SimulatedWorker(Simulated):
    """A worker whose tasks do a little of everything."""

    def __init__(
        self, world: World, process_id: ProcessId, slot: int, gpus: tuple[int, ...], profile: bytes, pid: int
    ) -> None:  # fmt: skip
        super().__init__(world, process_id)
        self.slot = slot
        self.gpus = gpus
        self.profile = profile
        self.pid = pid
        self.joined = False
        self.queue: deque[messages.RunSpec] = deque()
        self.running: messages.RunSpec | None = None
        self.program: deque[str] = deque()
        self.blocked_on: set[ObjectId] | None = None
        self.stubborn = False
        """Its task ignores SIGINT and does not end."""
        self.reports: list[messages.TaskResult] = []
        self.known: dict[TemplateId, Template] = {}
        self.functions: set[bytes] = set()
        self.producer: Producer | None = None
        """Of the running task, if that yields."""
        self.hosted: Hosted | None = None
        self.created = False
        """Its actor is alive."""
        self._allocations = 0
        self._deps: list[ObjectId] = []
        self._children: list[ObjectId] = []

    def read(self) -> bool:
        """Take in one message."""
        if not self.inbox:
            return False
        message = self.inbox.popleft()
        if self.reader.hear(message):
            pass
        elif isinstance(message, messages.Run):
            for spec in message.tasks:
                assert spec.template_id in self.known, "a task came before its template"
                assert bool(self.known[spec.template_id].method) == (self.hosted is not None), "a task came to the wrong worker"
            concurrent = self.hosted is not None and self.hosted.concurrent and self.created
            (self.hosted.waiting if self.hosted is not None and concurrent else self.queue).extend(message.tasks)
        elif isinstance(message, messages.Learn):
            self.functions.update(key for key, _, _ in message.functions)
            self.known.update((template.template_id, template) for template in message.templates)
            assert all(template.function_key in {b"", *self.functions} for template in message.templates)
        elif isinstance(message, messages.Host):
            assert self.idle()
            assert self.hosted is None
            self.hosted = Hosted(self, message)
        elif isinstance(message, messages.CancelCalls):
            assert self.hosted is not None
            self.hosted.cancel(message.task_ids)
        elif isinstance(message, messages.Forget):
            self._forget(message)
        elif isinstance(message, messages.TakeBack):
            wanted = set(message.task_ids)
            taken = [spec.task_id for spec in self.queue if spec.task_id in wanted]
            self.queue = deque(spec for spec in self.queue if spec.task_id not in wanted)
            self.say(messages.TakenBack(taken))
        elif isinstance(message, messages.Ready):
            self.learn(message.values)
            self._wake()
        elif isinstance(message, messages.Streamed):
            self.streams.receive(message)
        elif isinstance(message, messages.Consumed):
            if self.producer is not None:
                self.producer.hear(message)
        elif isinstance(message, (messages.Granted, messages.Refused)):
            self._store(message)
        elif isinstance(message, messages.Exit):
            at_work = bool(self.queue) or self.running is not None or bool(self.reports)
            if self.hosted is not None:  # a creation that nobody waits for any more does not count
                at_work = self.created and (bool(self.queue) or self.running is not None or not self.hosted.idle())
            assert not at_work, "a worker was told to end that is at work"
            self.world.end(self, exit_code=0)
        return True

    def act(self) -> bool:
        """One step of the running task, or the start of the next."""
        if self.reports and (self.random.random() < 0.4 or (self.running is None and not self.queue)):
            self.flush()
            return True
        if self.running is None:
            return self._start() or (self.hosted is not None and self.hosted.act())
        if self.blocked_on is not None or self.writing is not None or (self.stubborn and self.world.faults):
            return False
        if self.reader.needed:
            return False
        if self.reader.failed:
            self.reader.failed = False
            self._end([Failure("exception", "an argument cannot be read")])
            return True
        if self.producer is not None and self.producer.paused:
            return False
        getattr(self, f"_{self.program.popleft()}")()
        return True

    def flush(self) -> None:
        """Report what has ended."""
        if self.reports:
            self.say(messages.Finished(self.reports))
            self.reports = []

    def interrupt(self) -> None:
        """SIGINT: it hits the running task if that is the one in the cancel word."""
        if self.running is not None and self.world.cancel_words.get(self.slot) == self.running.task_id and not self.stubborn:
            if self.blocked_on is not None:
                self.blocked_on = None
                self.say(messages.Unblocked(self.running.task_id))
            if self.producer is not None:
                self.producer.resume()
            self.writing = None
            self._end([Failure("cancelled", "interrupted")])

    def _start(self) -> bool:
        if not self.queue or (self.hosted is not None and self.hosted.leaving):
            return False
        spec = self.running = self.queue.popleft()
        self.world.start(self, spec)
        draw, deps = self.random, [object_id for object_id, _ in spec.deps]
        self.reader.need(spec.deps)
        for object_id, value in spec.deps:
            assert not isinstance(value, Failure) or value.kind == "lost"
            self.world.arena.read(object_id, value)
        steps = ["print", "submit", "wait", "keep", "large", "call"]
        self.program = deque(draw.choices(steps, weights=[3, 1, 1, 1, 1, 1], k=draw.choice([0, 0, 1, 2])))
        last = ["finish"] * 8 + ["fail", "retry"] + ["leave"] * (self.hosted is not None and self.created)
        self.program.append(draw.choice(last))
        if self.known[spec.template_id].num_returns == STREAMING:
            self.producer = Producer(self, spec)
            self.program.insert(len(self.program) - 1, "produce")
        self.stubborn = self.world.faults and draw.random() < 0.05
        self._deps, self._children = deps, []
        return True

    def _print(self) -> None:
        assert self.running is not None
        self.say(messages.Output(self.running.task_id, self.random.choice(["stdout", "display_data"]), b"text"))

    def _produce(self) -> None:
        assert self.producer is not None
        self.producer.step()
        if not self.producer.done:
            self.program.appendleft("produce")

    def _submit(self) -> None:
        assert self.running is not None
        self.flush()  # as real workers do: what is reported must not look like the parent of what is submitted
        if not self.templates or self.random.random() < 0.2:
            self.register(self.known[self.running.template_id].cell_run)
        first = self._objects
        self.submit(self.random.choice(self.templates), self.random.choice([1, 1, 2]))
        self._children += [make_object_id(self.process_id, counter + 1) for counter in range(first, self._objects)]

    def submit_for(self, call: messages.RunSpec) -> None:
        """One of several calls at a time submits a task."""
        self.flush()
        if not self.templates or self.random.random() < 0.2:
            self.register(self.known[call.template_id].cell_run)
        self.submit(self.random.choice(self.templates), 1, call.task_id)

    def _call(self) -> None:
        """Call an actor, if it happens to know one."""
        assert self.running is not None
        self.actors.actors = [object_id for object_id in sorted(self.refs) if object_id in self.world.ledger.actors]
        if self.actors.actors:
            self.flush()
            self.actors.call(self.random.choice([1, 3]))

    def _leave(self) -> None:
        """exit_actor."""
        assert self.running is not None
        assert self.hosted is not None
        self.hosted.leaving = True
        self._end([Failure("actor_died", "left")])
        self.flush()
        self.say(messages.ExitActor(self.hosted.actor_id))
        self.world.end(self, exit_code=0)

    def _wait(self) -> None:
        assert self.running is not None
        waits = {number for number in self._children if self.refs.get(number, b"") is None}
        if waits:
            self.flush()
            self.say(messages.Blocked(self.running.task_id))
            self.blocked_on = waits

    def _wake(self) -> None:
        if self.blocked_on is not None:
            self.blocked_on = {object_id for object_id in self.blocked_on if self.refs.get(object_id, b"") is None}
            if not self.blocked_on:
                assert self.running is not None
                self.blocked_on = None
                self.say(messages.Unblocked(self.running.task_id))

    def _keep(self) -> None:
        """Hold on to a dependency, or let go of what it holds."""
        fresh = [object_id for object_id in self._deps if object_id not in self.refs]
        if fresh:
            self.say(messages.Held(fresh))
            assert self.running is not None
            self.refs.update((object_id, value) for object_id, value in self.running.deps if object_id in fresh)
        else:
            self.release(self.some(3))

    def _large(self) -> None:
        self.writing = (self.random.choice([3000, 300_000]), self.some(1))
        self._allocations += 1
        self.say(messages.Allocate(self._allocations, self.writing[0]))

    def _store(self, message: messages.Granted | messages.Refused) -> None:
        if self.writing is None or message.request_id != self._allocations:  # interrupted while it waited
            if isinstance(message, messages.Granted):
                self.say(messages.GiveBack(message.offset))
            return
        size, nested = self.writing
        self.writing = None
        if isinstance(message, messages.Refused):
            self._end([Failure("store_full", "full")])
            return
        self.world.arena.write(self.process_id, message.offset, size)
        if self.producer is not None and not self.producer.done:
            self.producer.send([Stored(message.offset, size, nested)])
        elif self._returns() == 1 and self.producer is None:
            self._end([Stored(message.offset, size, nested)])
        else:
            self.say(messages.GiveBack(message.offset))

    def _finish(self) -> None:
        assert self.running is not None
        name = self.running.task_id.to_bytes(8, "big") + bytes([self.running.attempt])
        values: list[Value] = [name + bytes([place]) for place in range(self._returns())]
        if values and self.refs and self.random.random() < 0.3:
            values[0] = Inline(name + b"\0", self.some(2))
        self._end(values)

    def _fail(self) -> None:
        self._end([Failure("exception", "no luck", "ValueError")])

    def _retry(self) -> None:
        self._end([Failure("exception", "try again", "OSError", retriable=True)])

    def _returns(self) -> int:
        assert self.running is not None
        return abs(self.known[self.running.template_id].num_returns)

    def _end(self, values: list[Value]) -> None:
        spec = self.running
        assert spec is not None
        self.reader.needed.clear()
        for object_id, value in spec.deps:
            self.world.arena.read(object_id, value)
        if self.hosted is not None and not self.created:
            self.created = not isinstance(values[0], Failure)
            self.world.ledger.finish(spec, [Inline(b"", [])] if self.created else values)
            self.reports.append(messages.TaskResult(spec.task_id, values, 5))
        else:
            self.report(spec, values)
        self.running = None
        self.producer = None
        self.stubborn = False
        self.program.clear()
        if self.random.random() < 0.5:
            self.release([object_id for object_id in sorted(self.refs) if self.refs[object_id] is not None])

    def report(self, spec: messages.RunSpec, values: list[Value]) -> None:
        """The task has ended so."""
        self.world.ledger.finish(spec, values)
        for place, value in enumerate(values):
            self.world.arena.seal(ObjectId(spec.task_id + place), value)
        self.reports.append(messages.TaskResult(spec.task_id, values, self.random.choice([5, 50, 5000])))

    def _forget(self, message: messages.Forget) -> None:
        inside = [*self.hosted.waiting, *self.hosted.under_way.values()] if self.hosted is not None else []
        used = {spec.template_id for spec in (*self.queue, *inside)} | ({self.running.template_id} if self.running else set())
        for number in message.template_ids:
            assert number not in used, "a template that is in use was forgotten"
            del self.known[number]
        self.functions -= set(message.function_keys)

    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return self.running is None and not self.queue and not self.reports and (self.hosted is None or self.hosted.idle())
