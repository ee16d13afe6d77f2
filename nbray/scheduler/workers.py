"""The workers: their slots, from fork to end, and how many of them there should be."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterator
from functools import partial

from nbray.ids import ProcessId, TaskId, TemplateId
from nbray.scheduler.actions import Fork, Signal, StopCluster
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.messages import Exit, Hello
from nbray.scheduler.pool import Shape
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.states import State, WorkerState, move_worker
from nbray.scheduler.tasks import Task

FAILED_STARTS = 5
"""So many workers in a row that end before they join end the cluster, instead of forking for ever."""
START_SECONDS = 60.0
"""A worker that has not joined after so long is killed, which counts as a failed start."""
EXIT_SECONDS = 5.0
"""A worker that was told to end and has not is killed."""
EXTRA_SECONDS = 5.0
"""How long a worker beyond the wanted number may idle: tasks that block come in waves."""
EXTRA_WORKERS = 32
"""Workers that may run tasks beyond the wanted number, where tasks ask for less than a CPU each."""
MOST_WORKERS = 512
"""All workers, blocked ones too: a recursion that needs more fails instead of filling the machine."""
ENDED_TASKS = 2000
"""Ended tasks of each worker that are remembered: for lists, and for output that comes late."""

Ended = tuple[TaskId, CellRun, str, int, float, int]
"""A task that a worker has reported: its id, cell run and name, microseconds, when it was reported, and which attempt it was."""


class Worker:
    """One worker process, from the request to fork it until its end has been reported."""

    __slots__ = (
        "asked", "backlog", "closed", "due", "ended", "exited", "functions", "gave_cpus", "gpus", "head_since", "idle_since",
        "left", "limit", "limit_due", "meant_for", "outdated", "pid", "process", "queue", "shape", "slot", "state",
        "templates", "trail",
    )  # fmt: skip

    def __init__(self, slot: int, gpus: tuple[int, ...]) -> None:
        self.slot = slot
        self.gpus = gpus
        """The only devices that it sees, all its life."""
        self.meant_for: Shape | None = None
        """The tasks for which it was forked with these."""
        self.state: State = WorkerState.NEW
        self.trail = 0
        self.pid = 0
        self.process: Process | None = None
        self.left = False
        """Its connection is closed and all its messages have been handled."""
        self.exited: WorkerExited | None = None
        self.closed = False
        """One of its tasks is being cancelled: it gets no new one meanwhile."""
        self.outdated = False
        """It has imported modules that were edited since: it gets no new task, and ends with its last one."""
        self.queue: deque[Task] = deque()
        """Its tasks in the order in which it runs them; the first one is taken to be running."""
        self.shape: Shape | None = None
        """The shape of task whose resources it holds."""
        self.gave_cpus = False
        """It holds them except for the CPUs, because its task waits."""
        self.backlog = 0.0
        """Seconds of work in the queue, as far as known."""
        self.due = 0.0
        """When the queue should be empty."""
        self.limit: tuple[float, Task, int] | None = None
        """When the time is up of its task with a time limit, the task, and its attempt."""
        self.limit_due = float("inf")
        """When the limit is looked at next."""
        self.asked = 0
        """How often it was asked to give tasks back and has not answered; it gets no new ones meanwhile."""
        self.head_since = 0.0
        self.idle_since = 0.0
        self.templates: set[TemplateId] = set()
        """What it has been taught."""
        self.functions: set[bytes] = set()
        self.ended: deque[Ended] = deque(maxlen=ENDED_TASKS)
        """Its last tasks."""

    def __repr__(self) -> str:
        return f"<{self.name} {self.state.name}, {len(self.queue)} tasks>"

    @property
    def name(self) -> str:
        """What people read."""
        return f"worker {self.slot} (pid {self.pid})"

    @property
    def open(self) -> bool:
        """Whether it may get more tasks while it has some."""
        return not (self.closed or self.outdated)

    @property
    def head(self) -> Task | None:
        """The task that it runs."""
        return self.queue[0] if self.queue else None


class Fleet:
    """All workers by slot."""

    def __init__(self, target: int, outbox: Outbox, deadlines: Deadlines) -> None:
        self.target = target
        """How many workers there should be, apart from blocked ones and those with GPUs."""
        self.workers: dict[int, Worker] = {}
        self.idle: dict[int, Worker] = {}
        """Idle workers without GPUs; the last one idled last and is the warmest."""
        self._outbox = outbox
        self._deadlines = deadlines
        self._retiring = False
        self._failed_starts = 0
        self._last_pids: dict[int, int] = {}

    # ---------------------------------------------------------------- fork and join

    def fork(self, gpus: tuple[int, ...] = (), slot: int | None = None) -> Worker:
        """Ask for a worker in this slot, else in the lowest free one."""
        if slot is None:
            slot = next(number for number in range(len(self.workers) + 1) if number not in self.workers)
        worker = self.workers[slot] = Worker(slot, gpus)
        move_worker(worker, WorkerState.STARTING)
        self._outbox.actions.append(Fork(slot, gpus))
        self._deadlines.after(START_SECONDS, partial(self._kill_if, worker, WorkerState.STARTING))
        return worker

    def fill(self) -> None:
        """Fork until there are as many as there should be."""
        for _ in range(self.target - self.active()):
            self.fork()

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
        self._failed_starts = 0
        self.make_idle(worker)
        return worker

    def make_idle(self, worker: Worker) -> None:
        """The worker has nothing to do."""
        move_worker(worker, WorkerState.IDLE)
        worker.idle_since = self._deadlines.now
        worker.backlog = 0.0
        if worker.outdated:
            self.exit(worker, "modules that it has imported were edited")
        elif not worker.gpus:
            self.idle[worker.slot] = worker
            if not self._retiring and len(self.workers) > self.target:
                self._retiring = True
                self._deadlines.after(EXTRA_SECONDS, self._retire_later)

    # ---------------------------------------------------------------- end

    def exit(self, worker: Worker, reason: str) -> None:
        """Let an idle worker end."""
        assert worker.process is not None
        self._stopping(worker)
        self._outbox.send(worker.process.process_id, Exit(reason))
        self._deadlines.after(EXIT_SECONDS, partial(self._kill_if, worker, WorkerState.STOPPING))

    def kill(self, worker: Worker) -> None:
        """End a worker at once, with everything that it started."""
        if worker.state is not WorkerState.STOPPING:
            self._stopping(worker)
        self._outbox.actions.append(Signal(worker.slot, signal.SIGKILL))

    def _kill_if(self, worker: Worker, state: WorkerState) -> None:
        if worker.state is state:
            self.kill(worker)

    def retire(self, idle_for: float = EXTRA_SECONDS) -> None:
        """Let workers beyond the wanted number end that have been idle for a while."""
        surplus = self.active() - self.target
        limit = self._deadlines.now - idle_for
        for worker in sorted(self.idle.values(), key=lambda worker: -worker.slot):
            if surplus > 0 and worker.idle_since <= limit:
                self.exit(worker, "it is not needed any more")
                surplus -= 1

    def _retire_later(self) -> None:
        self._retiring = False
        self.retire()
        if self.idle and not self._retiring and self.active() > self.target:
            self._retiring = True
            self._deadlines.after(EXTRA_SECONDS, self._retire_later)

    def renew(self) -> int:
        """Let every worker that may have imported something be followed by a fresh one; returns how many that are."""
        outdated = [one for one in self.workers.values() if one.state not in (WorkerState.STARTING, WorkerState.STOPPING)]
        for worker in outdated:
            worker.outdated = True
            if worker.state is WorkerState.IDLE:
                self.exit(worker, "modules that it has imported were edited")
            elif worker.shape is not None:
                worker.shape.workers.pop(worker.slot, None)
        return len(outdated)

    def remove(self, worker: Worker) -> None:
        """The worker's end is complete: forget it, and fork its successor if it is missed."""
        joined = worker.process is not None
        if worker.state is not WorkerState.STOPPING and joined:
            self._stopping(worker)
        move_worker(worker, WorkerState.DEAD)
        worker.ended.clear()
        worker.limit = None  # it and its task name each other, and the scheduler process collects no circles
        del self.workers[worker.slot]
        self._last_pids[worker.slot] = worker.pid
        if not joined and self._cannot_start(worker):
            return
        if not worker.gpus and self.active() < self.target:
            self.fork(slot=worker.slot)

    def _stopping(self, worker: Worker) -> None:
        self.idle.pop(worker.slot, None)
        if worker.shape is not None:
            worker.shape.workers.pop(worker.slot, None)
        move_worker(worker, WorkerState.STOPPING)

    def _cannot_start(self, worker: Worker) -> bool:
        self._failed_starts += 1
        if self._failed_starts < FAILED_STARTS:
            return False
        assert worker.exited is not None
        self._outbox.actions.append(
            StopCluster(
                f"{FAILED_STARTS} workers in a row ended before they could start, the last one by {cause(worker.exited)}. "
                f"Its last lines:\n{worker.exited.log_tail or '(none)'}"
            )
        )
        return True

    # ---------------------------------------------------------------- counts

    def active(self) -> int:
        """Workers without GPUs that run, start, or could run a task."""
        return sum(1 for worker in self._plain() if worker.state not in (WorkerState.BLOCKED, WorkerState.STOPPING))

    def starting(self) -> int:
        """Workers without GPUs that have not joined yet."""
        return sum(1 for worker in self._plain() if worker.state is WorkerState.STARTING)

    def stuck(self) -> bool:
        """Whether there are as many workers as there may be, and every one is blocked."""
        return len(self.workers) >= MOST_WORKERS and all(worker.state is WorkerState.BLOCKED for worker in self._plain())

    def room(self) -> int:
        """How many more workers may be forked."""
        return min(self.target + EXTRA_WORKERS - self.active(), MOST_WORKERS - len(self.workers))

    def _plain(self) -> Iterator[Worker]:
        return (worker for worker in self.workers.values() if not worker.gpus)


def cause(exited: WorkerExited) -> str:
    """How a worker ended, in words: "SIGKILL (signal 9)" or "exit code 3"."""
    if exited.signal is None:
        return f"exit code {exited.exit_code}"
    try:
        return f"{signal.Signals(exited.signal).name} (signal {exited.signal})"
    except ValueError:
        return f"signal {exited.signal}"
