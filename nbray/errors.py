"""Every error that nbray raises, split by who can fix it.

    NbrayError
    ├── UsageError (ValueError)        your call is wrong: the message says what to type
    │   ├── WrongType (TypeError)        a value of the wrong kind, such as an ObjectRef where its value is needed
    │   ├── NotShippable (TypeError)     a value cannot be sent; names the path to the culprit
    │   ├── InfeasibleRequest            asks for more than the cluster has
    │   ├── WrongCluster                 an ObjectRef of a cluster that is gone, or of another one
    │   └── NotSupportedHere             this backend cannot do it
    ├── TaskError                      your code failed remotely
    │   ├── RemoteError                  what the task raised; also an instance of the original class
    │   ├── TaskCancelledError           the task was cancelled
    │   ├── TaskTimeout (TimeoutError)   the task ran longer than its timeout=
    │   ├── QuitAtBreakpoint             somebody has typed q at a breakpoint in the task
    │   ├── ResultNotShippable           the function returned something that cannot be sent
    │   └── TuneError                    a trial of an experiment failed
    ├── WorkerDied                     a worker process ended under a running task
    ├── ActorDied                      the actor has ended, or could not be created
    ├── PlacementGroupRemoved          the placement group in which a task was has been removed
    ├── OutOfMemory                    a task was ended because the machine ran out of memory
    ├── ClusterError                   the cluster cannot do it
    │   ├── ClusterDied                  the scheduler process is gone
    │   ├── StoreFull                    no room in the store
    │   ├── ObjectLost                   the object's bytes are gone
    │   └── StartFailed                  a cluster could not be started
    ├── GetTimeoutError (TimeoutError) get(timeout=) or wait ended before the value was there
    ├── InternalError                  nbray has a bug: please report it
    └── RemoteTraceback                never raised: the cause of an exception that came from a task

A task's own exception arrives as an instance of its own class and of RemoteError (`nbray.dual_errors`), with the remote
traceback as its cause: `except KeyError` and `except nbray.RemoteError` both catch it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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


class _Told:
    """A fact about a remote error; an attribute of that name on the instance, or on the user's class, goes first."""

    def __init__(self, tell: Callable[[BaseException], str]) -> None:
        self._tell = tell

    def __get__(self, error: BaseException | None, owner: type) -> str:
        return "" if error is None else self._tell(error)


class RemoteError(TaskError):
    """The task raised an exception; this is its own class at the same time, and has its fields and methods.

    Where the exception cannot be rebuilt here, a plain RemoteError stands for it, with its type name and its text.
    """

    type_name = _Told(lambda error: error.args[0] if type(error) is RemoteError else type(error).__mro__[1].__qualname__)
    message = _Told(lambda error: error.args[1] if type(error) is RemoteError else str(error))

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if type(self) is RemoteError else super().__str__()


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


class QuitAtBreakpoint(TaskError):
    """Somebody has typed q at a breakpoint in the task, which has ended there."""

    def __init__(self, message: str = "q was typed at a breakpoint in the task, which has ended there") -> None:
        super().__init__(message)


class ResultNotShippable(TaskError):
    """The function ran, but what it returned cannot be sent back."""


class TuneError(TaskError):
    """A trial of an experiment failed; the message has the traceback of its last attempt, or how its process ended."""


class WorkerDied(NbrayError):
    """The worker process ended while it ran the task; the message has the signal or exit code and the last lines."""


class PlacementGroupRemoved(NbrayError):
    """The placement group in which the task was queued or ran has been removed."""


class ActorDied(NbrayError):
    """The actor has ended; the message says of what, with its last lines. What its `__init__` raised is the cause."""


class OutOfMemory(NbrayError):
    """The task was ended because the machine ran out of memory and it had grown most; the message has the figures."""


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
