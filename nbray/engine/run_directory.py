"""The run directory of a cluster: private, randomly named, and swept away when its cluster died without doing so.

    nbray-<epoch>/           0700, under XDG_RUNTIME_DIR or Jupyter's runtime directory
        jobs.jsonl           which jobs have joined it since (`engine.job_list`)
        cluster.json         marker and connection file, 0600: who made it, which job, the zygote's pid and start time
        scheduler.sock       task plane
        observer.sock        observer plane
        logs/                one file a process
        failures/            the frames of failed tasks (`nbray.frame_snapshots`)
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nbray.errors import StartFailed
from nbray.machine import home
from nbray.unreadable import UNREADABLE

PREFIX = "nbray-"
FILE_NAME = "cluster.json"
MOST_REMOVALS = 3
BARE_SECONDS = 60.0
"""Between the making of a directory and its marker there is less than a millisecond."""
LONGEST_SOCKET = 80


class ClusterFile(msgspec.Struct, frozen=True):
    """What `cluster.json` says."""

    epoch: str
    job: str
    zygote_pid: int
    zygote_started: float
    """Start time of that process, so that a pid that was given to another process is told apart."""
    machine: str
    """Where that pid means something: a home directory may be shared by machines and containers."""
    protocol: int
    num_workers: int = 0
    store_limit: int = 0
    spill_directory: str = ""
    """Where the cluster moves objects that its store has no room for."""
    host: str = ""
    notebook: str = ""
    """The path of the notebook that started it, where that is known."""


def parent() -> Path:
    """The directory for run directories: ours alone, or an error that says what to do."""
    for candidate in _candidates():
        if is_private(candidate) and len(os.fsencode(candidate)) < LONGEST_SOCKET:
            return candidate
    fallback = Path(tempfile.gettempdir()) / f"nbray-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        fallback.mkdir(mode=0o700)
    if not is_private(fallback):
        raise StartFailed(
            f"{str(fallback)!r} is not a directory that only you can enter: remove it, or set XDG_RUNTIME_DIR to one that is"
        )
    return fallback


def _candidates() -> Iterator[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        yield Path(runtime)
    jupyter = os.environ.get("JUPYTER_RUNTIME_DIR")
    if jupyter:
        yield Path(jupyter)
    elif sys.platform == "darwin":
        yield home() / "Library" / "Jupyter" / "runtime"
    else:
        yield Path(os.environ.get("JUPYTER_DATA_DIR") or home() / ".local" / "share" / "jupyter") / "runtime"


def is_private(directory: Path) -> bool:
    """Whether it is a directory of ours that nobody else can enter."""
    try:
        status = directory.lstat()
    except (OSError, ValueError):  # a ValueError for a path that is none
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


def create(directory: Path, content: ClusterFile) -> None:
    """Make a fresh run directory, marked at once, with its folder of logs. Raises OSError."""
    directory.mkdir(mode=0o700)
    write(directory, content)
    (directory / "logs").mkdir(mode=0o700)
    (directory / "failures").mkdir(mode=0o700)


def write(directory: Path, content: ClusterFile) -> None:
    """Write `cluster.json`; nobody else can read it at any moment."""
    descriptor = os.open(directory / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(content))


def read(directory: Path) -> ClusterFile | None:
    """The cluster that a run directory belongs to; None when the file is missing or is not ours to understand."""
    try:
        return msgspec.json.decode((directory / FILE_NAME).read_bytes(), type=ClusterFile)
    except (OSError, ValueError, *UNREADABLE):  # a ValueError for a path that is none
        return None


def alive(content: ClusterFile) -> bool:
    """Whether the cluster's zygote still runs, here."""
    if content.machine != machine():
        return False
    started = process_started(content.zygote_pid)
    return started > 0 and abs(started - content.zygote_started) < 1.0


def machine() -> str:
    """Names the set of processes that this one belongs to: this boot of this machine, and the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return platform.node()


def host() -> str:
    """The machine's own name, which outlives a boot."""
    return platform.node()


def process_started(pid: int) -> float:
    """When a process began, in seconds on a clock that nobody sets (Linux: since boot); 0 when there is none."""
    if sys.platform == "linux":
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return 0.0 if state == "Z" else int(fields[18]) / os.sysconf("SC_CLK_TCK")
    import psutil

    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return 0.0


def clusters() -> Iterator[tuple[Path, ClusterFile]]:
    """The run directories of ours whose cluster is alive."""
    for directory in parent().glob(f"{PREFIX}*"):
        content = read(directory)
        if content is not None and alive(content):
            yield directory, content


def wait_until_gone(directory: Path, seconds: float) -> None:
    """Wait until a cluster that was told to stop has removed its directory and ended; it is not our child."""
    content = read(directory)
    deadline = time.monotonic() + seconds
    while content is not None and (directory.exists() or alive(content)) and time.monotonic() < deadline:
        time.sleep(0.005)


def sweep() -> None:
    """Remove the run directories of ours that are marked and whose cluster is dead."""
    for directory in parent().glob(f"{PREFIX}*"):
        content = read(directory)
        if content is not None and content.machine == machine() and is_private(directory) and not alive(content):
            remove(directory)
        elif content is None:
            remove_if_bare(directory)


def remove(directory: Path) -> None:
    """Remove the run directory of a cluster that has ended, and before it what it moved to disk, wherever that is.

    A marker says there too whether it is this cluster's. A driver that leaves at the same moment may write the note of that
    after the folder was looked through, which keeps the folder: so it is looked at again.
    """
    content = read(directory)
    if content is not None and content.spill_directory:
        spilled = Path(content.spill_directory)
        if read(spilled) == content and is_private(spilled):
            remove_marked(spilled)
    for _ in range(MOST_REMOVALS):
        remove_marked(directory)
        if not directory.exists():
            break


def remove_marked(directory: Path) -> None:
    """Remove a directory, its marker last: who is killed in the middle of it leaves what the next sweep knows again."""
    if directory.is_symlink():
        return
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(directory)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != FILE_NAME:
                with contextlib.suppress(FileNotFoundError):  # two sweep at once
                    Path(entry.path).unlink()
        (directory / FILE_NAME).unlink(missing_ok=True)
        directory.rmdir()


def remove_if_bare(directory: Path) -> None:
    """Remove a directory of ours that has at most an empty marker in it: who made it was killed before it could write that."""
    with contextlib.suppress(OSError):
        if is_private(directory) and time.time() - directory.lstat().st_mtime > BARE_SECONDS:
            marker = directory / FILE_NAME
            if marker.is_file() and not marker.stat().st_size:
                marker.unlink()
            directory.rmdir()
