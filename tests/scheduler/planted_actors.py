"""Bugs of actors and their calls, planted to see that the simulation finds them."""

from __future__ import annotations

from collections import deque

from nbray.ids import NO_TASK
from nbray.scheduler.actor_records import Actor, Call
from nbray.scheduler.scheduler import Scheduler
from nbray.scheduler.worker_records import Worker
from tests.scheduler.planting import Bug, replace


def calls_that_had_begun_run_again(scheduler: Scheduler) -> None:
    """What an actor was doing when its worker died is done twice."""
    lost = scheduler._calls.lost
    replace(scheduler._calls, "lost", lambda actor, worker, exited: lost(actor, worker, exited._replace(started=NO_TASK)))


def calls_are_put_back_at_the_end(scheduler: Scheduler) -> None:
    """After a restart, calls overtake those that the same process made before."""

    def put_back(call: Call) -> None:
        assert call.actor is not None
        call.actor.callers.setdefault(call.caller, deque()).append(call)
        scheduler._calls.due[call.actor] = None

    replace(scheduler._calls, "put_back", put_back)


def actors_outlive_their_handles(scheduler: Scheduler) -> None:
    """Nobody hears that nobody has a handle any more."""
    replace(scheduler._objects, "on_gone", lambda object_id: None)


def calls_do_not_keep_their_actor(scheduler: Scheduler) -> None:
    """An actor ends before its calls."""
    replace(scheduler._calls, "_keep", lambda actor: None)


def calls_die_with_their_actor_unseen(scheduler: Scheduler) -> None:
    """Whoever waits for a call of a dead actor waits for ever."""
    replace(scheduler._calls, "fail_all", lambda actor, failure: None)


def calls_that_wait_outlive_their_actor(scheduler: Scheduler) -> None:
    """Of a dead actor's calls, those that wait for a dependency are forgotten."""
    unpushed = scheduler._calls.unpushed

    def without_waiting(actor: Actor) -> list[Call]:
        return [call for call in unpushed(actor) if call.task_id not in actor.waiting]

    replace(scheduler._calls, "unpushed", without_waiting)


def actors_take_the_workers_of_tasks(scheduler: Scheduler) -> None:
    """There are fewer workers for tasks with every actor."""
    host = scheduler._fleet.host

    def host_alone(worker: Worker, actor: Actor) -> None:
        fill = scheduler._fleet.fill
        replace(scheduler._fleet, "fill", lambda: None)
        host(worker, actor)
        replace(scheduler._fleet, "fill", fill)

    replace(scheduler._fleet, "host", host_alone)


def actors_restart_for_ever(scheduler: Scheduler) -> None:
    """max_restarts counts for nothing."""
    restart = scheduler._actors._restart

    def restart_again(actor: Actor) -> None:
        actor.restarts_left = 9
        restart(actor)

    replace(scheduler._actors, "_restart", restart_again)


def actors_are_restarted_once_too_often(scheduler: Scheduler) -> None:
    """Off by one."""
    died = scheduler._actors.died

    def died_again(worker: Worker, actor: Actor, exited: object) -> None:
        actor.restarts_left += actor.restarts_left == 0 and actor.restarts == actor.spec.max_restarts
        died(worker, actor, exited)  # type: ignore[arg-type]

    replace(scheduler._actors, "died", died_again)


def restarts_use_up_the_arguments(scheduler: Scheduler) -> None:
    """A double free: a creation that runs again lets go of arguments that it was not given."""
    restart, pin = scheduler._actors._restart, scheduler._objects.pin

    def restart_without_pins(actor: Actor) -> None:
        replace(scheduler._objects, "pin", list)
        restart(actor)
        replace(scheduler._objects, "pin", pin)

    replace(scheduler._actors, "_restart", restart_without_pins)


def names_stay_taken(scheduler: Scheduler) -> None:
    """The name of a dead actor is never free again."""
    replace(scheduler._actors.names, "remove", lambda actor: None)


def calls_overtake_each_other(scheduler: Scheduler) -> None:
    """The calls of one process are sent from the last to the first."""
    push = scheduler._calls.push

    def push_from_the_end(actor: Actor) -> None:
        for caller, queue in actor.callers.items():
            actor.callers[caller] = deque(reversed(queue))
        push(actor)

    replace(scheduler._calls, "push", push_from_the_end)


def cancelled_calls_are_not_interrupted(scheduler: Scheduler) -> None:
    """A lost cancel: of a call that has begun."""
    replace(scheduler._calls, "interrupt", lambda actor: None)


def nobody_answers_for_the_forgotten(scheduler: Scheduler) -> None:
    """A call of an actor that is not in the tables any more waits for ever."""
    replace(scheduler._calls, "call_nobody", lambda process, actor_id, specs: None)


BUGS: list[Bug] = [
    calls_that_had_begun_run_again, calls_are_put_back_at_the_end, actors_outlive_their_handles, calls_do_not_keep_their_actor,
    calls_die_with_their_actor_unseen, calls_that_wait_outlive_their_actor, actors_take_the_workers_of_tasks,
    actors_restart_for_ever, actors_are_restarted_once_too_often, restarts_use_up_the_arguments, names_stay_taken,
    calls_overtake_each_other, cancelled_calls_are_not_interrupted, nobody_answers_for_the_forgotten,
]  # fmt: skip
