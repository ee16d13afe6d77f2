"""The directory on disk into which one cluster moves objects: private, marked, and swept away when its cluster has died.

    <user cache>/nbray/spill-<epoch>/    0700, made when the first object leaves the store
        cluster.json                     the marker, as in the run directory
        <object id>                      0600, one file for each object

The directory is locked for as long as the scheduler process lives.
A directory whose files are kept in memory (tmpfs) is refused: moving objects there would free nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from nbray import private_folders
from nbray.engine import run_directory
from nbray.errors import UsageError
from nbray.machine import home

PREFIX = "spill-"
_AS_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")


def find(asked: str | os.PathLike[str] | None, mounts: Path = Path("/proc/self/mountinfo")) -> tuple[Path | None, str]:
    """The folder for spill directories, or None and the reason why there is none.

    Raises UsageError when the one that was asked for cannot be used.
    """
    if asked is not None:
        folder = Path(asked).expanduser().absolute()
        trouble = problem(folder, mounts)
        if trouble:
            raise UsageError(
                f"spill_directory={str(asked)!r}: {trouble}. Name a directory on a disk that you can write to, or turn spilling "
                "off: nbray.init(spill_directory=False)."
            )
        return folder, ""
    troubles = []
    for folder in _candidates():
        trouble = private_folders.problem(folder) or problem(folder, mounts)
        if not trouble:
            return folder, ""
        troubles.append(f"{folder} {trouble}")
    return None, f"{'; '.join(troubles)}. Name a directory on a disk: nbray.init(spill_directory=...)"


def _candidates() -> Iterator[Path]:
    if sys.platform == "darwin":
        yield home() / "Library" / "Caches" / "nbray"
    else:
        yield Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "nbray"
    yield Path("/var/tmp") / f"nbray-{os.getuid()}"


def problem(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Why objects cannot be moved to a folder, which need not exist yet; empty when they can."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"cannot be made, because {str(nearest)!r} is no directory"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"cannot be written to, because {str(nearest)!r} is not yours to change"
    kind = file_system(nearest, mounts)
    return f"is kept in memory ({kind}), so that nothing would be gained" if kind in IN_MEMORY else ""


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind of file system that a folder is on; empty where the system does not say."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = mounts.read_text().splitlines()
    except OSError:  # not Linux
        return ""
    kinds = [line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == wanted]
    return kinds[-1] if kinds else ""


def create(directory: Path, run: Path) -> int:
    """Make the directory of the cluster with this run directory; returns its descriptor, which holds the lock.

    What dead clusters have left beside it is removed first. Raises OSError.
    """
    content = run_directory.read(run)
    if content is None:
        raise FileNotFoundError(f"{run} has no {run_directory.FILE_NAME}")
    if directory.parent in _candidates() or not directory.parent.exists():
        private_folders.make(directory.parent)
    sweep(directory.parent)
    directory.mkdir(mode=0o700)
    with contextlib.ExitStack() as undo:
        undo.callback(_unmake, directory)
        descriptor = os.open(directory, _AS_DIRECTORY)
        undo.callback(os.close, descriptor)
        _claim(directory, descriptor, content)
        undo.pop_all()
    return descriptor


def _claim(directory: Path, descriptor: int, content: run_directory.ClusterFile) -> None:
    """Lock and mark a directory that was just made."""
    status = os.fstat(descriptor)
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(errno.EPERM, f"somebody has put another directory in the place of {str(directory)!r}")
    with contextlib.suppress(OSError):  # a file system that knows no locks
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    run_directory.write(directory, content)


def _unmake(directory: Path) -> None:
    """The disk was full, or the process could open no more files: the next try must find nothing of this one."""
    if run_directory.is_private(directory):
        (directory / run_directory.FILE_NAME).unlink(missing_ok=True)
        directory.rmdir()


def sweep(folder: Path) -> None:
    """Remove the spill directories in a folder that are ours, are marked, and whose cluster is dead."""
    for directory in folder.glob(f"{PREFIX}*"):
        content = run_directory.read(directory)
        if content is None:
            run_directory.remove_if_bare(directory)
        elif run_directory.is_private(directory) and _dead(directory, content):
            run_directory.remove_marked(directory)


def sweep_default() -> None:
    """The same where objects go unless a cluster is told otherwise."""
    for folder in _candidates():
        sweep(folder)


def remove(directory: str) -> None:
    """Remove a cluster's own directory, if it has one."""
    if directory:
        shutil.rmtree(directory, ignore_errors=True)


def _dead(directory: Path, content: run_directory.ClusterFile) -> bool:
    """By pid and start time where these mean something; after this machine was started anew, by the lock."""
    if content.machine == run_directory.machine():
        return not run_directory.alive(content)
    same_boot = content.machine.split()[:1] == run_directory.machine().split()[:1]
    return not same_boot and content.host == run_directory.host() and not _locked(directory)


def _locked(directory: Path) -> bool:
    try:
        descriptor = os.open(directory, _AS_DIRECTORY)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)

