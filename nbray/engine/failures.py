"""Failures on the wire and the exceptions that users see: one becomes the other here and nowhere else."""

from __future__ import annotations

from nbray import dual_errors, errors, exceptions_shipping
from nbray.scheduler.messages import Failure, FailureKind

_CLASSES: dict[FailureKind, type[errors.NbrayError]] = {
    "unpicklable_result": errors.ResultNotShippable,
    "cancelled": errors.TaskCancelledError,
    "timeout": errors.TaskTimeout,
    "worker_died": errors.WorkerDied,
    "actor_died": errors.ActorDied,
    "gang_removed": errors.PlacementGroupRemoved,
    "out_of_memory": errors.OutOfMemory,
    "store_full": errors.StoreFull,
    "lost": errors.ObjectLost,
    "infeasible": errors.InfeasibleRequest,
    "refused": errors.ClusterError,
}


def to_exception(failure: Failure) -> BaseException:
    """The exception to raise for a failure: the task's own, as a RemoteError too, with task and worker in a note."""
    if failure.kind != "exception":
        error = _CLASSES[failure.kind](failure.message)
        if failure.pickled or failure.type_name:  # what an actor's __init__ raised
            error.__cause__ = _original(failure)
        return error
    return _original(failure)


def _original(failure: Failure) -> BaseException:
    texts = failure.type_name, failure.message, failure.traceback, failure.frames
    error = exceptions_shipping.load_exception(failure.pickled, *texts)
    if not isinstance(error, Exception):  # a task's sys.exit must not end the driver, nor its KeyboardInterrupt look like Stop
        error = exceptions_shipping.load_exception(b"", *texts)
    error = dual_errors.as_remote(error)
    exceptions_shipping.add_note(error, origin(failure))
    return error


def origin(failure: Failure) -> str:
    """Where a failure happened: "in task train on worker 1 (pid 4711), attempt 2"."""
    return f"in task {failure.task} on {failure.worker}, attempt {failure.attempt}"
