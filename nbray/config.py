"""What a cluster is started with: one frozen record, made by `init`, read by every process of the cluster."""

from __future__ import annotations

import msgspec


class ClusterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one local cluster; sizes in bytes, times in seconds."""

    epoch: str
    """Random name of this cluster; ObjectRefs carry it, so that a reference of a dead cluster is told apart."""
    job: str = ""
    """Who starts it."""
    run_directory: str
    """0700, holds the sockets, the connection file and the workers' logs; removed at the end."""
    num_workers: int
    """Workers started at once, and kept; more are forked where tasks block in `get`."""
    max_workers: int = 0
    """Workers that there may be while tasks are queued; 0: as many as `num_workers`."""
    idle_seconds: float = 30.0
    """After how long an idle worker beyond `num_workers` ends."""
    gpus: tuple[str, ...] = ()
    """What CUDA_VISIBLE_DEVICES calls each GPU of the cluster, in the order of the scheduler's numbers."""
    resources: dict[str, int]
    """All that may be handed out, in units of 1/10,000 (`nbray.resources`)."""
    store_limit: int
    """Most bytes that live objects may take."""
    spill_directory: str = ""
    """This cluster's own, for objects that the store has no room for, made when it is needed; empty: they go nowhere."""
    spill_problem: str = ""
    """Why there is none, where that was not asked for."""
    linger: float = 0.0
    """How long the cluster outlives its last driver."""
    default_max_retries: int = 0
    """Re-runs of a task whose worker died under it, where the task does not say."""
    preload: tuple[str, ...] = ("numpy",)
    """Modules that the zygote imports, so that a forked worker has them at once."""
    sys_path: tuple[str, ...] = ()
    working_directory: str = ""
    notebook: str = ""
    """The path of the notebook that starts it."""
    memory_threshold: float = 0.95
    """The part of the memory that may be used before a task is ended for it."""
    memory_limit: int = 0
    """Bytes that the workers may take together; 0: what the machine or the cgroup has."""
    cancel_grace: float = 0.7
    """From SIGINT to SIGKILL."""
    prefetch_seconds: float = 0.01
    """How much known-short work may wait inside a worker."""
    idle_return: float = 30.0
    """After how long an idle extent's pages go back to the system."""
    log_limit: int = 16 * 1024 * 1024
    """Most bytes of a worker's log that are kept."""
    output_limit: int = 256 * 1024
    """Most bytes of output that one task sends to its cell."""
