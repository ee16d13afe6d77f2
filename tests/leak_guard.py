"""Fails a test after which something of it is left: a process, a thread, a descriptor (of a file, pipe, socket or memory), a
map of memory without a name, a file or folder of nbray's.

The guard compares what exists after a test, teardown included, with what existed before it. A fixture of a wider scope
(a cluster that a module's tests share) needs no registration: what appears while it is set up belongs to it, with all
processes that descend from it, until it is torn down; then it must be gone like anything else.

Processes are found by a mark in their environment, so that grandchildren and orphans are seen too. What is on its way
out gets `GRACE` seconds. Leftovers are reported once and leaked processes killed: they would disturb later tests.
"""

from __future__ import annotations

import gc
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

GRACE = 2.0
MARK = "NBRAY_TEST_SESSION"
PROC = Path("/proc")
KTHREADD = 2
FOREIGN = b"foreign"
SHARED_MEMORY = Path("/dev/shm")
_MAPPED = re.compile(rb" (\d+) +/memfd:nbray")


@dataclass(frozen=True)
class Belongings:
    """What this session had at one moment."""

    processes: frozenset[int] = frozenset()
    threads: frozenset[threading.Thread] = frozenset()
    descriptors: frozenset[tuple[int, int, int]] = frozenset()
    """Descriptor, device and inode: a number that now stands for another file is a new descriptor."""
    paths: frozenset[str] = frozenset()
    memory: frozenset[int] = frozenset()
    """Inodes of nbray's nameless memory that this process maps; it outlives its descriptors."""

    def __sub__(self, other: Belongings) -> Belongings:
        return Belongings(
            self.processes - other.processes,
            self.threads - other.threads,
            self.descriptors - other.descriptors,
            self.paths - other.paths,
            self.memory - other.memory,
        )

    def __or__(self, other: Belongings) -> Belongings:
        return Belongings(
            self.processes | other.processes,
            self.threads | other.threads,
            self.descriptors | other.descriptors,
            self.paths | other.paths,
            self.memory | other.memory,
        )

    def __bool__(self) -> bool:
        return bool(self.processes or self.threads or self.descriptors or self.paths or self.memory)


class ProcessTable:
    """Finds the processes of this session; remembers which pids are somebody else's, so that a look costs little."""

    def __init__(self, mark: str) -> None:
        self._mark = f"{MARK}={mark}".encode()
        self._foreign: set[int] = {os.getpid()}

    def ours(self) -> frozenset[int]:
        """All live processes that bear the mark, and all direct children, marked or not."""
        if not PROC.is_dir():
            return frozenset()
        pids = {int(name) for name in os.listdir(PROC) if name.isdigit()}  # noqa: PTH208 (a third of iterdir's time)
        self._foreign &= pids
        environments = {pid: _environment(pid) for pid in pids - self._foreign}
        self._foreign |= {pid for pid, text in environments.items() if text and self._mark not in text}
        return frozenset({pid for pid, text in environments.items() if self._mark in text} | _children())


def _environment(pid: int) -> bytes:
    """A process's environment; FOREIGN for the kernel's and other users', b"" for one that has ended.

    In the middle of an exec it reads as empty too, which must not pass for a foreign process: so look again.
    """
    for _ in range(20):
        try:
            if text := (PROC / str(pid) / "environ").read_bytes():
                return text
        except PermissionError:
            return FOREIGN
        except OSError:  # it has no memory: a thread of the kernel, a zombie, or gone
            pass
        state, parent = _state(pid)
        if state in ("Z", "X", ""):
            return b""
        if parent in (0, KTHREADD):
            return FOREIGN
        time.sleep(0.001)
    return b""


def _state(pid: int) -> tuple[str, int]:
    """State letter and parent of a process; empty and 0 when it has ended."""
    try:
        state, parent = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "", 0
    return state, int(parent)


def _children() -> set[int]:
    found: set[int] = set()
    for thread in threading.enumerate():
        try:
            text = (PROC / f"self/task/{thread.native_id}/children").read_text()
        except OSError:  # the thread ended meanwhile
            continue
        found.update(int(pid) for pid in text.split())
    return found


def _descriptors() -> frozenset[tuple[int, int, int]]:
    found = []
    for name in os.listdir("/dev/fd"):  # noqa: PTH208
        try:
            status = os.fstat(int(name))
        except OSError:  # the descriptor of the listing itself
            continue
        found.append((int(name), status.st_dev, status.st_ino))
    return frozenset(found)


def _descends(pid: int, ancestors: frozenset[int]) -> bool:
    while pid > 1:
        if pid in ancestors:
            return True
        pid = _state(pid)[1]
    return False


