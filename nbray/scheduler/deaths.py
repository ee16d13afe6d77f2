"""The words for how workers and actors end: the failures of what ends with them."""

from __future__ import annotations

import signal
from collections import Counter

import msgspec

from nbray.scheduler.actor_records import Actor, Call
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.messages import Failure
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker, cause

_ADVICE = {
    signal.SIGKILL: "Something outside killed it, most often the system because memory ran out: give each task less data, "
    "or let fewer run at once (num_cpus=2 or memory= in .options).",
    signal.SIGSEGV: "Compiled code crashed: look for a library that is called with bad data or is not safe in threads or forks.",
    signal.SIGABRT: "Compiled code gave up; its last lines may say why.",
    signal.SIGBUS: "A file or memory that it had mapped went away, often because a disk or a memory limit was full.",
    signal.SIGTERM: "Something outside asked it to end.",
}

TOLD_DEATHS = 10
"""So many are told one by one, more of them counted."""


def _advice(exited: WorkerExited) -> str:
    if exited.out_of_memory:
        return f"It was killed because the memory ran out; it had {exited.out_of_memory / 1e6:,.0f} MB at the last look."
    if exited.broken:
        return (
            f"It was ended because what came over its connection was no message ({exited.broken}): the task, or a library, wrote "
            "to a descriptor that is not its own."
        )
    advice = _ADVICE.get(signal.Signals(exited.signal)) if exited.signal in set(signal.Signals) else None
    if exited.signal is None:
        advice = "The task, or a library that it calls, ended the process (os._exit or the like): raise an exception instead."
    return advice or "Its last lines may say why."


def _given_up(task: Task) -> str:
    """What the earlier attempts came to, or how to have some."""
    if not task.deaths:
        return "To run such a task again by itself: .options(max_retries=2)."
    counts = Counter(task.deaths)
    causes = task.deaths if len(task.deaths) <= TOLD_DEATHS else [f"{cause} ({count} x)" for cause, count in counts.items()]
    return f"It is given up: earlier attempts have ended {len(task.deaths)} workers too, by {', '.join(causes)}."


def _tail(lines: str) -> str:
    return f"\nIts last lines:\n{lines}" if lines else ""


def task_died(task: Task, worker: Worker, exited: WorkerExited, last_lines: str) -> Failure:
    """The failure of a task that a worker took with it."""
    lines = last_lines or exited.log_tail
    if exited.out_of_memory:
        return Failure(
            "out_of_memory",
            f"The system ended {worker.name} while it ran {task.template.name}, attempt {task.attempt}, because the memory ran "
            f"out; it had {exited.out_of_memory / 1e6:,.0f} MB when it was looked at last. Give each task less data, or let "
            f"fewer run at once: .options(num_cpus=2), or .options(memory=...) with what it needs."
            f"{f' {_given_up(task)}' if task.deaths else ''}{_tail(lines)}",
            task=task.template.name, worker=worker.name, attempt=task.attempt, log_tail=lines,
        )  # fmt: skip
    return Failure(
        "worker_died",
        f"{worker.name} ended by {cause(exited)} while it ran {task.template.name}, attempt {task.attempt}. "
        f"{_advice(exited)} {_given_up(task)}{_tail(lines)}",
        task=task.template.name, worker=worker.name, attempt=task.attempt, log_tail=lines,
    )  # fmt: skip


def call_died(call: Call, actor: Actor, worker: Worker, exited: WorkerExited, last_lines: str) -> Failure:
    """The failure of a call that was running when its actor's worker ended, and which the restarted actor does not repeat."""
    lines = last_lines or exited.log_tail
    return Failure(
        "actor_died",
        f"{worker.name} ended by {cause(exited)} while it ran {call.template.name} of the actor {actor.label}, which starts "
        f"again. {_advice(exited)} To run such calls again by themselves: .options(max_task_retries=2).{_tail(lines)}",
        task=call.template.name, worker=worker.name, attempt=call.attempt, log_tail=lines,
    )  # fmt: skip


def actor_died(actor: Actor, worker: Worker, exited: WorkerExited, running: Task | None, last_lines: str) -> Failure:
    """Why an actor is dead whose worker has ended by itself."""
    lines = last_lines or exited.log_tail
    allowed = actor.spec.max_restarts
    hint = f"It had been restarted as often as max_restarts={allowed} allows." if allowed else (
        "To have such an actor started again by itself: .options(max_restarts=1)."
    )  # fmt: skip
    return Failure(
        "actor_died",
        f"The actor {actor.label} is dead: {worker.name} ended by {cause(exited)}"
        f"{f' while it ran {running.template.name}' if running is not None else ''}. {_advice(exited)} {hint}{_tail(lines)}",
        task=running.template.name if running is not None else "", worker=worker.name, log_tail=lines,
    )  # fmt: skip


def not_created(actor: Actor, failure: Failure) -> Failure:
    """Why an actor is dead whose creation has failed; the exception of its `__init__` travels along."""
    if failure.kind == "actor_died":
        return failure
    what = f"{failure.type_name}: {failure.message}" if failure.type_name else failure.message
    message = f"The actor {actor.label} is dead: it could not be created. {what}"
    return msgspec.structs.replace(failure, kind="actor_died", message=message, retriable=False)


def killed(actor: Actor) -> Failure:
    """Why an actor is dead that somebody has killed."""
    return Failure("actor_died", f"The actor {actor.label} is dead: it was killed (nbray.kill). Create a new one.")


def exited_on_purpose(actor: Actor) -> Failure:
    """Why an actor is dead that has called exit_actor."""
    return Failure("actor_died", f"The actor {actor.label} is dead: it exited on purpose (exit_actor). Create a new one.")


def told_to_end(actor: Actor) -> Failure:
    """Why an actor takes no more calls that is to end after those it has."""
    return Failure("actor_died", f"The actor {actor.label} takes no more calls: it was told to end after those it had.")


def without_handles(actor: Actor) -> Failure:
    """Why an actor is dead that nobody could call any more."""
    return Failure(
        "actor_died",
        f"The actor {actor.label} is dead: nobody had a handle of it any more. Keep one as long as the actor is needed, or "
        'create it with .options(name="...", lifetime="detached").',
    )


def unknown_actor(actor_id: int, method: str) -> Failure:
    """The failure of a call of an actor that is not there."""
    return Failure(
        "actor_died",
        f"{method} cannot be called: the actor {actor_id:#x} is not in the cluster (any more). It ended when its last handle was "
        "gone, or it belongs to a cluster that has been shut down. Create a new one.",
        task=method,
    )


def name_taken(actor: Actor, other: Actor) -> Failure:
    """The failure of a creation under a name that another actor has."""
    return Failure(
        "refused",
        f"The actor {actor.label} was not created: its name is taken by a {other.spec.class_name} in the namespace "
        f"{actor.namespace!r}. Get that one with nbray.get_actor({actor.spec.name!r}), end it with nbray.kill, "
        "or choose another name.",
    )
