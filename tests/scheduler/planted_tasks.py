"""Bugs of how tasks run, end and run again, planted to see that the simulation finds them."""

from __future__ import annotations

from collections.abc import Iterable

from nbray.ids import NO_TASK
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.fairness import Line
from nbray.scheduler.messages import Failure, Value
from nbray.scheduler.ownership import ObjectEntry
from nbray.scheduler.pool import Shape
from nbray.scheduler.processes import Process
from nbray.scheduler.scheduler import Scheduler
from nbray.scheduler.tasks import Function, Task
from nbray.scheduler.worker_records import Worker
from tests.scheduler.planting import Bug, replace


def arguments_are_never_let_go(scheduler: Scheduler) -> None:
    """A task that ended keeps its arguments alive."""
    replace(scheduler._outcomes, "_let_go", lambda task: None)


def a_dead_workers_tasks_all_run_again(scheduler: Scheduler) -> None:
    """What the worker had finished without reporting it runs twice."""
    died = scheduler._outcomes.died
    replace(scheduler._outcomes, "died", lambda worker, exited: died(worker, exited._replace(started=NO_TASK)))


def a_killed_worker_is_not_mourned(scheduler: Scheduler) -> None:
    """The tasks of a killed worker are forgotten."""
    died = scheduler._outcomes.died

    def died_by_itself(worker: Worker, exited: WorkerExited) -> None:
        if exited.signal != 9:
            died(worker, exited)

    replace(scheduler._outcomes, "died", died_by_itself)


def the_prefetched_are_blamed(scheduler: Scheduler) -> None:
    """What only waited inside a worker fails with what ran there."""
    died = scheduler._outcomes.died

    def all_of_them(worker: Worker, exited: WorkerExited) -> None:
        died(worker, exited._replace(started=worker.queue[-1].task_id) if worker.queue else exited)

    replace(scheduler._outcomes, "died", all_of_them)


def dependents_are_not_told(scheduler: Scheduler) -> None:
    """A task whose last dependency comes second is forgotten."""
    arrived = scheduler._outcomes.arrived

    def arrived_once(waiters: Iterable[Task], value: Value | None) -> None:
        arrived([task for task in waiters if task.missing < 2], value)

    replace(scheduler._outcomes, "arrived", arrived_once)


def a_task_starts_one_dependency_early(scheduler: Scheduler) -> None:
    """Off by one: the last dependency but one is taken for the last."""
    wait_for = scheduler._submission._wait_for

    def wait_for_all_but_one(task: Task) -> bool:
        ready = wait_for(task)
        task.missing -= task.missing > 1
        return ready

    replace(scheduler._submission, "_wait_for", wait_for_all_but_one)


def failures_stop_where_they_are(scheduler: Scheduler) -> None:
    """What waits for a task that has failed waits for ever."""
    settle = scheduler._objects.settle

    def settle_results(entry: ObjectEntry, value: Value, maker: Process | None = None) -> list[Task] | None:
        waiters = settle(entry, value, maker)
        return None if isinstance(value, Failure) else waiters

    replace(scheduler._objects, "settle", settle_results)


def retries_are_not_counted(scheduler: Scheduler) -> None:
    """A task runs again and again."""
    retries = scheduler._outcomes.retries

    def again(task: Task) -> None:
        task.attempt += 1
        retries.put_back(task)

    replace(retries, "again", again)


def one_retry_too_many(scheduler: Scheduler) -> None:
    """Off by one: the first attempt does not count."""
    retries = scheduler._outcomes.retries
    again = retries.again

    def again_once_more(task: Task) -> None:
        task.retries += task.attempt == 1 and task.retries > 0
        again(task)

    replace(retries, "again", again_once_more)


def who_waits_to_run_again_is_forgotten(scheduler: Scheduler) -> None:
    """A third attempt, before which a task waits a while, never comes."""
    replace(scheduler._outcomes.retries, "end_wait", lambda task, attempt: None)


def what_is_taken_back_is_forgotten(scheduler: Scheduler) -> None:
    """A dropped acknowledgement: a worker says that it has not started some tasks, and nobody listens."""
    replace(scheduler._outcomes, "give_back", lambda tasks: None)


def what_comes_back_is_queued_twice(scheduler: Scheduler) -> None:
    """A double requeue."""
    put_back = scheduler._turns.put_back

    def put_back_twice(line: Line, shape: Shape, task: Task) -> None:
        put_back(line, shape, task)
        put_back(line, shape, task)

    replace(scheduler._turns, "put_back", put_back_twice)


def blocked_tasks_keep_their_cpus(scheduler: Scheduler) -> None:
    """Nested tasks wait for the CPU of the task that waits for them."""
    replace(scheduler._worker_queues, "blocked", lambda worker, task_id: None)


def blocked_workers_keep_what_waits_behind(scheduler: Scheduler) -> None:
    """A task waits for one that stands behind it in the same worker."""
    blocked = scheduler._worker_queues.blocked

    def blocked_with_all(worker: Worker, task_id: int) -> None:
        ask_back = scheduler._worker_queues.ask_back
        replace(scheduler._worker_queues, "ask_back", lambda worker, tasks: None)
        blocked(worker, task_id)  # type: ignore[arg-type]
        replace(scheduler._worker_queues, "ask_back", ask_back)

    replace(scheduler._worker_queues, "blocked", blocked_with_all)


def time_limits_do_not_count(scheduler: Scheduler) -> None:
    """Nobody looks at the clock."""
    replace(scheduler._worker_queues, "limit", lambda worker, task: None)


def workers_are_thought_to_know_what_they_forgot(scheduler: Scheduler) -> None:
    """A function that was given up and registered again is not taught again."""
    give_up = scheduler._registry._give_up

    def give_up_without_noting(function: Function, process_id: int) -> None:
        known = [worker for worker in scheduler._fleet.workers.values() if function.key in worker.functions]
        give_up(function, process_id)  # type: ignore[arg-type]
        for worker in known:
            worker.functions.add(function.key)

    replace(scheduler._registry, "_give_up", give_up_without_noting)


def templates_go_before_their_tasks(scheduler: Scheduler) -> None:
    """A forgotten template is dropped though tasks of it are queued."""
    registry = scheduler._registry

    def forget(process_id: int, template_ids: list[int]) -> None:
        for template_id in template_ids:
            template = registry.templates.get(template_id)  # type: ignore[call-overload]
            if template is not None and template.process == process_id:
                template.forgotten = True
                registry.drop(template)

    replace(registry, "forget", forget)


def profiles_are_not_looked_at(scheduler: Scheduler) -> None:
    """A task that needs an environment of its own runs in any worker without one."""

    def idle_worker(shape: Shape) -> Worker | None:
        return next(iter(scheduler._fleet.idle.values()), None)

    replace(scheduler._placement, "_idle_worker", idle_worker)


BUGS: list[Bug] = [
    arguments_are_never_let_go, a_dead_workers_tasks_all_run_again, a_killed_worker_is_not_mourned, the_prefetched_are_blamed,
    dependents_are_not_told, a_task_starts_one_dependency_early, failures_stop_where_they_are, retries_are_not_counted,
    one_retry_too_many, who_waits_to_run_again_is_forgotten, what_is_taken_back_is_forgotten, what_comes_back_is_queued_twice,
    blocked_tasks_keep_their_cpus, blocked_workers_keep_what_waits_behind, time_limits_do_not_count,
    workers_are_thought_to_know_what_they_forgot, templates_go_before_their_tasks, profiles_are_not_looked_at,
]  # fmt: skip
