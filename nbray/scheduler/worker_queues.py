"""What waits inside workers, after it was given to them: when it is taken back, and when its time is up.

What a worker has not started comes back when the worker blocks (else a task that waits for one behind itself would never
end), when one of its tasks is cancelled (else a kill would hit others), and while it is slow: when another worker idles, or
when another one may be forked since a blocked task has left its CPU (else a task that waits for one behind it never ends).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from nbray.ids import TaskId
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.messages import TakeBack
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.pool import Pool
from nbray.scheduler.processes import Outbox
from nbray.scheduler.states import TaskState, WorkerState, move_worker
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet

STEAL_SECONDS = 0.002
"""Work that a slow worker has longer than this is worth a message when another worker idles."""

OnTimeout = Callable[[Task, int], None]
WAIT_SECONDS = 0.5
"""So often it is looked whether a task still waits for a person."""
_NEVER = float("inf")
_BUSY, _BLOCKED = WorkerState.BUSY, WorkerState.BLOCKED


class WorkerQueues:
    """The tasks inside workers, and the leases that they keep."""

    def __init__(
        self, pool: Pool, fleet: Fleet, outcomes: Outcomes, outbox: Outbox, deadlines: Deadlines, prefetch_seconds: float
    ) -> None:
        self._pool = pool
        self._fleet = fleet
        self._outcomes = outcomes
        self._outbox = outbox
        self._deadlines = deadlines
        self._late = prefetch_seconds + STEAL_SECONDS
        """A worker that is behind by more gets nothing new: what is taken back then does not return to it at once."""
        self.prefetched = False
        """Tasks may wait inside workers behind others: a look through 64 workers after every event would cost too much."""
        self.spare = False
        """There may be resources for some of them, and perhaps no idle worker."""
        self._looking = False
        """A look at slow workers is due."""
        self.on_timeout: OnTimeout = lambda task, attempt: None
        """What to do with a task, and which attempt of it, whose time is up."""
        self.waited: Callable[[Task], float] = lambda task: 0.0
        """Seconds for which a task has waited for a person: they do not count."""

    # ---------------------------------------------------------------- what workers say

    def blocked(self, worker: Worker, task_id: TaskId) -> None:
        """The running task waits for objects: its CPUs are free, and nothing may wait behind it."""
        head = worker.head
        if worker.state is WorkerState.BUSY and head is not None and head.task_id == task_id:
            move_worker(worker, WorkerState.BLOCKED)
            self._pool.block(worker)
            self.spare = True
            self.ask_back(worker, list(worker.queue)[1:])

    def unblocked(self, worker: Worker) -> None:
        """It goes on."""
        if worker.state is WorkerState.BLOCKED:
            move_worker(worker, WorkerState.BUSY)
            self._pool.unblock(worker)

    def progressed(self, worker: Worker) -> None:
        """The worker has run the head of its queue."""
        worker.head_since = self._deadlines.now
        worker.due = self._deadlines.now + worker.backlog
        self.shortened(worker)

    def shortened(self, worker: Worker) -> None:
        """The worker's queue has become shorter: an empty one ends its lease."""
        if worker.closed:
            self._reopen(worker)
        state = worker.state
        if worker.queue or (state is not _BUSY and state is not _BLOCKED):
            return
        if state is _BLOCKED:
            self.unblocked(worker)
        self._pool.release(worker)
        self.spare = True
        self._fleet.make_idle(worker)

    # ---------------------------------------------------------------- take back

    def ask_back(self, worker: Worker, tasks: Iterable[Task]) -> None:
        """Ask for tasks that the worker may not have started: always the end of its queue, or all of it.

        A part from the middle would leave it unknown, should the worker die, whether that part was run or taken out.
        """
        task_ids = [task.task_id for task in tasks]
        if task_ids and worker.process is not None and worker.state is not WorkerState.STOPPING:
            worker.asked += 1
            self._outbox.send(worker.process.process_id, TakeBack(task_ids))

    def empty(self) -> None:
        """Ask every worker for what it has not started: its arguments take room in the store that is needed now."""
        for worker in self._fleet.workers.values():
            if len(worker.queue) > 1 and not worker.asked and worker.state is WorkerState.BUSY:
                self.ask_back(worker, list(worker.queue)[1:])

    def close(self, worker: Worker) -> None:
        """Nothing new for a worker that may be killed."""
        worker.closed = True
        if worker.shape is not None:
            worker.shape.workers.pop(worker.slot, None)

    def _reopen(self, worker: Worker) -> None:
        if any(task.state is TaskState.CANCELLING for task in worker.queue):
            return
        worker.closed = False
        if worker.shape is not None and worker.open and worker.state is WorkerState.BUSY:
            worker.shape.workers[worker.slot] = worker

    def taken_back(self, worker: Worker, task_ids: Iterable[TaskId]) -> None:
        """The worker has not started these and will not."""
        worker.asked -= 1
        wanted = set(task_ids)
        returned = [task for task in worker.queue if task.task_id in wanted]
        kept = [task for task in worker.queue if task.task_id not in wanted]
        worker.queue.clear()
        worker.queue.extend(kept)
        charged = sum(task.charged for task in returned)
        worker.backlog -= charged
        worker.due -= charged
        self._outcomes.give_back([task for task in returned if task.state is TaskState.ASSIGNED])
        for task in returned:
            if task.state is TaskState.CANCELLING:
                assert task.verdict is not None
                self._outcomes.fail(task, task.verdict)

    def steal(self) -> None:
        """Take back half of what waits inside a worker that is slower than thought, where it could run elsewhere."""
        now, idle, self.prefetched, self.spare = self._deadlines.now, bool(self._fleet.idle), False, False
        for worker in self._fleet.workers.values():
            if len(worker.queue) < 2:
                continue
            self.prefetched = True
            if worker.asked or worker.state is not WorkerState.BUSY:
                continue
            assert worker.shape is not None
            if worker.shape.gpus or not self._pool.fits(worker.shape):
                continue
            self.spare = True
            ahead = worker.due - now
            if (idle and abs(ahead) > STEAL_SECONDS) or -ahead > self._late:
                self.ask_back(worker, list(worker.queue)[-(len(worker.queue) // 2) :])
            elif not self._looking:
                self._looking = True
                self._deadlines.after(ahead + STEAL_SECONDS + (STEAL_SECONDS if idle else self._late), self._look_again)

    def _look_again(self) -> None:
        self._looking = False

    # ---------------------------------------------------------------- time limits

    def limit(self, worker: Worker, task: Task) -> None:
        """Look at the clock when the task's time is up; one look at a time for each worker, however many tasks it runs."""
        due = self._deadlines.now + task.template.template.timeout
        worker.limit = due, task, task.attempt
        if due < worker.limit_due:
            worker.limit_due = due
            self._deadlines.at(due, partial(self._check_limit, worker))

    def _check_limit(self, worker: Worker) -> None:
        now, limit = self._deadlines.now, worker.limit
        if now < worker.limit_due:
            return  # a later look has been replaced by an earlier one
        worker.limit_due = _NEVER
        if limit is None or worker.head is not limit[1]:
            worker.limit = None
        elif (due := limit[0] + self.waited(limit[1])) <= now:
            self.on_timeout(limit[1], limit[2])
        else:
            worker.limit_due = due if limit[0] > now else max(due, now + WAIT_SECONDS)
            self._deadlines.at(worker.limit_due, partial(self._check_limit, worker))
