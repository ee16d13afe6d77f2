"""What is remembered of a cell run that had work on the cluster: plain data, kept as JSON, changed by nobody once it is there."""

from __future__ import annotations

import msgspec

RUNNING, OK, FAILED, STOPPED, LOST = "running", "ok", "failed", "stopped", "kernel lost"
"""How a cell run stands, or has ended; `LOST`: its kernel has ended before it."""


class Piece(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name that went along with a cell or came back from it."""

    name: str
    type_name: str
    facts: str = ""
    """Shape and type of the elements, or the number of items."""
    size: int = 0
    """Bytes, estimated without pickling it; exact for arrays and handles."""
    hash: str = ""
    """Of its content, the same in every kernel; "~..." of a sample of it; empty where even that would have taken too long."""
    unhashed: str = ""
    """Why there is no hash."""
    on_cluster: bool = False
    """A handle or a reference: the value itself did not travel."""


class Stages(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the time of a cell run went, in seconds."""

    start: float = 0.0
    """Until there was a cluster."""
    ship: float = 0.0
    """Its names: packed here, stored, unpacked on the worker."""
    queue: float = 0.0
    """From then until a worker began."""
    run: float = 0.0
    """Its code on the worker; where it submitted tasks, as long as some of them had not ended."""
    back: float = 0.0
    """Its outcome: packed on the worker, brought here, assigned."""
    here: float = 0.0
    """All else: code that ran in the notebook itself."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.start + self.ship + self.queue + self.run + self.back + self.here


class Tasks(msgspec.Struct, frozen=True, omit_defaults=True):
    """The tasks of a cell run, counted and summed."""

    count: int = 0
    failed: int = 0
    cancelled: int = 0
    run_seconds: float = 0.0
    """Summed over all of them."""
    elapsed: float = 0.0
    """From the first submission to the last end."""


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One cell run."""

    cell_run: str
    number: int
    notebook: str
    """The path of the notebook, or the name of its job."""
    began: float
    """Seconds since 1970."""
    how: str
    """ "remote", "remote --on gpu0", "remote --bg", "parallel", "tasks"."""
    line: str = ""
    """The first line of its code."""
    code: str = ""
    """A hash of its code."""
    outcome: str = RUNNING
    error: str = ""
    """Type and first line of what it raised."""
    stages: Stages = Stages()
    tasks: Tasks = Tasks()
    inputs: tuple[Piece, ...] = ()
    outputs: tuple[Piece, ...] = ()
    shipped: int = 0
    """Bytes that were packed for the worker."""
    stored: int = 0
    """Bytes that the notebook wrote into the store, for arguments and nbray.put too."""
    modules: dict[str, str] = {}
    """Local modules that the worker had imported, and hashes of their sources as they were then."""
    packages: dict[str, str] = {}
    """Packages that the cell used, and their versions on the worker."""
    python: str = ""
    engine: str = ""
    """ "local cluster 8f3a..."."""
    worker: str = ""
    attempt: int = 0
    cpu: float = 0.0
    """Seconds of CPU that its code took on the worker, in all its threads and children that have ended."""
    cores: int = 0
    """CPUs of the cluster."""
    waited_for: str = ""
    """What it waited for, in words, as it was seen last."""
    cache: str = ""
    """ "kept result", "kept", or empty where nothing was to be kept."""
    spared: float = 0.0
    """Seconds that a kept result had taken to make."""

    @property
    def label(self) -> str:
        """ "[4]"."""
        return f"[{self.number}]"