def _entries(directory: Path) -> Iterator[str]:
    """Entries of the runtime directory and one level below; a bare `nbray/` that holds nothing is no leftover."""
    for entry in os.scandir(directory):
        below = os.listdir(entry.path) if entry.is_dir() else [""]  # noqa: PTH208
        yield from (f"run directory entry {entry.name}/{name}".rstrip("/") for name in below)


def _mapped() -> frozenset[int]:
    try:
        return frozenset(int(inode) for inode in _MAPPED.findall((PROC / "self/maps").read_bytes()))
    except OSError:  # not Linux
        return frozenset()


class LeakGuard:
    """The pytest plugin; `runtime_directory` is where nbray makes its run directories in this session.

    `elsewhere` are other places where it might leave something, each with the pattern of the names that are nbray's.
    """

    def __init__(
        self, runtime_directory: Path, grace: float = GRACE, elsewhere: Sequence[tuple[Path, str]] = ((SHARED_MEMORY, "*nbray*"),)
    ) -> None:
        self.mark = secrets.token_hex(8)
        self._runtime_directory = runtime_directory
        self._grace = grace
        self._elsewhere = elsewhere
        self._table = ProcessTable(self.mark)
        self._before = Belongings()
        self._owned: dict[Any, Belongings] = {}
        self._has_clusters = True
        """Whether the test starts processes: what memory this one maps takes a millisecond to read."""

    def snapshot(self) -> Belongings:
        """What this session has now."""
        return Belongings(
            self._table.ours(),
            frozenset(threading.enumerate()),
            _descriptors(),
            self._paths(),
            _mapped() if self._has_clusters else frozenset(),
        )

    def _paths(self) -> frozenset[str]:
        found = set(_entries(self._runtime_directory))
        for directory, pattern in self._elsewhere:
            found.update(f"{path}" for path in directory.glob(pattern))
        return frozenset(found)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        self._has_clusters = item.get_closest_marker("local") is not None
        self._before = self._unowned()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        result = yield
        left = self._wait_for_end()
        if left:
            report = "\n".join(_describe(left))
            _kill(left.processes)
            pytest.fail(f"{item.nodeid} left behind:\n{report}", pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        before = self.snapshot()
        result = yield
        self._owned[fixturedef] = self.snapshot() - before
        return result

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        self._owned.pop(fixturedef, None)

    def _unowned(self) -> Belongings:
        """What this session has now and no fixture of a wider scope owns."""
        owned = Belongings()
        for belongings in self._owned.values():
            owned |= belongings
        rest = self.snapshot() - owned
        orphans = frozenset(pid for pid in rest.processes if not _descends(pid, owned.processes))
        memory = rest.memory - {inode for _, _, inode in owned.descriptors}  # mapped at first use, but theirs
        return Belongings(orphans, rest.threads, rest.descriptors, rest.paths, memory)

    def _wait_for_end(self) -> Belongings:
        """What is left once everything that is ending had its time to end."""
        left = self._unowned() - self._before
        if not left:
            return left
        deadline = time.monotonic() + self._grace
        gc.collect()
        while (left := self._unowned() - self._before) and time.monotonic() < deadline:
            time.sleep(0.01)
            gc.collect()  # again: a thread that has ended since may have held a circle together
        return left


def _describe(left: Belongings) -> list[str]:
    """One line for each leftover, with what is needed to find where it came from."""
    lines = [f"  process {pid} ({_command(pid)})" for pid in sorted(left.processes)]
    lines += [f"  thread {thread.name!r} (daemon={thread.daemon})" for thread in left.threads]
    lines += [f"  file descriptor {number} -> {_target(number)}" for number, _, _ in sorted(left.descriptors)]
    lines += [f"  nameless memory {inode}, which is still mapped" for inode in sorted(left.memory)]
    return lines + [f"  {path}" for path in sorted(left.paths)]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _command(pid: int) -> str:
    command = _read(PROC / str(pid) / "cmdline")
    return command[:200] if command else "a zombie: nobody waited for it"


def _target(number: int) -> str:
    try:
        target = str((PROC / f"self/fd/{number}").readlink())
    except OSError:
        return "?"
    return f"{target} {_addresses(number)}" if target.startswith("socket:") else target


def _addresses(number: int) -> str:
    """From where to where a socket goes, as far as it can be told."""
    with socket.socket(fileno=os.dup(number)) as copy:
        kind = f"{copy.family.name} {copy.type.name}"
        try:
            return f"{kind} {copy.getsockname()!r} to {copy.getpeername()!r}"
        except OSError:  # it is not connected
            return f"{kind} {copy.getsockname()!r}"


def _kill(pids: frozenset[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        try:
            os.waitpid(pid, 0)  # a child of ours: else its corpse would be the next test's leftover
        except ChildProcessError:
            continue


