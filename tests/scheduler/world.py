"""Everything around one scheduler: processes, links, a zygote, a disk and a clock, all drawn from one seed.

Between two processes messages keep their order; between different ones anything may come first. What a link had not
delivered when it broke is lost from its end on. Time stands still while something can move, else it goes on to the next
deadline.
"""

from __future__ import annotations

import copy
import hashlib
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from nbray.config import ClusterConfig
from nbray.ids import NO_TASK, ProcessId, TaskId
from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import (
    Action,
    Admit,
    Drop,
    Fork,
    Punch,
    RemoveSpilled,
    Restore,
    Send,
    SetCancelWord,
    Signal,
    Spill,
    StopCluster,
)
from nbray.scheduler.events import Event, Joined, Left, MemoryUsed, Received, Started, Tick, WorkerExited, WorkerForked
from nbray.scheduler.scheduler import Scheduler
from nbray.scheduler.states import GangState
from nbray.store.allocator import Allocator
from tests.scheduler.audit import AUDITS, audit
from tests.scheduler.ledger import Ledger, SimulatedArena
from tests.scheduler.promises import Promises
from tests.scheduler.simulated import ORDERS, Simulated
from tests.scheduler.simulated_disk import SimulatedDisk
from tests.scheduler.simulated_drivers import SimulatedDriver
from tests.scheduler.simulated_faults import Faults
from tests.scheduler.simulated_workers import SimulatedWorker

if TYPE_CHECKING:
    from tests.scheduler.coverage import Coverage

EPOCH = "sim"
AUDIT_EVERY = 6
"""After so many events one of the seven audits, in turn: each is done every 42 events, and all at once in calm."""
JOBS = "a.ipynb", "b.ipynb"
MakeScheduler = Callable[[ClusterConfig, Allocator], Scheduler]
_MOVE_SECONDS = 0.0, 1e-5, 1e-3
_T = TypeVar("_T")
_encode = msgspec.msgpack.Encoder().encode


class Chance(random.Random):
    """The only source of chance; `choice` at a third of the price, the bias of 2**-53 included."""

    def choice(self, seq: Sequence[_T]) -> _T:  # type: ignore[override]
        """One of them."""
        return seq[int(self.random() * len(seq))]


