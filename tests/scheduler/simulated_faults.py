"""What goes wrong in a simulated world: which faults, how often, and for how long, is drawn anew for every seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbray.ids import ProcessId
from nbray.scheduler import messages
from nbray.scheduler.events import Joined, Left, MemoryHeadroom, MemoryUsed, Received, Tick
from nbray.scheduler.states import WorkerState
from tests.scheduler.simulated import Simulated

if TYPE_CHECKING:
    from tests.scheduler.simulated_workers import SimulatedWorker
    from tests.scheduler.world import World

MEBIBYTE = 1 << 20
MOST_SPOILED = 4
"""So many workers in a row may fail to start: one more would end the cluster."""
FREEZES = "stalled", "muted", "deaf"
"""A process that is stopped; one whose messages take long; one that does not read."""


class Faults:
    """Strikes as often, and with the faults, that were drawn for this world."""

    def __init__(self, world: World) -> None:
        self._world = world
        draw = world.random
        self.on = True
        self.mix = {kind: draw.choice([0, 1, 1, 3]) for kind in KINDS}
        self.mix["kill"] += 1
        self.rate = draw.choice([0.003, 0.01, 0.01, 0.03])
        """The part of all steps that are faults."""
        self._bag = [kind for kind, weight in self.mix.items() for _ in range(weight)]
        self._spoiled = 0
        self._ends: list[float] = []

    def strike(self, kind: str = "") -> None:
        """One fault."""
        kind = kind or self._world.random.choice(self._bag)
        _METHODS[kind](self)
        self._world.seen[kind] += 1

    def calm(self) -> None:
        """From now on nothing goes wrong, and what stood still goes on."""
        world = self._world
        self.on = False
        self._ends.clear()
        world.zygote_stalled_until = world.disk.stalled_until = world.disk.full_until = 0.0
        for process in (*world.workers.values(), *world.drivers):
            for freeze in FREEZES:
                setattr(process, f"{freeze}_until", 0.0)
        for worker in world.workers.values():
            if worker.alive and worker.interrupted:
                worker.interrupt()
        world.do(MemoryHeadroom(1 << 40))

    def next_end(self, now: float) -> float:
        """When the next thing that stands still goes on."""
        while self._ends and self._ends[0] <= now:
            heapq.heappop(self._ends)
        return self._ends[0] if self._ends else float("inf")

    def _for(self, seconds: list[float]) -> float:
        """Until so much later."""
        until = self._world.now + self._world.random.choice(seconds)
        heapq.heappush(self._ends, until)
        return until

    def started(self) -> None:
        """A worker has joined: those that failed before it do not count."""
        self._spoiled = 0

    # ---------------------------------------------------------------- processes and links

    def _victim(self) -> SimulatedWorker | None:
        live = [worker for worker in self._world.workers.values() if worker.alive]
        draw = self._world.random.random()
        hosts = [worker for worker in live if worker.hosted is not None]
        busy = [worker for worker in live if worker.running is not None or worker.queue]
        chosen = hosts if hosts and draw < 0.3 else busy if busy and draw < 0.9 else live
        return self._world.random.choice(chosen) if chosen else None

    def _kill(self) -> None:
        worker, draw = self._victim(), self._world.random
        if worker is None:
            return
        self._spoiled = 0 if worker.joined else self._spoiled + 1
        if self._spoiled < MOST_SPOILED:
            code, signal, memory = draw.choice([(None, 9, 0), (None, 11, 0), (3, None, 0), (None, 9, MEBIBYTE)])
            self._world.end(worker, exit_code=code, signal=signal, memory=memory)

    def _cut(self) -> None:
        """The link breaks while the worker works on; it calls again and repeats what it said last, which nobody heeds."""
        worker, world = self._victim(), self._world
        if worker is None or not (worker.joined and worker.linked):
            return
        said = list(worker.outbox)[-3:]
        world.cut(worker)
        hello = messages.Hello("worker", worker.pid, messages.PROTOCOL, world.scheduler._config.epoch, slot=worker.slot)
        again = self._refused(hello)
        for message in said:
            world.do(Received(again, message))

    def _leave(self) -> None:
        """A notebook's kernel ends, and starts again; the new one may take over what the old one left."""
        world, draw = self._world, self._world.random
        driver = draw.choice(world.drivers)
        if draw.random() < 0.3:
            world.do(Received(driver.process_id, messages.Goodbye(stop=draw.random() < 0.7)))
            world.seen["goodbye"] += 1
        world.end(driver, signal=9)
        successor = world.join_driver(driver.job)
        if draw.random() < 0.5:
            successor.take_over(driver.cells)

    def _late(self) -> None:
        """What somebody had said who is gone comes once more."""
        world = self._world
        gone = [event for event in world.late if event.process not in world.scheduler._processes]
        if gone:
            world.do(world.random.choice(gone))

    def _stranger(self) -> None:
        """A process of an older cluster or another release, a worker that nobody waits for, or one that has joined."""
        world, draw = self._world, self._world.random
        epoch, here = world.scheduler._config.epoch, [worker for worker in world.workers.values() if worker.joined]
        hellos = [
            messages.Hello("driver", 1, messages.PROTOCOL, "old", "a.ipynb"),
            messages.Hello("driver", 1, messages.PROTOCOL + 1, epoch, "a.ipynb"),
            messages.Hello("worker", 99, messages.PROTOCOL, "old", slot=0),
            messages.Hello("worker", 99, messages.PROTOCOL, epoch, slot=77),
            *(messages.Hello("worker", worker.pid, messages.PROTOCOL, epoch, slot=worker.slot) for worker in here[:1]),
        ]
        stranger = self._refused(draw.choice(hellos))
        world.do(Received(stranger, messages.Cancel(1, everything=True)))
        world.do(Left(stranger))

    def _refused(self, hello: messages.Hello) -> ProcessId:
        world = self._world
        stranger = world.new_process()
        world.strangers.add(stranger)
        world.do(Joined(stranger, hello))
        assert stranger not in world.strangers, f"nobody answered {hello}"
        return stranger

    def _watcher(self) -> None:
        """Somebody looks, and goes."""
        world = self._world
        number = world.new_process()
        world.processes[number] = Simulated(world, number)
        world.do(Joined(number, messages.Hello("watcher", 1, messages.PROTOCOL, world.scheduler._config.epoch)))
        world.do(Received(number, messages.Ask(1, world.random.choice(["snapshot", "tasks", "objects", "left_work"]), 1)))
        world.do(Left(number))

    # ---------------------------------------------------------------- time

    def _freeze(self) -> None:
        world, draw = self._world, self._world.random
        process: Simulated = draw.choice([*world.workers.values(), *world.drivers])
        setattr(process, f"{draw.choice(FREEZES)}_until", self._for([0.1, 0.1, 1.0, 10.0]))

    def _slow_zygote(self) -> None:
        self._world.zygote_stalled_until = self._for([0.1, 1.0, 3.0])

    def _slow_disk(self) -> None:
        self._world.disk.stalled_until = self._for([0.1, 1.0, 10.0])

    def _full_disk(self) -> None:
        self._world.disk.full_until = self._for([0.1, 1.0, 10.0])

    def _jump(self) -> None:
        """The machine was asleep; workers that were starting have to start again."""
        starting = sum(worker.state is WorkerState.STARTING for worker in self._world.scheduler._fleet.workers.values())
        if self._spoiled + starting < MOST_SPOILED:
            self._spoiled += starting
            self._world.now += self._world.random.choice([2.0, 70.0, 40_000.0])

    def _tick(self) -> None:
        self._world.do(Tick())

    # ---------------------------------------------------------------- memory

    def _headroom(self) -> None:
        self._world.do(MemoryHeadroom(self._world.random.choice([0, 0, 200_000, 1 << 40])))

    def _memory(self) -> None:
        """Memory runs out, or is there again; whoever is ended for it does not use up an attempt."""
        world, draw = self._world, self._world.random
        free = draw.random() < 0.3
        used = {slot: draw.choice([1, 50, 500]) * MEBIBYTE for slot in world.workers}
        inside = {slot: worker.head for slot, worker in world.scheduler._fleet.workers.items()}
        world.signalled.clear()
        world.do(MemoryUsed(1 << 40 if free else 0, 1 << 40 if free else 1 << 30, used))
        for slot in world.signalled:
            task, worker = inside[slot], world.workers[slot]
            world.seen["ended for memory"] += 1
            self._spoiled += not worker.joined
            if task is not None and worker.ended_by == 9:
                world.ledger.spare(task.task_id)


_METHODS: dict[str, Callable[[Faults], None]] = {
    "kill": Faults._kill, "cut": Faults._cut, "leave": Faults._leave, "late": Faults._late, "stranger": Faults._stranger,
    "watcher": Faults._watcher, "freeze": Faults._freeze, "slow zygote": Faults._slow_zygote, "slow disk": Faults._slow_disk,
    "full disk": Faults._full_disk, "clock jump": Faults._jump, "headroom": Faults._headroom, "memory": Faults._memory,
    "needless tick": Faults._tick,
}  # fmt: skip
KINDS = tuple(_METHODS)
