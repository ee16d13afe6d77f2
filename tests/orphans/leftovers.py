"""What a cluster has on a machine, and what of it is still there: processes, shared memory, names, files, sockets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from nbray.engine import run_directory, spill_directory

PROC = Path("/proc")
SHARED_MEMORY = Path("/dev/shm")
Process = tuple[int, float]
"""Pid and start time: a pid that was given away again is another process."""


@dataclass(frozen=True)
class Family:
    """The processes of one notebook, and the shared memory without a name that they hold."""

    processes: frozenset[Process]
    memory: frozenset[tuple[int, int]]
    """Device and inode of each memfd."""
    names: frozenset[str]
    """In /dev/shm."""


def known(pids: Iterable[int]) -> Iterator[Process]:
    """Those of the processes that are there."""
    for pid in pids:
        started = run_directory.process_started(pid)
        if started:
            yield pid, started


def marked(mark: str) -> frozenset[int]:
    """All processes in whose environment the mark stands, whoever their parent is."""
    found = set()
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:  # it has ended, or is another user's
                continue
            if mark.encode() in environment:
                found.add(int(entry.name))
    return frozenset(found)


def below(pid: int) -> set[int]:
    """A process and all that descend from it."""
    try:
        return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    except psutil.NoSuchProcess:
        return set()


def children(pid: int) -> list[int]:
    """The processes whose parent this one is, the oldest first."""
    try:
        found = psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []
    return [child.pid for child in sorted(found, key=lambda child: (child.create_time(), child.pid))]


def family(pids: Iterable[int]) -> Family:
    """What these processes are and have."""
    processes = frozenset(known(pids))
    memory, names = set(), set()
    for pid, _ in processes:
        for target, status in _open_files(pid):
            if target.startswith("/memfd:"):
                memory.add((status.st_dev, status.st_ino))
            elif target.startswith(f"{SHARED_MEMORY}/"):
                names.add(target)
    return Family(processes, frozenset(memory), frozenset(names))


def _open_files(pid: int) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = list((PROC / str(pid) / "fd").iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            yield str(entry.readlink()), entry.stat()
        except OSError:  # closed meanwhile
            continue


def alive(processes: Iterable[Process]) -> list[int]:
    """Those that have not ended."""
    return sorted(pid for pid, started in processes if run_directory.process_started(pid) == started)


def left(of: Family, scratch: Path) -> list[str]:
    """What there is beside processes, one line each; processes must have ended before."""
    lines = [f"file {path.relative_to(scratch)}" for path in sorted(scratch.rglob("*")) if _counts(path)]
    lines += [f"socket {path}" for path in _socket_paths() if path.startswith(str(scratch))]
    lines += [f"name {name}" for name in sorted(of.names) if Path(name).exists()]
    lines += [f"name {path}" for path in SHARED_MEMORY.iterdir() if "nbray" in path.name]
    lines += [f"shared memory {inode} in process {pid}" for pid, inode in _holders(of.memory)]
    return lines


def _counts(path: Path) -> bool:
    """The folders in which clusters make theirs may stay."""
    return not path.is_dir() or path.name.startswith((run_directory.PREFIX, spill_directory.PREFIX))


def _socket_paths() -> Iterator[str]:
    for line in (PROC / "net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8:
            yield fields[7]


def _holders(memory: frozenset[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Processes that hold or map one of these, whoever they are."""
    inodes = {inode for _, inode in memory}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        for target, status in _open_files(pid):
            if target.startswith("/memfd:") and (status.st_dev, status.st_ino) in memory:
                yield pid, status.st_ino
        try:
            lines = (entry / "maps").read_text().splitlines()
        except OSError:
            continue
        for fields in (line.split(maxsplit=5) for line in lines if "/memfd:" in line):
            if int(fields[4]) in inodes:
                yield pid, int(fields[4])


def describe(pid: int) -> str:
    """A process that is left, with what is needed to find where it came from."""
    place = PROC / str(pid)
    try:
        command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:80]
        name, state = (place / "comm").read_text().strip(), (place / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return f"process {pid}, which has ended just now"
    return f"process {pid} ({name!r}, state {state[0]}, child of {state[1]}): {command}"
