"""A seeded world around the scheduler: workers die and stall, drivers cancel and leave, the store is full.

Two phases: faults, then calm. After the calm everything that was accepted must have ended, and after the last reference
nothing may be left. `python -m tests.scheduler.simulation --seeds 1000 --events 2000` runs more of it; a failure prints its seed.

    I1  every accepted task has exactly one outcome, the same for everybody
    I2  an attempt runs once; no more attempts than 1 + max_retries
    I3  the items of a stream come in order, each exactly once, and all of them where it succeeds
    I4  resources: what is held and what is free add up at all times, and all is free in the end
    I5  the store's bytes are those of live objects; a held object's bytes are its own; nothing is left in the end
    I7  in calm, everything ends
    I12 the same seed gives the same events and actions, byte for byte
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import random
from collections import Counter, deque
from collections.abc import Callable
from functools import partial

import msgspec

from nbray.config import ClusterConfig
from nbray.ids import NO_TASK, ProcessId, TaskId
from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import (
    Action,
    Admit,
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
from nbray.scheduler.events import Event, Joined, Left, Received, Started, Tick, WorkerExited, WorkerForked
from nbray.scheduler.gangs import LOOK_SECONDS
from nbray.scheduler.scheduler import Scheduler
from nbray.scheduler.states import GangState
from nbray.store.allocator import Allocator
from tests.scheduler.audit import audit, pending_tasks
from tests.scheduler.ledger import Ledger, SimulatedArena
from tests.scheduler.simulated import Simulated, SimulatedDriver, SimulatedWorker
from tests.scheduler.simulated_disk import SimulatedDisk

EPOCH = "sim"
AUDIT_EVERY = 25
MOST_CALM_STEPS = 100_000
LONG_QUIET = 16
"""Deadlines that pass without anything being done: somebody holds what others wait for."""


class World:
    """Everything around one scheduler."""

    def __init__(self, seed: int, make_scheduler: Callable[[ClusterConfig, Allocator], Scheduler] = Scheduler) -> None:
        self.random = random.Random(seed)
        self.faults = True
        self.gpus = self.random.choice([0, 0, 2])
        self.with_actors = self.random.random() < 0.7
        workers = self.random.choice([1, 2, 2, 4])
        self.cpus = workers
        spill_directory = self.random.choice(["", "/disk", "/disk"])
        limit = self.random.choice([1, 1 if spill_directory else 64]) * 1024 * 1024
        config = ClusterConfig(
            epoch=EPOCH, run_directory="/run", num_workers=workers, store_limit=limit, linger=30.0, output_limit=64,
            spill_directory=spill_directory,
            resources={CPU: workers * UNIT, "disk": UNIT} | ({GPU: self.gpus * UNIT} if self.gpus else {}),
        )  # fmt: skip
        self.scheduler = make_scheduler(config, Allocator(limit, 4 * limit))
        self.ledger = Ledger()
        self.arena = SimulatedArena()
        self.disk = SimulatedDisk(self)
        self.now = 0.0
        self.events = 0
        self.digest = hashlib.blake2b()
        self.stopped = ""
        self.workers: dict[int, SimulatedWorker] = {}
        self.drivers: list[SimulatedDriver] = []
        self.processes: dict[ProcessId, Simulated] = {}
        self.cancel_words: dict[int, TaskId] = {}
        self.words: dict[int, TaskId] = {}
        self.faults_done: Counter[str] = Counter()
        self._closing: deque[Simulated] = deque()
        """Dead processes whose last messages have not all been read."""
        self._zygote: deque[Event] = deque()
        self._late: list[Received] = []
        self._next_process = 1
        self._next_pid = 100
        self._starts_spoiled = 0
        self.do(Started())
        for job in ("a.ipynb", "b.ipynb"):
            self.join_driver(job)

    # ---------------------------------------------------------------- events and actions

    def do(self, event: Event) -> None:
        """One event, and what the scheduler makes of it."""
        actions = self.scheduler.handle(event, self.now)
        self.digest.update(msgspec.msgpack.encode((self.now, type(event).__name__, event, actions)))
        self.events += 1
        for action in actions:
            self._carry_out(action)
        if self.events % AUDIT_EVERY == 0:
            self.audit()

    def _carry_out(self, action: Action) -> None:
        assert not self.stopped, "an action after StopCluster"
        if isinstance(action, Send):
            process = self.processes[action.process]
            if process.alive:
                process.inbox.append(action.message)
        elif isinstance(action, Fork):
            self._fork(action)
        elif isinstance(action, Signal):
            self._signal(action)
        elif isinstance(action, SetCancelWord):
            self.cancel_words[action.slot] = action.task_id
        elif isinstance(action, Punch):
            self.arena.wipe(action.offset, action.size)
        elif isinstance(action, (Spill, Restore, RemoveSpilled)):
            self.disk.jobs.append(action)
        elif isinstance(action, StopCluster):
            self.stopped = action.reason
        else:
            assert isinstance(action, Admit), action

    def _fork(self, action: Fork) -> None:
        assert action.slot not in self.workers, "a slot was forked twice"
        self.cancel_words.pop(action.slot, None)
        self.words[action.slot] = NO_TASK
        self._next_pid += 1
        worker = SimulatedWorker(
            self, self.new_process(), action.slot, action.gpus, action.profile, self._next_pid
        )  # fmt: skip
        self.workers[action.slot] = self.processes[worker.process_id] = worker
        self._zygote.append(WorkerForked(action.slot, worker.pid))

    def _signal(self, action: Signal) -> None:
        worker = self.workers.get(action.slot)
        if worker is None or not worker.alive:
            return
        if action.number == 9:
            self.end(worker, signal=9)
        else:
            worker.interrupt()

    # ---------------------------------------------------------------- processes

    def new_process(self) -> ProcessId:
        """A number that was never used."""
        self._next_process += 1
        return ProcessId(self._next_process - 1)

    def join_driver(self, job: str) -> None:
        """A notebook opens."""
        driver = SimulatedDriver(self, self.new_process(), job)
        self.drivers.append(driver)
        self.processes[driver.process_id] = driver
        self.do(Joined(driver.process_id, messages.Hello("driver", 1, messages.PROTOCOL, EPOCH, job)))

    def start(self, worker: SimulatedWorker, spec: messages.RunSpec) -> None:
        """A worker begins a task: it writes the word first."""
        hosted = worker.hosted
        if hosted is None or not (hosted.concurrent and worker.created):
            self.words[worker.slot] = spec.task_id
        if hosted is not None and worker.created:
            self.ledger.start_call(hosted.actor_id, spec)
            self.faults_done["calls"] += 1
            return
        if hosted is not None:
            self.ledger.create(hosted.actor_id, spec)
            self.faults_done["restarts"] += spec.attempt > 1
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
            self.faults_done["in a gang"] += 1

    def end(self, process: Simulated, *, exit_code: int | None = None, signal: int | None = None) -> None:
        """A process is gone; some of what it wanted to say never left it."""
        assert process.alive
        process.alive = False
        if exit_code is None:
            for _ in range(self.random.randint(0, len(process.outbox))):
                process.outbox.pop()
        self._closing.append(process)
        if isinstance(process, SimulatedWorker):
            word = self.words[process.slot]
            self._zygote.append(WorkerExited(process.slot, exit_code, signal, word, "last lines"))
        else:
            self.drivers.remove(process)  # type: ignore[arg-type]

    def check_answer(self, named: int, body: bytes) -> None:
        """Every task that a cancel named is counted once, though it may be named by several of its returns."""
        counts = msgspec.msgpack.decode(body, type=dict[str, int])
        assert set(counts) == {"cancelled", "finished", "stopping"}
        assert (named > 0) <= sum(counts.values()) <= named, (named, counts)

    # ---------------------------------------------------------------- steps

    def run(self, steps: int) -> None:
        """Both phases, then the end."""
        for _ in range(steps):
            self._fault_step()
        self.faults = False
        for job in ("a.ipynb", "b.ipynb"):
            if job not in [driver.job for driver in self.drivers]:
                self.join_driver(job)
        for process in (*self.drivers, *self.workers.values()):
            process.streams.catch_up()
        self._settle()
        self._check_all_ended()
        for process in (*self.drivers, *self.workers.values()):
            process.leave_tidily()
        self._settle()
        self._check_nothing_left()
        self._check_end()

    def _fault_step(self) -> None:
        draw = self.random.random()
        if draw < 0.01:
            self._fault()
        elif draw < 0.08:
            self.random.choice(self.drivers).act()
        elif draw < 0.1 or not self._move():
            self._pass_time()

    def _fault(self) -> None:
        kind = self.random.choice(["kill", "kill", "kill", "leave", "late"])
        live = [worker for worker in self.workers.values() if worker.alive]
        if kind == "kill" and live:
            hosts = [worker for worker in live if worker.hosted is not None]
            worker = self.random.choice(hosts if hosts and self.random.random() < 0.7 else live)
            self._starts_spoiled = 0 if worker.joined else self._starts_spoiled + 1
            if self._starts_spoiled < 4:
                code, signal = self.random.choice([(None, 9), (None, 11), (3, None)])
                self.end(worker, exit_code=code, signal=signal)
        elif kind == "leave":
            driver = self.random.choice(self.drivers)
            if self.random.random() < 0.3:
                self.do(Received(driver.process_id, messages.Goodbye(stop=True)))
                self.faults_done["goodbye"] += 1
            self.end(driver, signal=9)
            self.join_driver(driver.job)
        elif kind == "late":
            gone = [event for event in self._late if event.process not in self.scheduler._processes]
            if gone:
                self.do(self.random.choice(gone))
        self.faults_done[kind] += 1

    def _move(self) -> bool:
        """One step of one process or of the zygote, chosen at random among those that can; False when none can."""
        self.now += self.random.choice([0.0, 1e-5, 1e-3])
        self._tick()
        movers: list[Callable[[], bool]] = [self._hear_zygote, self._hear_dead, self.disk.step]
        for process in (*self.workers.values(), *self.drivers):
            if process.alive:
                movers += [partial(self._hear, process), process.read]
                if isinstance(process, SimulatedWorker):
                    movers.append(process.act)
        self.random.shuffle(movers)
        return any(mover() for mover in movers)

    def _hear(self, process: Simulated) -> bool:
        if isinstance(process, SimulatedWorker) and not process.joined:
            process.joined = True
            self._starts_spoiled = 0
            hello = messages.Hello("worker", process.pid, messages.PROTOCOL, EPOCH, slot=process.slot)
            self.do(Joined(process.process_id, hello))
            return True
        if not process.outbox:
            return False
        event = Received(process.process_id, process.outbox.popleft())
        if self.random.random() < 0.01:
            self._late.append(copy.deepcopy(event))
        self.do(event)
        return True

    def _hear_dead(self) -> bool:
        if not self._closing:
            return False
        process = self._closing[0]
        if isinstance(process, SimulatedWorker) and not process.joined:
            self._closing.popleft()
        elif process.outbox:
            self._hear(process)
        else:
            self._closing.popleft()
            self.do(Left(process.process_id))
        return True

    def _hear_zygote(self) -> bool:
        if not self._zygote:
            return False
        event = self._zygote.popleft()
        if isinstance(event, WorkerExited):
            del self.workers[event.slot]
        self.do(event)
        return True

    def _tick(self) -> None:
        deadline = self.scheduler.next_deadline()
        if deadline is not None and deadline <= self.now:
            self.do(Tick())

    def _pass_time(self) -> bool:
        """Go to the next deadline; False when there is none."""
        deadline = self.scheduler.next_deadline()
        if deadline is None:
            return False
        if self.faults and not all(worker.joined for worker in self.workers.values()):
            deadline = min(deadline, self.now + 1.0)  # a start takes a while, not a minute
        self.now = max(self.now, min(deadline, self.now + 100.0))
        self._tick()
        return True

    # ---------------------------------------------------------------- checks

    def audit(self) -> None:
        """Recount the scheduler's tables, and read what every process holds."""
        audit(self.scheduler)
        for process in (*self.workers.values(), *self.drivers):
            for object_id, value in process.refs.items() if process.alive else ():
                if value is not None:
                    self.arena.read(object_id, value)

    def _settle(self) -> None:
        """Calm: go on until nothing moves and nothing is pending."""
        quiet = 0
        for _ in range(MOST_CALM_STEPS):
            if self._move():
                quiet = 0
                continue
            quiet += 1
            if quiet % LONG_QUIET == 0 and (self._kill_actor() or self._remove_gang()):
                continue
            busy = any(not worker.idle() for worker in self.workers.values()) or any(one.writing for one in self.drivers)
            if not busy and not pending_tasks(self.scheduler) and not self.scheduler._gangs.pending:
                return
            if not self._pass_time() and not self._remove_gang() and not self._kill_actor():
                break
        raise AssertionError(f"I7: these never end: {pending_tasks(self.scheduler)}, {self.scheduler._gangs.pending}")

    def _kill_actor(self) -> bool:
        """What others wait for may be an actor's for as long as somebody has a handle; False when no actor has any.

        One that is to end after its calls counts: these may wait for tasks that need what it holds.
        """
        for worker in self.scheduler._fleet.hosts.values():
            actor = worker.actor
            lives_on = actor is not None and (actor.death is None or actor.draining)
            if actor is not None and lives_on and worker.shape is not None and worker.shape.amounts:
                self.drivers[0].say(messages.KillActor(actor.actor_id))
                return True
        return False

    def _remove_gang(self) -> bool:
        """What others wait for may be set aside, and whoever did that removes it in the end; False when nothing is."""
        reserved = [gang.gang_id for gang in self.scheduler._gangs.gangs.values() if gang.state is GangState.RESERVED]
        if reserved:
            self.drivers[0].say(messages.RemoveGang(reserved[0]))
        return bool(reserved)

    def _check_all_ended(self) -> None:
        self.audit()
        for driver in self.drivers:
            unknown = [object_id for object_id, value in driver.refs.items() if value is None]
            assert not unknown, f"I1: process {driver.process_id} was never told of {unknown}"
            assert not driver.requests, "a cancel was never answered"

    def _check_nothing_left(self) -> None:
        """I4 and I5 once every reference is gone; those of lost drivers live in the records of their cell runs."""
        scheduler = self.scheduler
        for run in list(scheduler._jobs.runs()):
            scheduler._jobs.release(run)
        self._end_actors()
        self.now += LOOK_SECONDS
        self.do(Tick())  # by then every gang was looked at that nobody holds
        assert not scheduler._gangs.gangs, "gangs are left that nobody holds"
        self.audit()
        self._check_only_circles()
        assert scheduler._spilling.places or not (self.disk.copies or self.disk.jobs), "files are left on the disk"
        assert scheduler._pool.available == scheduler._pool.total, "I4: resources are left"
        assert not any(process.held for process in scheduler._processes.values())
        assert scheduler._registry.counts() == (0, 0), "functions or templates are left"
        assert not scheduler._cancels.unanswered

    def _end_actors(self) -> None:
        """Without handles only detached actors are left, and those that are in circles or among arguments for restarts."""
        self.do(Tick())
        self._settle()
        contained = {object_id for entry in self.scheduler._objects.entries.values() for object_id in entry.nested or ()}
        contained |= {object_id for actor in self.scheduler._calls.table.values() for object_id in actor.pinned}
        for actor in list(self.scheduler._calls.table.values()):
            assert actor.spec.detached or actor.actor_id in contained, f"nobody has a handle of {actor}"
            self.drivers[0].say(messages.KillActor(actor.actor_id))
        self._settle()
        assert not self.scheduler._fleet.hosts, "workers still host actors"
        assert self.scheduler._fleet.active() >= self.scheduler._fleet.least, "workers are missing"

    def _check_only_circles(self) -> None:
        """I5: what counting references cannot free, objects that contain each other, is all that may be left."""
        entries = self.scheduler._objects.entries
        contained = {object_id for entry in entries.values() for object_id in entry.nested or ()}
        assert set(entries) <= contained, f"I5: objects are left: {[entries[number] for number in set(entries) - contained]}"
        assert entries or self.scheduler._extents.used == 0, "I5: bytes are left"
        self.faults_done["circles"] += bool(entries)

    def _check_end(self) -> None:
        """The last driver leaves: the cluster lingers, then ends."""
        while self.drivers:
            self.end(self.drivers[0], exit_code=0)
        while self._move():
            assert not self.stopped
        left = self.now
        while not self.stopped:
            assert self._pass_time(), "the cluster does not end"
        assert self.now >= left + 29, self.stopped


def run(seed: int, steps: int, make_scheduler: Callable[[ClusterConfig, Allocator], Scheduler] = Scheduler) -> World:
    """One whole life; raises AssertionError or InternalError with the seed when a rule is broken."""
    world = World(seed, make_scheduler)
    try:
        world.run(steps)
    except Exception as error:
        error.add_note(f"seed {seed}, {steps} steps, after {world.events} events")
        raise
    return world


def main() -> None:
    """Run many seeds and print what they covered."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--events", type=int, default=1000, help="steps of the faulty phase")
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    events = 0
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        world = run(seed, arguments.events)
        outcomes += world.ledger.outcomes
        faults += world.faults_done
        events += world.events
    print(f"{arguments.seeds} seeds, {events:,} events; outcomes seen: {dict(outcomes)}; faults: {dict(faults)}")


if __name__ == "__main__":
    main()
