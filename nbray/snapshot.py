"""Frozen pictures of a cluster: what the dashboard, the cards, the magics and `nbray.nodes()` read, and nothing else."""

from __future__ import annotations

from typing import Literal

import msgspec

from nbray.ids import CellRunId

WorkerState = Literal["starting", "idle", "busy", "blocked", "stopping"]


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


class StoreSnapshot(msgspec.Struct, frozen=True):
    """The store, in bytes."""

    limit: int
    used: int
    objects: int
    inline: int = 0
    """Bytes of small values that live in the scheduler."""


class ClusterSnapshot(msgspec.Struct, frozen=True):
    """The whole cluster at one moment; `sequence` grows by one with each that is published."""

    sequence: int
    epoch: str
    resources: dict[str, int]
    available: dict[str, int]
    store: StoreSnapshot
    workers: list[WorkerSnapshot] = []
    cell_runs: list[CellRunSnapshot] = []
    queued: int = 0
    """Tasks that are submitted and not running."""
    finished: int = 0
    """Tasks that have ended since the cluster started."""
