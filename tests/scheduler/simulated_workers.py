"""Simulated workers, whose tasks do a little of everything."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from nbray.ids import NO_TASK, ObjectId, ProcessId, TemplateId
from nbray.ids import object_id as make_object_id
from nbray.scheduler import messages
from nbray.scheduler.events import Joined
from nbray.scheduler.messages import STREAMING, Failure, Inline, Stored, Template, Value
from tests.scheduler.simulated import Simulated
from tests.scheduler.simulated_actors import Hosted
from tests.scheduler.simulated_streams import Producer

if TYPE_CHECKING:
    from tests.scheduler.world import World

FOR_A_THREAD = 900
"""The request of what a lingering thread allocates, and gives back at once."""


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
        self.interrupted = False
        """It was signalled while it was stopped."""
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
        self.lingering = NO_TASK
        """A task that has left a thread behind, which does one thing more."""
        self._allocations = 0
        self._deps: list[ObjectId] = []
        self._children: list[ObjectId] = []

    def hear(self) -> None:
        """Its hello arrives, or the next thing that it has said."""
        if self.joined:
            self.world.hear(self)
            return
        self.joined = True
        self.world.faults.started()
        epoch = self.world.scheduler._config.epoch
        self.world.do(Joined(self.process_id, messages.Hello("worker", self.pid, messages.PROTOCOL, epoch, slot=self.slot)))

    def read(self) -> bool:
        """Take in one message."""
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

    def ready(self) -> bool:
        """Whether `act` may do something."""
        if self.reports or self.lingering:
            return True
        hosted = self.hosted
        if self.running is None:
            if self.queue and (hosted is None or not hosted.leaving):
                return True
            return hosted is not None and bool(hosted.waiting or hosted.under_way)
        stubborn = self.stubborn and self.world.faults.on
        if stubborn or self.blocked_on is not None or self.writing is not None or self.reader.needed:
            return False
        return self.producer is None or not self.producer.paused or self.reader.failed

    def move(self, now: float, order: int) -> bool:
        """One step; of an idle worker this is known at once."""
        heard = self.joined and not (self.inbox or self.outbox)
        if heard and self.running is None and self.hosted is None and not (self.queue or self.reports or self.lingering):
            return False
        return super().move(now, order)

    def act(self) -> bool:
        """One step of the running task, or the start of the next."""
        if self.reports and (self.random.random() < 0.4 or (self.running is None and not self.queue)):
            self.flush()
            return True
        if self.lingering and self.random.random() < 0.5:
            self._linger()
            return True
        if self.running is None:
            return self._start() or (self.hosted is not None and self.hosted.act())
        if self.blocked_on is not None or self.writing is not None or (self.stubborn and self.world.faults.on):
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

    def _linger(self) -> None:
        """A thread that a task has left behind does what it may do at any time, also while another task waits."""
        left, self.lingering = self.lingering, NO_TASK
        what = self.random.choice(["print", "submit", "release", "allocate", "subscribe", "call", "hold", "fetch"])
        on_disk = self.reader.on_disk() if what == "fetch" else []
        if what == "print":
            self.say(messages.Output(left, "stdout", b"later"))
        elif what == "submit" and self.templates:
            self.flush()
            self.submit(self.random.choice(self.templates), 1)
        elif what == "fetch" and on_disk:
            self.reader.fetch(on_disk[0])
        elif what == "call" and self._knows_actors():
            self.flush()
            self.actors.call(1)
        elif what == "allocate":
            self.say(messages.Allocate(FOR_A_THREAD, 100))
        elif what == "hold":
            self.say(messages.Held(self._deps))
            self.say(messages.Released([number for number in self._deps if number not in self.refs]))
        elif what == "subscribe":
            self.subscribe(self.some(1))
        else:  # what the task waits for, it holds
            self.release([number for number in self.some(1) if number not in (self.blocked_on or ())])

    def flush(self) -> None:
        """Report what has ended."""
        if self.reports:
            self.say(messages.Finished(self.reports))
            self.reports = []

    def interrupt(self) -> None:
        """SIGINT: it hits the running task if that is the one in the cancel word."""
        self.interrupted = self.stalled_until > self.world.now
        if self.interrupted:
            return
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
        self.stubborn = self.world.faults.on and draw.random() < 0.05
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
        if self._knows_actors():
            self.flush()
            self.actors.call(self.random.choice([1, 3]))

    def _knows_actors(self) -> bool:
        self.actors.actors = [object_id for object_id in sorted(self.refs) if object_id in self.world.ledger.actors]
        return bool(self.actors.actors)

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
            if self.random.random() < 0.2:
                self.lingering = self.running.task_id

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
        if self.writing is None or message.request_id != self._allocations:  # a thread's, or it was interrupted meanwhile
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
        if self.random.random() < 0.04:
            self.lingering = spec.task_id
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
