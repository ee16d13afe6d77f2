"""Where code runs: which task, actor, worker and cluster, by the names that Ray gives the questions."""

from __future__ import annotations

import os
from typing import Any

from nbray import session
from nbray.actor_handles import ActorHandle, from_found
from nbray.backends.backend import FoundActor
from nbray.engine import task_context
from nbray.engine.hosted_actor import HostedActor, this_process
from nbray.errors import UsageError
from nbray.resources import from_units


class RuntimeContext:
    """Answers for the code that calls it, wherever that runs: in a driver, a task or an actor."""

    # ---------------------------------------------------------------- Ray's questions

    def get_job_id(self) -> str:
        """The cluster's id: every notebook and script that uses the same cluster has the same."""
        return session.current_backend().epoch

    def get_node_id(self) -> str:
        """The machine, as `nbray.nodes()` names it: nbray's cluster is always one."""
        return session.current_backend().epoch

    def get_worker_id(self) -> str:
        """For example "worker 1 (pid 4711)"; in a driver "driver (pid 4710)"."""
        context = task_context.current()
        return f"driver (pid {os.getpid()})" if context is None else context.worker

    def get_task_id(self) -> str | None:
        """The id of the running task, which is that of its first ObjectRef; None in a driver."""
        context = task_context.current()
        return None if context is None else f"{context.task_id:016x}"

    def get_task_name(self) -> str | None:
        """How the running task is called in errors and lists; None in a driver."""
        context = task_context.current()
        return None if context is None else context.name

    def get_task_function_name(self) -> str | None:
        """The same as `get_task_name`, unless the call was given a name."""
        return self.get_task_name()

    def get_actor_id(self) -> str | None:
        """The id of the actor whose method runs; None elsewhere."""
        actor = _actor()
        return None if actor is None else f"{actor.actor_id:016x}"

    def get_actor_name(self) -> str | None:
        """The name under which `nbray.get_actor` finds the actor, "" for one without; None outside actors."""
        actor = _actor()
        return None if actor is None else actor.actor.name

    def get_assigned_resources(self) -> dict[str, float]:
        """What the running task has reserved, or the actor whose method runs holds, memory in bytes; nothing in a driver."""
        context, actor = task_context.current(), _actor()
        if context is None:
            return {}
        return from_units(context.resources if actor is None else actor.resources)

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """The GPUs that the running task may use, by index."""
        return {"GPU": [str(index) for index in get_gpu_ids()]}

    @property
    def current_actor(self) -> ActorHandle:
        """A handle of the actor whose method runs; one that the actor keeps keeps it alive. Raises UsageError elsewhere."""
        actor = _actor()
        if actor is None:
            raise UsageError("current_actor: no method of an actor runs here, so there is none; pass a handle along instead")
        backend = session.current_backend()
        backend.hold(actor.actor_id)
        return from_found(FoundActor(actor.actor_id, actor.actor.description), backend.epoch, actor.actor.name)

    @property
    def namespace(self) -> str:
        """Where the names of this code's actors are looked up."""
        actor = _actor()
        return str(session.current.given.get("namespace") or "") if actor is None else actor.actor.namespace

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether the actor whose method runs was restarted after its worker had died."""
        actor = _actor()
        return actor is not None and actor.restarted

    def get(self) -> dict[str, Any]:
        """All of it at once."""
        answers = {
            "job_id": self.get_job_id(), "node_id": self.get_node_id(), "worker_id": self.get_worker_id(),
            "task_id": self.get_task_id(), "task_name": self.get_task_name(), "actor_id": self.get_actor_id(),
            "namespace": self.namespace,
        }  # fmt: skip
        return {name: answer for name, answer in answers.items() if answer is not None}

    # ---------------------------------------------------------------- nbray's own

    @property
    def attempt(self) -> int:
        """Which attempt of the task this is, 1 at first; 0 in a driver."""
        context = task_context.current()
        return 0 if context is None else context.attempt

    @property
    def cell_run(self) -> str:
        """The run of the cell whose work this is: the msg_id of its execute_request, "background" in a script."""
        return str(session.current_cell_run())

    def __repr__(self) -> str:
        return f"RuntimeContext({', '.join(f'{name}={value!r}' for name, value in self.get().items())})"


def get_runtime_context() -> RuntimeContext:
    """What the calling code can know about where it runs.

    >>> import nbray
    >>> nbray.get(nbray.apply_async(lambda: nbray.get_runtime_context().get_task_name(), name="who"))
    'who'
    """
    return RuntimeContext()


def get_gpu_ids() -> list[int]:
    """The GPUs that the running task may use, by index; none outside a task that asked for some.

    >>> import nbray
    >>> nbray.get_gpu_ids()
    []
    """
    if task_context.current() is None:
        return []
    return [int(each) for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each.strip().isdigit()]


def _actor() -> HostedActor | None:
    return None if task_context.current() is None else this_process.actor
