"""Every error that nbray raises, split by who can fix it.

    NbrayError
    ├── UsageError (ValueError)        your call is wrong: the message says what to type
    │   ├── WrongType (TypeError)        a value of the wrong kind, such as an ObjectRef where its value is needed
    │   ├── NotShippable (TypeError)     a value cannot be sent; names the path to the culprit
    │   ├── InfeasibleRequest            asks for more than the cluster has
    │   ├── WrongCluster                 an ObjectRef of a cluster that is gone, or of another one
    │   └── NotSupportedHere             this backend cannot do it
    ├── TaskError                      your code failed remotely
    │   ├── RemoteError                  stands in when the original exception cannot be rebuilt here
    │   ├── TaskCancelledError           the task was cancelled
    │   ├── TaskTimeout (TimeoutError)   the task ran longer than its timeout=
    │   └── ResultNotShippable           the function returned something that cannot be sent
    ├── WorkerDied                     a worker process ended under a running task
    ├── ClusterError                   the cluster cannot do it
    │   ├── ClusterDied                  the scheduler process is gone
    │   ├── StoreFull                    no room in the store
    │   ├── ObjectLost                   the object's bytes are gone
    │   └── StartFailed                  a cluster could not be started
    ├── GetTimeoutError (TimeoutError) get(timeout=) or wait ended before the value was there
    ├── InternalError                  nbray has a bug: please report it
    └── RemoteTraceback                never raised: the cause of an exception that came from a task

A task's own exception is not wrapped: `get` raises the original type, with the remote traceback as its cause.
"""

from __future__ import annotations


class NbrayError(Exception):
    """Base of all errors of nbray."""


class UsageError(NbrayError, ValueError):
    """The call is wrong; the message quotes the value and says what to type."""


class WrongType(UsageError, TypeError):
    """A value of the wrong kind was given, such as an ObjectRef where its value is needed, or the other way round."""


class NotShippable(UsageError, TypeError):
    """A function, argument or capture cannot be sent to a worker; the message names the path to the culprit."""


class InfeasibleRequest(UsageError):
    """The task asks for more than the whole cluster has, so it could never run."""


class WrongCluster(UsageError):
    """The ObjectRef belongs to another cluster, or to one that has been shut down."""


class NotSupportedHere(UsageError):
    """The backend in use cannot do this; the message names the backend."""


class TaskError(NbrayError):
    """A task failed; the subclasses say how."""


class RemoteError(TaskError):
    """The task raised an exception that cannot be rebuilt here; carries its type name, text and traceback."""

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name = type_name
        self.message = message

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"


class RemoteTraceback(NbrayError):
    """The cause of an exception that came from a task: the remote traceback, with source lines."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return "\n" + self.text


class TaskCancelledError(TaskError):
    """The task was cancelled before it gave a result."""


class TaskTimeout(TaskError, TimeoutError):
    """The task ran longer than its `timeout=` and was ended."""


class ResultNotShippable(TaskError):
    """The function ran, but what it returned cannot be sent back."""


class WorkerDied(NbrayError):
    """The worker process ended while it ran the task; the message has the signal or exit code and the last lines."""


class ClusterError(NbrayError):
    """The cluster cannot do it."""


class ClusterDied(ClusterError):
    """The scheduler process is gone, and every object with it; the next use starts a new cluster."""


class StoreFull(ClusterError):
    """The store has no room for the object; the message has the sizes."""


class ObjectLost(ClusterError):
    """The object's bytes are gone or damaged."""


class StartFailed(ClusterError):
    """A cluster could not be started; the message has its last words."""


class GetTimeoutError(NbrayError, TimeoutError):
    """The value was not there in time; the task goes on."""


class InternalError(NbrayError):
    """nbray has a bug; the message holds what to report."""