class World:
    """One scheduler and all that it has to do with."""

    def __init__(self, seed: int, make_scheduler: MakeScheduler = Scheduler, coverage: Coverage | None = None) -> None:
        self.random = draw = Chance(seed)
        self.coverage = coverage
        self.gpus = draw.choice([0, 0, 2])
        self.with_actors = draw.random() < 0.7
        workers = draw.choice([1, 2, 2, 4])
        self.cpus = workers
        self.roomy = draw.choice([10, 20, 20, 60])
        """How many tasks a notebook has under way, and objects it holds, before it submits no more and lets go of some."""
        self.heavy = draw.random() < 0.4
        """Its notebooks put many large objects."""
        spill_directory = draw.choice(["", "/disk", "/disk"])
        limit = draw.choice([1, 1 if spill_directory else 64]) * 1024 * 1024
        config = ClusterConfig(
            epoch=EPOCH, run_directory="/run", num_workers=workers, store_limit=limit, linger=30.0, output_limit=64,
            spill_directory=spill_directory,
            resources={CPU: workers * UNIT, "disk": UNIT} | ({GPU: self.gpus * UNIT} if self.gpus else {}),
        )  # fmt: skip
        self.scheduler = make_scheduler(config, Allocator(limit, 4 * limit))
        if coverage is not None:
            coverage.watch(self.scheduler)
        self.ledger = Ledger()
        self.promises = Promises(self)
        self.arena = SimulatedArena()
        self.disk = SimulatedDisk(self)
        self.faults = Faults(self)
        self.now = 0.0
        self.events = 0
        self.digest = hashlib.blake2b()
        self.stopped = ""
        self.workers: dict[int, SimulatedWorker] = {}
        self.drivers: list[SimulatedDriver] = []
        self.processes: dict[ProcessId, Simulated] = {}
        self.strangers: set[ProcessId] = set()
        """Those that must not be let in."""
        self.cancel_words: dict[int, TaskId] = {}
        self.words: dict[int, TaskId] = {}
        self.seen: Counter[str] = Counter()
        """What happened that is worth counting."""
        self.late: list[Received] = []
        """Some messages, to come again when their sender is gone."""
        self.signalled: list[int] = []
        """The slots of the last signals."""
        self.zygote_stalled_until = 0.0
        self._closing: deque[Simulated] = deque()
        """Links that are broken and whose last messages have not all been read."""
        self._zygote: deque[Event] = deque()
        self._next_process = 1
        self._next_pid = 100
        self._audit_at = AUDIT_EVERY
        self._audits: list[Callable[[], None]] = [
            *(partial(each, self.scheduler) for each in AUDITS), self._audit_bytes, self.promises.check,
        ]  # fmt: skip
        self.do(Started())
        for job in JOBS:
            self.join_driver(job)

    @property
    def options(self) -> str:
        """What this world was drawn to be."""
        config = self.scheduler._config
        store = f"{self.cpus} CPUs, {self.gpus} GPUs, actors: {self.with_actors}, store: {config.store_limit >> 20} MiB"
        store += f", up to {self.roomy} of each"
        return f"{store}, spilling: {bool(config.spill_directory)}, faults: {self.faults.mix}"

    # ---------------------------------------------------------------- events and actions

    def do(self, event: Event) -> None:
        """One event, and what the scheduler makes of it."""
        if self.coverage is not None:
            self.coverage.event(event)
        actions = self.scheduler.handle(event, self.now)
        self.digest.update(_encode((self.now, type(event).__name__, event, actions)))
        self.events += 1
        for action in actions:
            self._carry_out(action)
        if self.events >= self._audit_at:
            self._audit_at = self.events + AUDIT_EVERY
            self._audits[self.events // AUDIT_EVERY % len(self._audits)]()

    def _carry_out(self, action: Action) -> None:
        assert not self.stopped, "an action after StopCluster"
        if type(action) is Send:
            process = self.processes[action.process]
            if process.linked:
                process.inbox.append(action.message)
            return
        carry_out: Callable[[Any], None] = _CARRY_OUT[type(action)].__get__(self)
        carry_out(action)

    def _admit(self, action: Admit) -> None:
        assert action.process not in self.strangers, "a stranger was let in"

    def _drop(self, action: Drop) -> None:
        self.strangers.remove(action.process)

    def _fork(self, action: Fork) -> None:
        assert action.slot not in self.workers, "a slot was forked twice"
        self.cancel_words.pop(action.slot, None)
        self.words[action.slot] = NO_TASK
        self._next_pid += 1
        worker = SimulatedWorker(self, self.new_process(), action.slot, action.gpus, action.profile, self._next_pid)
        self.workers[action.slot] = self.processes[worker.process_id] = worker
        self._zygote.append(WorkerForked(action.slot, worker.pid))

    def _signal(self, action: Signal) -> None:
        worker = self.workers.get(action.slot)
        self.signalled.append(action.slot)
        if worker is None or not worker.alive:
            return
        if action.number == 9:
            self.end(worker, signal=9)
        else:
            worker.interrupt()

    def _set_cancel_word(self, action: SetCancelWord) -> None:
        self.cancel_words[action.slot] = action.task_id

    def _punch(self, action: Punch) -> None:
        self.arena.wipe(action.offset, action.size)

    def _give_disk(self, action: Spill | Restore | RemoveSpilled) -> None:
        self.disk.jobs.append(action)

    def _stop(self, action: StopCluster) -> None:
        self.stopped = action.reason

    # ---------------------------------------------------------------- processes

    def new_process(self) -> ProcessId:
        """A number that was never used."""
        self._next_process += 1
        return ProcessId(self._next_process - 1)

    def join_driver(self, job: str) -> SimulatedDriver:
        """A notebook opens."""
        driver = SimulatedDriver(self, self.new_process(), job)
        self.drivers.append(driver)
        self.processes[driver.process_id] = driver
        self.do(Joined(driver.process_id, messages.Hello("driver", 1, messages.PROTOCOL, EPOCH, job)))
        return driver

    def start(self, worker: SimulatedWorker, spec: messages.RunSpec) -> None:
        """A worker begins a task: it writes the word first."""
        hosted = worker.hosted
        if hosted is None or not (hosted.concurrent and worker.created):
            self.words[worker.slot] = spec.task_id
        if hosted is not None and worker.created:
            self.ledger.start_call(hosted.actor_id, spec)
            self.seen["calls"] += 1
            return
        if hosted is not None:
            self.ledger.create(hosted.actor_id, spec)
            self.seen["restarts"] += spec.attempt > 1
        else:
            self.ledger.start(spec)
        needs = worker.known[spec.template_id].resources
        assert bool(worker.gpus) == bool(needs.get(GPU)), "a GPU task runs where there is none, or the other way round"
        assert len(worker.gpus) * UNIT >= needs.get(GPU, 0)
        assert worker.profile == worker.known[spec.template_id].profile, "a task runs in another environment than it asked for"
        self._check_gang(worker, spec)

    def _check_gang(self, worker: SimulatedWorker, spec: messages.RunSpec) -> None:
        """A task of a gang runs once that is reserved, on the GPUs of its bundles."""
        template = worker.known[spec.template_id]
        gang = self.scheduler._gangs.gangs.get(template.gang)
        if gang is not None:
            assert gang.state is GangState.RESERVED
            bundles = gang.bundles if template.bundle < 0 else [gang.bundles[template.bundle]]
            assert any(set(worker.gpus) <= set(bundle.gpus) for bundle in bundles)
            self.seen["in a gang"] += 1

    def cut(self, process: Simulated, *, lossy: bool = True) -> None:
        """The link of a process breaks; from some message on nothing that it had said arrives."""
        process.linked = False
        if lossy:
            for _ in range(self.random.randint(0, len(process.outbox))):
                process.outbox.pop()
        process.inbox.clear()
        self._closing.append(process)

    def end(self, process: Simulated, *, exit_code: int | None = None, signal: int | None = None, memory: int = 0) -> None:
        """A process is gone; some of what it wanted to say never left it."""
        assert process.alive
        process.alive = False
        process.ended_by = signal
        if process.linked:
            self.cut(process, lossy=exit_code is None)
        if isinstance(process, SimulatedWorker):
            word = self.words[process.slot]
            self._zygote.append(WorkerExited(process.slot, exit_code, signal, word, "last lines", memory))
        else:
            self.drivers.remove(process)  # type: ignore[arg-type]

    def check_answer(self, named: int, body: bytes) -> None:
        """Every task that a cancel named is counted once, though it may be named by several of its returns."""
        counts = msgspec.msgpack.decode(body, type=dict[str, int])
        assert set(counts) == {"cancelled", "finished", "stopping"}
        assert (named > 0) <= sum(counts.values()) <= named, (named, counts)

    def crowded(self) -> bool:
        """Whether as many tasks are under way as there should be."""
        return sum(run.live for run in self.scheduler._jobs.runs()) > 2 * self.roomy

    # ---------------------------------------------------------------- steps

    def step(self) -> None:
        """One thing of the faulty phase."""
        draw = self.random.random()
        if draw < self.faults.rate:
            self.faults.strike()
        elif draw < 0.08:
            self._act()
        elif draw < 0.1:
            self.pass_time()
        elif not self.move():
            (self._act if draw < 0.5 else self.pass_time)()

    def _act(self) -> None:
        driver = self.random.choice(self.drivers)
        if driver.stalled_until <= self.now:
            driver.act()

    def move(self) -> bool:
        """One step of one process, of the zygote or the disk, whoever comes first after a random one; False when none can."""
        draw = self.random.random
        self.now += _MOVE_SECONDS[int(draw() * 3)]
        self._tick()
        now, movers = self.now, [None, *self.workers.values(), *self.drivers]
        first, order = int(draw() * len(movers)), int(draw() * 6)
        for process in movers[first:] + movers[:first]:
            if process is None:
                if self._move_others(now, order):
                    return True
            elif process.alive and process.stalled_until <= now and process.move(now, order):
                return True
        return False

    def _move_others(self, now: float, order: int) -> bool:
        """One step of what is no process."""
        for which in ORDERS[order]:
            if which == 0 and self._zygote and self.zygote_stalled_until <= now:
                return self._hear_zygote()
            if which == 1 and self._closing:
                return self._hear_dead()
            if which == 2 and self.disk.jobs and self.disk.stalled_until <= now:
                return self.disk.step()
        return False

    def hear(self, process: Simulated) -> None:
        """The next message of a process arrives."""
        event = Received(process.process_id, process.outbox.popleft())
        if self.random.random() < 0.01:
            self.late.append(copy.deepcopy(event))
        self.do(event)

    def _hear_dead(self) -> bool:
        process = self._closing[0]
        if not process.joined:
            self._closing.popleft()
        elif process.outbox:
            self.hear(process)
        else:
            self._closing.popleft()
            self.do(Left(process.process_id))
        return True

    def _hear_zygote(self) -> bool:
        event = self._zygote.popleft()
        if isinstance(event, WorkerExited):
            del self.workers[event.slot]
        self.do(event)
        return True

    def _tick(self) -> None:
        deadline = self.scheduler.next_deadline()
        if deadline is not None and deadline <= self.now:
            self.do(Tick())

    def pass_time(self) -> bool:
        """Go to the next deadline; False when there is none."""
        deadline = self.scheduler.next_deadline()
        until = min(self.faults.next_end(self.now), float("inf") if deadline is None else deadline)
        if not self.faults.on and self.scheduler._memory_guard._held:  # the process around looks at the memory every second
            self.do(MemoryUsed(1 << 40, 1 << 40, {}))
        if until == float("inf"):
            return False
        if self.faults.on and not all(worker.joined for worker in self.workers.values()):
            until = min(until, self.now + 1.0)  # a start takes a while, not a minute
        self.now = max(self.now, min(until, self.now + 100.0))
        self._tick()
        return True

    def audit(self) -> None:
        """Recount the scheduler's tables, and read what every process holds."""
        audit(self.scheduler)
        self.promises.check()
        self._audit_bytes()

    def _audit_bytes(self) -> None:
        read = self.arena.read
        for process in (*self.workers.values(), *self.drivers):
            if process.alive and process.linked:
                for object_id, value in process.refs.items():
                    if type(value) is messages.Stored:
                        read(object_id, value)


_CARRY_OUT: dict[type, Any] = {
    Admit: World._admit, Drop: World._drop, Fork: World._fork, Signal: World._signal, SetCancelWord: World._set_cancel_word,
    Punch: World._punch, Spill: World._give_disk, Restore: World._give_disk, RemoveSpilled: World._give_disk,
    StopCluster: World._stop,
}  # fmt: skip
