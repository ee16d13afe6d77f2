"""The workers: their slots, from fork to end, and how many of them there should be."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from nbray.ids import ObjectId, ProcessId
from nbray.scheduler.actions import Fork, Signal
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.messages import Exit, Hello
from nbray.scheduler.pool import Shape
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.states import WorkerState, move_worker
from nbray.scheduler.worker_records import Worker, cause

if TYPE_CHECKING:
    from nbray.scheduler.actor_records import Actor

FAILED_STARTS = 5
"""So many workers in a row that end before they join end the cluster, instead of forking for ever."""
KILLED_STARTS = 50
"""So many where somebody outside has killed them, which says nothing about the next one: but for ever is too long here too."""
SPOILED_STARTS = 3
"""So many with the same profile fail the tasks that need it."""
START_SECONDS = 60.0
"""A worker that has not joined after so long is killed, which counts as a failed start."""
EXIT_SECONDS = 5.0
"""A worker that was told to end and has not is killed."""
EXTRA_SECONDS = 5.0
"""How long a worker beyond the largest wanted number may idle: tasks that block come in waves."""
SPECIAL_SECONDS = 60.0
"""How long a worker with a profile or with GPUs may idle: it takes long to start, and holds memory."""
EXTRA_WORKERS = 32
"""Workers that may run tasks beyond the wanted number, where tasks ask for less than a CPU each."""
MOST_WORKERS = 512
"""All workers, blocked ones too: a recursion that needs more fails instead of filling the machine."""
LOSSES_AT_ONCE = 20
"""So many workers, or twice as many as there should be, may die and be replaced at once."""
LOSSES_A_SECOND = 10
"""Then so many in a second, or as many as there should be: a job of which each task takes its worker with it must not keep the
machine busy with nothing but forks."""
MOST_HOSTS = 448
"""Workers that may be actors' at a time; the creation of one more waits until one ends."""

OnSpoiled = Callable[[bytes, WorkerExited], None]


