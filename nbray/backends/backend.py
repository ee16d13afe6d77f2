"""What an engine must do for the notebook: one abstract class, implemented by local, Ray and Dask.

Every method may be called from any thread unless it says otherwise. None takes a lock that a task's own code could
hold. Methods that wait do so in slices of at most 0.25 s, so that KeyboardInterrupt (Stop) arrives promptly; what they
waited for goes on. All raise `ClusterDied` within a second once the engine is gone.

Tried on Ray 2.60 and Dask 2026: a value travels as `Payload`, with the engine's own references to `nested` beside it.
Neither engine refuses an infeasible request, interrupts a sleeping task or counts what a cancel did, and a
KeyboardInterrupt that escapes a task ends Dask's worker: that is their backend's and its task runner's to do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import msgspec

from nbray.errors import NotSupportedHere
from nbray.ids import NO_TASK, ActorId, CellRunId, ObjectId, TaskId
from nbray.runtime_env import EMPTY, Profile
from nbray.snapshot import ClusterSnapshot, LeftCellRun

if TYPE_CHECKING:
    from nbray.engine.connection import Interlude
    from nbray.engine.injection import Injection


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a call, checked and filled in; hashable through `key`."""

    name: str = ""
    num_returns: int = 1
    """Or `messages.STREAMING`, `messages.DYNAMIC`."""
    window: int = 0
    """How many items a stream may be ahead of its consumer; 0: as many as usual, -1: any number."""
    resources: dict[str, int] = {}
    """In units of 1/10,000 (`nbray.resources`)."""
    max_retries: int | None = None
    """Re-runs after a worker died under the task; None means the cluster's default."""
    retry_exceptions: bool | tuple[type[BaseException], ...] = False
    timeout: float | None = None
    priority: int = 0
    max_calls: int = 0
    """Calls of the function after which its worker is replaced; 0: no limit."""
    profile: Profile = EMPTY
    gang: ObjectId = NO_TASK
    """The placement group that the task draws its resources from, if any."""
    gang_epoch: str = ""
    """The cluster to which that belongs."""
    bundle: int = -1


class ActorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What an actor is, checked and filled in."""

    class_name: str
    name: str = ""
    namespace: str = ""
    """Empty for that of the notebook."""
    detached: bool = False
    get_if_exists: bool = False
    max_restarts: int = 0
    """-1: no limit."""
    max_task_retries: int = 0
    concurrency: Literal["sync", "threads", "async"] = "sync"
    max_concurrency: int = 1
    max_pending_calls: int = -1
    """-1: no limit."""
    description: bytes = b""
    """What a handle needs to know; whoever finds the actor by name gets it back."""


class FoundActor(NamedTuple):
    """An actor, and the description that it was created with."""

    actor_id: ActorId
    description: bytes


class CancelReport(NamedTuple):
    """What a cancel did: tasks cancelled, tasks that had ended before, tasks still being stopped."""

    cancelled: int
    finished: int
    stopping: int = 0


class Written(NamedTuple):
    """What this process has put into the store so far."""

    size: int
    """Bytes."""
    seconds: float
    """How long that took."""


class OutputEvent(NamedTuple):
    """Something that a task printed or displayed, on its way to the cell that submitted it."""

    cell_run: CellRunId
    task_id: TaskId
    task: str
    """The task's name."""
    worker: str
    """For example "worker 1 (pid 4711)"."""
    stream: str
    """"stdout", "stderr", "progress" (`progress_board`), or a display: "display_data", "update_display_data", "clear_output",
    "error"; "prompt": what a task asks a person (`nbray.worker_input`), or that it will ask no more; or `AGAIN`."""
    data: bytes
    """UTF-8 text for the two streams, JSON for the rest."""


AGAIN = "again"
"""The stream of an event behind which a cell run's earlier output comes once more (`Backend.take_over`)."""


class Watch(Protocol):
    """Which of many objects have come since the last look."""

    @property
    def signal(self) -> ObjectId:
        """What `Backend.wait` takes for the arrival of any of them."""

    def add(self, object_ids: Iterable[ObjectId]) -> None:
        """Look out for these too, which the caller holds; each of them once."""

    def take(self) -> list[ObjectId]:
        """Those that have come since the last time, failed ones too."""

    def close(self) -> None:
        """Look out no more; idempotent."""


OutputHandler = Callable[[OutputEvent], None]
SnapshotHandler = Callable[[ClusterSnapshot], None]


