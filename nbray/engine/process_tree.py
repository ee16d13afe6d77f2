"""Ending processes with all that descends from them, by pid and never by name."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Collection
from pathlib import Path

WORKER_MARK = "NBRAY_WORKER"
"""Environment variable of all that a worker starts: the worker's pid, so that strays find their owner."""

NAME_MARK = "nbray:"
"""The same in the process's name, for what a worker forks: the environment that the system shows is that of the exec."""

LIMIT_MARK = 0x6E62
"""The same in a limit that Linux keeps, hands down and heeds no more, for a daemon that has shed both: its upper bits."""
_LIMIT_BITS = 46
_LIMIT_NAME = b"Max resident set"

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Let orphaned descendants become children of this process, where the system can (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def mark_worker() -> None:
    """Let this process be known as the owner of all that will descend from it."""
    os.environ[WORKER_MARK] = str(os.getpid())
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_RSS)
        if hard == resource.RLIM_INFINITY:  # else somebody sees to it, and the mark would not fit
            resource.setrlimit(resource.RLIMIT_RSS, ((LIMIT_MARK << _LIMIT_BITS) + os.getpid(), hard))
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NAME, f"{NAME_MARK}{os.getpid()}".encode(), 0, 0, 0)


def end_group(leader: int, *, reaped: bool = False) -> None:
    """SIGKILL a process that leads its own session, with its process group; of a reaped leader only the group is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    if not reaped:  # it may not have reached setsid yet
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, signal.SIGKILL)


def end_strays(known: Collection[int], owners_alive: Collection[int]) -> None:
    """SIGKILL and reap the children of this process that are not `known` and whose worker is no longer alive.

    A child becomes ours by orphaning, one that left its worker's session included. Killing one may orphan its own
    children into our hands, so this goes on until a pass finds none.
    """
    while True:
        strays = [pid for pid in _children() if pid not in known and _owner(pid) not in owners_alive]
        if not strays:
            return
        for pid in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def end_descendants(workers: Collection[int]) -> None:
    """SIGKILL what these workers have started, and what bears their mark whoever its parent is now.

    For when the zygote is no more; outside Linux, their groups are all that can be found.
    """
    if sys.platform != "linux":
        return
    pids = {pid for worker in workers for pid in _descendants(worker)}
    pids |= {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _owner(int(entry.name)) in workers}
    for pid in pids.difference(workers):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has just ended
            for child in thread.read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _children() -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except FileNotFoundError:  # no such file outside Linux, and in kernels built without it
        import psutil

        return [child.pid for child in psutil.Process().children()]


def _owner(pid: int) -> int:
    """The pid of the worker under which a process was started, 0 when it cannot be told."""
    with contextlib.suppress(OSError):
        title = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()  # anybody names his processes as he likes
        if title.startswith(NAME_MARK) and title.removeprefix(NAME_MARK).isdecimal():
            return int(title.removeprefix(NAME_MARK))
        for line in Path(f"/proc/{pid}/limits").read_bytes().splitlines():
            if line.startswith(_LIMIT_NAME):
                soft = line.removeprefix(_LIMIT_NAME).split()[0]
                if soft.isdigit() and int(soft) >> _LIMIT_BITS == LIMIT_MARK:
                    return int(soft) & ((1 << _LIMIT_BITS) - 1)
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == WORKER_MARK.encode() and value.isdigit():
                return int(value)
    return 0