class Fleet:
    """All workers by slot."""

    def __init__(self, least: int, most: int, idle_seconds: float, outbox: Outbox, deadlines: Deadlines) -> None:
        self.least = least
        """How many plain workers there should always be, apart from blocked ones."""
        self.most = most
        """How many there may be because tasks are queued; more only where tasks block or ask for less than a CPU."""
        self.workers: dict[int, Worker] = {}
        self.idle: dict[int, Worker] = {}
        """Idle plain workers; the last one idled last and is the warmest."""
        self.special: dict[int, Worker] = {}
        """Workers with a profile or with GPUs, started when tasks need them, idle or not."""
        self.hosts: dict[int, Worker] = {}
        """Workers that are an actor's."""
        self.serving: set[int] = set()
        """The slots of those of them that have something to do."""
        self._idle_seconds = idle_seconds
        """How long a worker beyond the least number may idle."""
        self._outbox = outbox
        self._deadlines = deadlines
        self._retiring = False
        self._failed_starts = 0
        self._killed_starts = 0
        self._spoiled: dict[bytes, int] = {}
        """How many workers in a row ended before they could start, by their profile."""
        self.on_spoiled: OnSpoiled = lambda profile, exited: None
        """Workers with this profile cannot start."""
        self._last_pids: dict[int, int] = {}
        self._paid_until = 0.0
        """When so many losses as there were would be paid off at their usual pace; what is too far ahead waits."""

    # ---------------------------------------------------------------- fork and join

    def fork(
        self, gpus: tuple[int, ...] = (), slot: int | None = None, *, profile: bytes = b"", meant_for: Shape | None = None
    ) -> Worker:
        """Ask for a worker in this slot, else in the lowest free one."""
        if slot is None:
            slot = next(number for number in range(len(self.workers) + 1) if number not in self.workers)
        worker = self.workers[slot] = Worker(slot, gpus, profile, meant_for)
        if not worker.plain:
            self.special[slot] = worker
        move_worker(worker, WorkerState.STARTING)
        self._outbox.actions.append(Fork(slot, gpus, profile))
        self._deadlines.after(START_SECONDS, partial(self._kill_if, worker, WorkerState.STARTING))
        return worker

    def fill(self) -> None:
        """Fork until there are as many as there should be, unless others are forked first when it is time."""
        for _ in range(0 if self.rests() else self.least - self.active()):
            self.fork()

    def lose(self, worker: Worker) -> None:
        """A worker has closed its connection; unless it was to end, that is a loss that is not made good at any speed."""
        if worker.state is not WorkerState.STOPPING:
            self._paid_until = max(self._paid_until, self._deadlines.now) + 1 / max(LOSSES_A_SECOND, self.most)
            if self.rests():
                self._deadlines.at(self._rests_until(), self.fill)
        self.kill(worker)

    def rests(self) -> bool:
        """Whether so many workers were lost lately that others must wait."""
        return self._deadlines.now < self._rests_until()

    def _rests_until(self) -> float:
        at_once = max(LOSSES_AT_ONCE, 2 * self.most)
        return self._paid_until - at_once / max(LOSSES_A_SECOND, self.most)

    def resize(self, least: int, most: int) -> None:
        """From now on there should be so many; idle ones beyond the most end at once."""
        self.least, self.most = least, most
        self.fill()
        self._retire_plain(0.0, self.most)
        self._retire_later()

    def forked(self, slot: int, pid: int) -> None:
        """The worker of the slot exists."""
        worker = self.workers.get(slot)
        if worker is not None:
            worker.pid = pid

    def join(self, process_id: ProcessId, hello: Hello) -> Worker | None:
        """The worker that says hello, or None when it is not one that is waited for."""
        worker = self.workers.get(hello.slot)
        if worker is None or worker.state is not WorkerState.STARTING or self._last_pids.get(hello.slot) == hello.pid:
            return None
        worker.pid = hello.pid
        worker.process = Process(process_id, None, worker)
        self._failed_starts = self._killed_starts = 0
        self._spoiled.pop(worker.profile, None)
        self.make_idle(worker)
        return worker

    def make_idle(self, worker: Worker) -> None:
        """The worker has nothing to do."""
        move_worker(worker, WorkerState.IDLE)
        worker.idle_since = self._deadlines.now
        worker.backlog = 0.0
        if worker.leaving:
            self.exit(worker, worker.leaving)
            return
        if worker.plain:
            self.idle[worker.slot] = worker
        if not self._retiring and len(self.workers) > self.least:
            self._retire_later()

    @property
    def can_host(self) -> bool:
        """Whether one more worker may become an actor's."""
        return len(self.hosts) < MOST_HOSTS

    def host(self, worker: Worker, actor: Actor) -> None:
        """An idle worker is the actor's from now on; another one does the tasks in its place."""
        self.idle.pop(worker.slot, None)
        move_worker(worker, WorkerState.HOSTING)
        worker.actor = actor
        worker.closed = True
        self.hosts[worker.slot] = worker
        self.serving.add(worker.slot)
        self.fill()

    # ---------------------------------------------------------------- end

    def exit(self, worker: Worker, reason: str, seconds: float = EXIT_SECONDS) -> None:
        """Let a worker end that has nothing to do; it is killed if that takes longer."""
        assert worker.process is not None
        self.let_go(worker, seconds)
        self._outbox.send(worker.process.process_id, Exit(reason))

    def let_go(self, worker: Worker, seconds: float) -> None:
        """The worker ends by itself; it is killed if that takes longer."""
        self._stopping(worker)
        self._deadlines.after(seconds, partial(self._kill_if, worker, WorkerState.STOPPING))

    def kill(self, worker: Worker) -> None:
        """End a worker at once, with everything that it started."""
        if worker.state is not WorkerState.STOPPING:
            self._stopping(worker)
        self._outbox.actions.append(Signal(worker.slot, signal.SIGKILL))

    def _kill_if(self, worker: Worker, state: WorkerState) -> None:
        if worker.state is state:
            self.kill(worker)

    def retire(self) -> None:
        """Let workers end that nobody has needed for a while."""
        self._retire_plain(EXTRA_SECONDS, self.most)
        self._retire_plain(self._idle_seconds, self.least)
        long_ago = self._deadlines.now - SPECIAL_SECONDS
        for worker in list(self.special.values()):
            if worker.state is WorkerState.IDLE and worker.idle_since <= long_ago:
                self.exit(worker, "no task has needed its profile or its GPUs for a while")

    def _retire_plain(self, idle_for: float, wanted: int) -> None:
        surplus = self.active() - wanted
        limit = self._deadlines.now - idle_for
        for worker in sorted(self.idle.values(), key=lambda worker: -worker.slot) if surplus > 0 else ():
            if surplus > 0 and worker.idle_since <= limit:
                self.exit(worker, "it is not needed any more")
                surplus -= 1

    def _retire_later(self) -> None:
        """Look again as long as there are idle workers that may end."""
        if self._retiring:
            return
        if any(one.state is WorkerState.IDLE for one in self.special.values()) or (self.idle and self.active() > self.least):
            self._retiring = True
            self._deadlines.after(EXTRA_SECONDS, self._retire_now)

    def _retire_now(self) -> None:
        self._retiring = False
        self.retire()
        self._retire_later()

    def renew(self) -> int:
        """Let every worker that may have imported something be followed by a fresh one; returns how many that are."""
        reason = "modules that it has imported were edited"
        fresh = WorkerState.STARTING, WorkerState.STOPPING
        old = [one for one in self.workers.values() if one.state not in fresh and one.actor is None]
        for worker in old:
            self.let_leave(worker, reason)
        return len(old)

    def let_leave(self, worker: Worker, reason: str) -> None:
        """The worker gets no new task and ends with its last one: now if it is idle."""
        worker.leaving = reason
        if worker.state is WorkerState.IDLE:
            self.exit(worker, reason)
        elif worker.shape is not None:
            worker.shape.workers.pop(worker.slot, None)

    def remove(self, worker: Worker) -> None:
        """The worker's end is complete: forget it, and fork its successor if it is missed."""
        joined, by_us = worker.process is not None, worker.state is WorkerState.STOPPING
        if worker.state is not WorkerState.STOPPING and joined:
            self._stopping(worker)
        move_worker(worker, WorkerState.DEAD)
        worker.ended.clear()
        worker.limit = None  # it and its task name each other, and the scheduler process collects no circles
        del self.workers[worker.slot]
        self.special.pop(worker.slot, None)
        self.hosts.pop(worker.slot, None)
        self.serving.discard(worker.slot)
        self._last_pids[worker.slot] = worker.pid
        if not joined and (by_us or not self._was_killed(worker)) and self._cannot_start(worker):
            return
        if worker.plain and self.active() < self.least and not self.rests():
            self.fork(slot=worker.slot)

    def _stopping(self, worker: Worker) -> None:
        self.idle.pop(worker.slot, None)
        if worker.shape is not None:
            worker.shape.workers.pop(worker.slot, None)
        move_worker(worker, WorkerState.STOPPING)

    def _was_killed(self, worker: Worker) -> bool:
        """Whether somebody outside has ended a worker that was about to join, and not too many before it."""
        exited = worker.exited
        if exited is None or exited.signal not in (signal.SIGKILL, signal.SIGTERM) or exited.out_of_memory:
            return False
        self._killed_starts += 1
        return self._killed_starts < KILLED_STARTS

    def _cannot_start(self, worker: Worker) -> bool:
        if worker.profile:
            self._profile_failed(worker)
            return True
        self._failed_starts += 1
        count = max(self._failed_starts, self._killed_starts)
        if count < FAILED_STARTS:
            return False
        assert worker.exited is not None
        self._outbox.stop(
            f"{count} workers in a row ended before they could start, the last one by {cause(worker.exited)}. "
            f"Its last lines:\n{worker.exited.log_tail or '(none)'}"
        )
        return True

    def _profile_failed(self, worker: Worker) -> None:
        """Its variables may be what keeps Python from starting: that is the end of its tasks, not of the cluster."""
        failures = self._spoiled[worker.profile] = self._spoiled.get(worker.profile, 0) + 1
        if failures >= SPOILED_STARTS:
            del self._spoiled[worker.profile]
            assert worker.exited is not None
            self.on_spoiled(worker.profile, worker.exited)

    # ---------------------------------------------------------------- counts

    def active(self) -> int:
        """Plain workers that run, start, or could run a task."""
        return sum(1 for worker in self._plain() if worker.state not in (WorkerState.BLOCKED, WorkerState.STOPPING))

    def needed(self) -> set[ObjectId]:
        """The objects that tasks and calls inside workers read, or will."""
        tasks = [task for worker in self.workers.values() for task in worker.queue]
        calls = [call for host in self.hosts.values() if host.actor is not None for call in host.actor.running.values()]
        return {object_id for task in (*tasks, *calls) for object_id in task.spec.deps}

    def starting(self) -> int:
        """Plain workers that have not joined yet."""
        return sum(1 for worker in self._plain() if worker.state is WorkerState.STARTING)

    def working(self) -> int:
        """How many workers have something to do, or start."""
        idle = len(self.idle)
        if self.special:
            idle += sum(one.state is WorkerState.IDLE for one in self.special.values())
        return len(self.workers) - idle - len(self.hosts) + len(self.serving)

    def stuck(self) -> bool:
        """Whether there are as many workers as there may be, and every one that runs something is blocked."""
        if len(self.workers) < MOST_WORKERS:
            return False
        running = [*self._plain(), *(worker for worker in self.hosts.values() if worker.serving)]
        return all(worker.state is WorkerState.BLOCKED for worker in running)

    def room(self) -> int:
        """How many more plain workers may be forked."""
        if self.rests():
            return 0
        return min(self.most + EXTRA_WORKERS - self.active(), MOST_WORKERS - len(self.workers))

    def special_room(self) -> int:
        """How many more special workers may be started."""
        if self.rests():
            return 0
        away = WorkerState.BLOCKED, WorkerState.STOPPING
        active = sum(1 for one in self.special.values() if one.actor is None and one.state not in away)
        return min(self.most + EXTRA_WORKERS - active, MOST_WORKERS - len(self.workers))

    def _plain(self) -> Iterator[Worker]:
        return (worker for worker in self.workers.values() if worker.plain and worker.actor is None)