class Backend(ABC):
    """One running engine, as the public API sees it."""

    name: str
    epoch: str
    """Names this very cluster; an ObjectRef of another epoch raises `WrongCluster`."""
    settings: Mapping[str, Any] = {}
    """What it runs with, by the names of `nbray.init`'s arguments: a second `init` compares with them."""

    joined = False
    """The engine was there before this process came to it."""
    job = ""
    """The job that this driver's work belongs to there; empty where there are none."""

    has_own_packages: bool = False
    """Its workers may have other packages installed than this process; `package_versions` tells."""

    settle: Callable[[], None] = staticmethod(lambda: None)
    """Called by `get` and `wait` on the caller's thread before they return or raise: whoever shows the output of tasks may
    catch up first, so that it stands above what the caller makes of their results."""

    def package_versions(self, names: Sequence[str]) -> Mapping[str, str]:
        """The versions that the workers have of these packages, by the names of their modules ("python" is Python itself).

        "" for one that they lack. Asks the engine and waits for its answer, where they are not this process's.
        """
        return {}

    def interrupt_waits(self, interlude: Interlude) -> None:  # noqa: B027 - where no task asks, nothing comes up
        """From now on waits of the main thread play this when it is due: who answers the prompts of tasks there."""

    def is_interlude_due(self) -> bool:
        """Whether there is something to play now, for waits that are not this backend's own, as those of event loops."""
        return False

    def play_interlude(self) -> None:  # noqa: B027 - as above
        """Play it; on the main thread."""

    def ask_person(self, task_id: TaskId, prompt: str) -> dict[str, str]:
        """What a person at the driver says to a task of this process: `{"text": ...}`, or `{"refused": why}`.

        `prompt` goes to the driver's output handler as data of the stream "prompt". Waits, and the time limit of the task
        stands still meanwhile.
        """
        raise NotSupportedHere(f"tasks of the backend {self.name!r} cannot ask for input")

    def reply(self, task_id: TaskId, answer: Mapping[str, str]) -> bool:
        """Answer a task that asks, as `ask_person` returns it; an empty answer only looks. Whether the task still waits."""
        raise NotSupportedHere(f"tasks of the backend {self.name!r} cannot ask for input")

    bundle: Callable[[list[ObjectId]], Any] = staticmethod(lambda object_ids: object_ids)
    """What the value of a task with dynamic returns is made by; set by `nbray.streams`, which stands above."""

    @property
    @abstractmethod
    def lost(self) -> str:
        """Why the engine is gone; empty while it lives. Read at every use of the API, so from memory."""

    @abstractmethod
    def submit(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions,
        cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        """Hand over one call and return its `num_returns` object ids at once; the caller holds one reference of each.

        The function's bytes are made now, so later edits do not reach this call.
        Raises NotShippable, InfeasibleRequest, StoreFull.
        """

    def take_item(self, stream: TaskId) -> ObjectId | None:
        """The next item of a stream that has come here, in order; its reference is the caller's then. None: none is here.

        A stream is a task with `num_returns=STREAMING`, for which `submit` returns two ids: the stream's own, whose value is
        there when the task has ended (None, or the failure that ended it), and an id that `wait` and `on_ready` take for
        the arrival of the next item or of the end. Only the process that has submitted it can take its items.
        """
        raise self._no_streams()

    def run_freely(self, stream: TaskId) -> None:
        """From now on the stream does not wait for this process to take its items."""
        raise self._no_streams()

    def close_stream(self, stream: TaskId, *, cancel: bool) -> None:
        """Give up the stream with its own reference and the items that were not taken; called from finalizers on any thread.

        With `cancel` its task is stopped if it still runs.
        """
        raise self._no_streams()

    def _no_streams(self) -> NotSupportedHere:
        return NotSupportedHere(f"the {self.name} backend has no streams: return a list instead of yielding")

    # ---------------------------------------------------------------- actors

    def create_actor(
        self, cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions, actor: ActorOptions,
        cell_run: CellRunId,
    ) -> FoundActor:  # fmt: skip
        """Let an actor be created, and return at once; the caller holds one reference, and handles are references to it.

        `options` are those of its creation, whose resources it holds as long as it lives. Where its name is taken, that
        actor is returned with `get_if_exists`, for which this waits for the engine's answer; else UsageError is raised.
        Raises NotShippable, InfeasibleRequest, StoreFull.
        """
        raise NotSupportedHere(f"the {self.name} backend has no actors: keep state in the notebook and make functions remote")

    def call(
        self, actor_id: ActorId, method: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any],
        options: CallOptions, cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        """Hand over one call of a method and return what `submit` returns; `name` is how it is shown.

        The calls of one process to one actor start in the order in which they were made. A call of an actor that is dead
        raises `ActorDied` in `get`. Raises NotShippable, StoreFull.
        """
        raise NotSupportedHere(f"the {self.name} backend has no actors")

    def kill_actor(self, actor_id: ActorId, *, no_restart: bool = True, after_calls: bool = False) -> None:
        """End an actor at once, or after the calls that were made until now; does not wait. One that is dead stays so."""
        raise NotSupportedHere(f"the {self.name} backend has no actors")

    def find_actor(self, name: str, namespace: str = "") -> FoundActor | None:
        """The living actor of that name, if there is one; the caller holds one reference. Waits for the engine's answer."""
        raise NotSupportedHere(f"the {self.name} backend has no actors")

    def actor_state(self, actor_id: ActorId) -> str:
        """ "pending", "alive", "restarting", "exiting" or "dead": asks the engine, so not from its I/O thread."""
        raise NotSupportedHere(f"the {self.name} backend has no actors")

    # ---------------------------------------------------------------- objects

    @abstractmethod
    def put(self, value: Any) -> ObjectId:
        """Store a value; the caller holds one reference. Raises NotShippable, StoreFull."""

    @abstractmethod
    def get(self, object_ids: Sequence[ObjectId], timeout: float | None = None) -> list[Any]:
        """Wait for all values, in order; raises the first failure as soon as it is known, or GetTimeoutError."""

    @abstractmethod
    def wait(self, object_ids: Sequence[ObjectId], num_returns: int, timeout: float | None = None) -> set[ObjectId]:
        """Wait until `num_returns` of the objects exist (failures count) and return those that do, maybe fewer."""

    def watch(self) -> Watch | None:
        """A watch over many objects, for callers that wait for them again and again; None where `wait` must do."""
        return None

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back once, on the backend's I/O thread; needed where there are watches."""
        raise NotSupportedHere(f"the {self.name} backend has no timers")

    def hurry(self) -> None:  # noqa: B027 - only who collects submissions has anything to do
        """Somebody waits for what this thread has submitted: nothing of it is held back any longer. Does not block."""

    def waiting(self) -> AbstractContextManager[object]:
        """Entered while the running task awaits objects in an event loop of its own: its CPUs are free meanwhile."""
        return nullcontext()

    @abstractmethod
    def on_ready(self, object_id: ObjectId, callback: Callable[[], None]) -> None:
        """Call `callback` once when the object exists: now if it does, else on the backend's I/O thread (do not block)."""

    @abstractmethod
    def cancel(self, task_ids: Sequence[TaskId], *, force: bool = False, recursive: bool = True) -> CancelReport:
        """Cancel tasks by the ids of their returns; queued ones never run, running ones get KeyboardInterrupt.

        With `recursive` the tasks that running ones have submitted go with them.
        """

    @abstractmethod
    def withdraw(self, task_ids: Sequence[TaskId]) -> int:
        """Cancel those of the tasks that no worker has been given yet, let the others go on; returns how many were cancelled."""

    @abstractmethod
    def is_started(self, task_id: TaskId) -> bool:
        """Whether a worker has been given the task, and it has not ended; asks the engine and waits for its answer."""

    @abstractmethod
    def abandon(self, task_ids: Sequence[TaskId]) -> None:
        """Cancel tasks whose results nobody wants any more; called from finalizers on any thread, so it does not wait."""

    @abstractmethod
    def cancel_cell_runs(self, cell_runs: Sequence[CellRunId] | None, *, force: bool = False) -> CancelReport:
        """Cancel every task that the cell runs submitted (None: all of this driver's job); other cells' go on."""

    @abstractmethod
    def hold(self, object_id: ObjectId) -> None:
        """One more reference to the object lives in this process."""

    @abstractmethod
    def release(self, object_id: ObjectId) -> None:
        """One reference less; called from finalizers on any thread, so it only notes it down."""

    @abstractmethod
    def state(self, object_id: ObjectId) -> str:
        """ "pending", "ready" or "failed", from what this process knows, without asking."""

    @abstractmethod
    def size(self, object_id: ObjectId) -> int | None:
        """Size in bytes of an object that is ready, from what this process knows; None when unknown."""

    @abstractmethod
    def describe_cell_run(self, cell_run: CellRunId, label: str) -> None:
        """Name a cell run before its first task, for cards and messages."""

    def note(self, cell_run: CellRunId, note: bytes) -> None:  # noqa: B027 - where nothing outlives its driver, nobody reads it
        """Leave word about a cell run for a later driver of this job, if this one is lost."""

    def left_work(self, *, of_all: bool = False) -> list[LeftCellRun]:
        """The cell runs of this job, or `of_all` jobs, as far as they are kept, oldest first in each job."""
        return []

    def take_over(self, cell_run: CellRunId, output: Literal["unseen", "all", "none"] = "none") -> list[ObjectId] | None:
        """Go on with a cell run that an earlier driver of this job began; None where it is not known any more.

        Returns the objects that only its record referred to, of which the caller now holds one reference each. Unless it is
        "none", its `output` comes to the handler of `on_output` again, as far as it is kept, behind an event whose stream is
        `AGAIN` and whose data says how many bytes are not kept; all of it before this returns.
        """
        return None

    @abstractmethod
    def on_output(self, handler: OutputHandler | None) -> None:
        """Where the output of this driver's tasks goes. None: to sys.stdout and sys.stderr.

        The handler is called in order, and for a task's output before `get` or `wait` returns for its result, on whichever
        thread receives: it must neither block nor call the backend.
        """

    @abstractmethod
    def on_snapshot(self, handler: SnapshotHandler | None) -> None:
        """Call `handler` with at most 4 snapshots a second, on the I/O thread; lossy by design."""

    @abstractmethod
    def snapshot(self) -> ClusterSnapshot:
        """The cluster now; asks the engine and waits for its answer."""

    def rows(self, kind: str, limit: int, state: str = "") -> Any:
        """Records of "tasks" (at most `limit` of each state, or of one), "objects" (the largest) or "actors".

        Plain data, with the fields that `nbray.snapshot` gives them. Asks the engine and waits for its answer.
        """
        raise NotSupportedHere(f"the backend {self.name!r} keeps no list of {kind}")

    def create_gang(
        self, bundles: Sequence[Mapping[str, int]], strategy: str, name: str, detached: bool, value: Callable[[ObjectId], bytes]
    ) -> ObjectId:
        """Set bundles of resources aside as soon as all are there; the object then has `value(its id)`, pickled.

        Returns at once; the caller holds one reference. Raises InfeasibleRequest where the cluster can never do it.
        """
        raise NotSupportedHere(f"placement groups: the backend {self.name!r} has none; give the tasks num_cpus= and the like")

    def remove_gang(self, gang: ObjectId) -> None:
        """Give a gang's resources back and end what runs in it; returns at once."""
        raise NotSupportedHere(f"placement groups: the backend {self.name!r} has none")

    def find_gang(self, name: str) -> bytes:
        """The value of the gang of this name, pickled; empty where there is none."""
        raise NotSupportedHere(f"placement groups: the backend {self.name!r} has none")

    def gangs(self) -> list[dict[str, Any]]:
        """All gangs: `placement_group_id`, `name`, `strategy`, `state`, `bundles`, `available`."""
        raise NotSupportedHere(f"placement groups: the backend {self.name!r} has none")

    def scale(self, least: int, most: int) -> None:
        """From now on at least and at most so many workers, with one CPU each. Raises UsageError."""
        raise NotSupportedHere(f"scale(): the backend {self.name!r} cannot change its size; end it and start another")

    def written(self) -> Written:
        """What this process has put into the store so far, from memory; nothing where the engine does not count it."""
        return Written(0, 0.0)

    def object_at(self, address: int) -> ObjectId | None:
        """The stored object that memory at this address of the process belongs to, if it is one's that an array looks into."""
        return None

    def dump_stacks(self) -> dict[int, str]:
        """The stacks of all threads of each worker, by pid, as faulthandler writes them; does not stop anybody."""
        raise NotSupportedHere(f"the backend {self.name!r} has no worker processes whose stacks could be shown")

    def failed_frames(self) -> Path:
        """The directory in which workers keep the frames of failures (`nbray.frame_snapshots`)."""
        raise NotSupportedHere(f"the backend {self.name!r} keeps no frames of failures: %debug works right after one")

    def inject(self, fault: Injection) -> bool:
        """Let the engine meet a fault (`nbray.chaos`); False where what it is about is gone. Waits for the engine's answer."""
        raise NotSupportedHere(f"nbray.chaos: the backend {self.name!r} has no processes on which faults could be tried")

    def occupy(self, size: int) -> Callable[[], None] | None:
        """Take room in the store to which nothing is written; what is returned gives it back. None: so much is not there."""
        raise NotSupportedHere(f"nbray.chaos: the backend {self.name!r} has no store that could be full")

    def part(self) -> None:  # noqa: B027 - where nothing outlives its driver, nobody needs to know
        """This process is about to end: what tasks print from now on is not seen by anybody. Does not wait."""

    @abstractmethod
    def close(self, *, stop: bool = True) -> None:
        """Leave, and end what this backend started; without `stop` the engine may linger. Idempotent."""
