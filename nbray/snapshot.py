"""Frozen pictures of a cluster: what the dashboard, the cards, the magics and `nbray.nodes()` read, and nothing else."""

from __future__ import annotations

from typing import Literal

import msgspec

from nbray.ids import NO_TASK, ActorId, CellRunId, ObjectId, TaskId

WorkerState = Literal["starting", "idle", "busy", "blocked", "stopping"]
ActorState = Literal["PENDING", "ALIVE", "RESTARTING", "EXITING", "DEAD"]


class WorkerSnapshot(msgspec.Struct, frozen=True):
    """One worker; `cpu` in cores and `rss` in bytes are filled in by the scheduler process, which can measure them."""

    slot: int
    pid: int
    state: WorkerState
    task: str = ""
    cell_run: CellRunId = CellRunId("")
    running_for: float = 0.0
    queued: int = 0
    cpu: float = 0.0
    rss: int = 0
    actor: str = ""
    """The actor that it serves: "Counter" or "Counter 'totals'"."""


class CellRunSnapshot(msgspec.Struct, frozen=True):
    """The tasks of one cell run, counted by state."""

    cell_run: CellRunId
    label: str
    job: str
    waiting: int = 0
    """Submitted, not running: for dependencies, for resources, or in a worker's queue."""
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    run_seconds: float = 0.0
    """Summed run time of its finished tasks."""
    elapsed: float = 0.0
    """Seconds from its first submission until its last task ended, or until now while some have not."""
    waits_for: str = ""
    """Why its next task does not run, in words: "all CPUs held by cell [4] of other.ipynb"."""
    first_failure: str = ""
    """Task name and first line of the first failure."""


class LeftCellRun(msgspec.Struct, frozen=True):
    """One cell run as a later driver of its job, or another job's, finds it."""

    counts: CellRunSnapshot
    missed: bool = False
    """Nobody has seen all that it printed: no driver was there while it had live tasks."""
    ended_ago: float = 0.0
    """Seconds since its last task ended; 0 while some have not."""
    drivers: int = 0
    """How many drivers of its job are connected."""
    kept: int = 0
    """Bytes of output that can be shown again."""
    results: list[ObjectId] = []
    """Objects that nobody refers to any more but its record, in the order in which they were made."""
    notes: list[bytes] = []
    """What its driver left for its successors to know."""


class TaskSnapshot(msgspec.Struct, frozen=True):
    """One task, or one attempt of it that has ended; times in seconds of `time.monotonic` on this machine."""

    task_id: TaskId
    name: str
    state: str
    """PENDING_ARGS_AVAIL, PENDING_NODE_ASSIGNMENT, SUBMITTED_TO_WORKER, RUNNING, FINISHED, FAILED (Ray's names), CANCELLED."""
    cell_run: CellRunId
    cell: str
    job: str
    worker: str = ""
    attempt: int = 1
    parent: TaskId = NO_TASK
    """The task that submitted it."""
    started: float | None = None
    ended: float | None = None
    error_type: str = ""
    error: str = ""
    """First line."""
    again: bool = False
    """This attempt has failed, and another one follows."""
    actor: ActorId = NO_TASK
    """The actor whose method it calls, or that it creates."""
    kind: str = "NORMAL_TASK"
    """Also ACTOR_TASK and ACTOR_CREATION_TASK, as Ray names them."""


class ActorSnapshot(msgspec.Struct, frozen=True):
    """One actor."""

    actor_id: ActorId
    class_name: str
    state: ActorState
    name: str = ""
    namespace: str = ""
    job: str = ""
    cell_run: CellRunId = CellRunId("")
    pid: int = 0
    slot: int = -1
    """Its worker's; -1 while it has none."""
    pending: int = 0
    """Calls that are not in its worker."""
    running: int = 0
    """Calls in its worker, those included that wait there."""
    restarts: int = 0
    max_restarts: int = 0
    detached: bool = False
    resources: dict[str, int] = {}
    """What it holds, in units of 1/10,000."""
    death: str = ""
    """Why it takes no more calls, in words."""


class ObjectSnapshot(msgspec.Struct, frozen=True):
    """One object and who keeps it alive."""

    object_id: ObjectId
    state: str
    size: int
    place: str
    """ "arena", "scheduler" (small values), "disk"; empty where there is no value."""
    keepers: int
    holders: list[str]
    """In words: "driver", "worker 0 (pid 4711)", "task train (3 x)", "object 0000010000000007", "function f"."""
    cell: str = ""


class StoreSnapshot(msgspec.Struct, frozen=True):
    """The store, in bytes."""

    limit: int
    used: int
    objects: int
    inline: int = 0
    """Bytes of small values that live in the scheduler."""
    spilled: int = 0
    """Bytes of objects that are on disk only; not part of `used`."""


class ClusterSnapshot(msgspec.Struct, frozen=True):
    """The whole cluster at one moment; `sequence` grows by one with each that is published."""

    sequence: int
    epoch: str
    resources: dict[str, int]
    available: dict[str, int]
    store: StoreSnapshot
    workers: list[WorkerSnapshot] = []
    cell_runs: list[CellRunSnapshot] = []
    actors: list[ActorSnapshot] = []
    queued: int = 0
    """Tasks that are submitted and not running."""
    finished: int = 0
    """Tasks that have ended since the cluster started."""
    refused: dict[str, int] = {}
    """Connections that the scheduler process has closed, by why, in words."""
