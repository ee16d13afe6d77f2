"""The processes of a storm's cluster as somebody outside finds them: by the connection file, the process tree and names."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import NamedTuple

from nbray.engine import run_directory
from nbray.engine.process_tree import NAME_MARK

PROC = Path("/proc")


class Family(NamedTuple):
    """The processes of one cluster at one moment."""

    supervisor: int
    scheduler: int
    """0 where it is not there."""
    workers: list[int]
    """Those that have begun to be one, in the order of their pids."""

    @property
    def everybody(self) -> list[int]:
        """All pids."""
        return [pid for pid in (self.supervisor, self.scheduler, *self.workers) if pid]


def find(run: Path) -> Family | None:
    """The cluster that has its run directory here, if one is alive."""
    for directory in run.glob(f"{run_directory.PREFIX}*"):
        content = run_directory.read(directory)
        if content is not None and run_directory.alive(content):
            children = _children(content.zygote_pid)
            workers = [pid for pid in children if _name(pid) == f"{NAME_MARK}{pid}"]
            unnamed = [pid for pid in children if not _name(pid).startswith(NAME_MARK)]
            # The scheduler process is forked first; a worker bears another name for a moment only.
            scheduler = min(unnamed, key=run_directory.process_started, default=0)
            return Family(content.zygote_pid, scheduler, sorted(workers))
    return None


def send(pid: int, number: int, name: str = "") -> bool:
    """Signal a process that is sure to be the one meant: by a descriptor of it, and by its name; False if it is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if name and _name(pid) != name:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def worker_name(pid: int) -> str:
    """What a worker with this pid is called."""
    return f"{NAME_MARK}{pid}"


def is_alive(pid: int) -> bool:
    """Whether a process runs; what nobody has waited for yet has ended."""
    return run_directory.process_started(pid) != 0.0


def own_memory(pid: int) -> int:
    """Bytes that a process has for itself, without what it maps of the store; 0 when it is gone."""
    try:
        _, resident, shared, *_ = (PROC / str(pid) / "statm").read_text().split()
    except OSError:
        return 0
    return (int(resident) - int(shared)) * resource.getpagesize()


def squeeze(pid: int, spare: int) -> tuple[int, int] | None:
    """Let a process open only so many descriptors more; returns its limits until now."""
    try:
        used = len(os.listdir(PROC / str(pid) / "fd"))  # noqa: PTH208
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(soft, used + spare), hard))
    except (ProcessLookupError, FileNotFoundError):
        return None
    return soft, hard


def loosen(pid: int, limits: tuple[int, int]) -> None:
    """Give it its limits back, if it is still there."""
    if is_alive(pid):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()]
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""
