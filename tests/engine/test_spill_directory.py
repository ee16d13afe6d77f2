from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nbray.engine import run_directory, spill_directory
from nbray.engine.run_directory import ClusterFile
from nbray.errors import UsageError

MOUNTS = "30 24 {device} / /somewhere rw,relatime shared:1 - {kind} device rw\n"


def descriptors() -> set[str]:
    """Those that this process has open."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def mounts(folder: Path, kind: str, tmp_path: Path) -> Path:
    """A table of mounts in which the folder's device is of this kind."""
    device = folder.stat().st_dev
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS.format(device=f"{os.major(device)}:{os.minor(device)}", kind=kind))
    return path


def content(**changes: object) -> ClusterFile:
    """The marker of a cluster whose zygote is this process."""
    mine = ClusterFile(
        "ab12", "", os.getpid(), run_directory.process_started(os.getpid()), run_directory.machine(), 1,
        host=run_directory.host(),
    )  # fmt: skip
    return msgspec.structs.replace(mine, **changes)


def marked(folder: Path, name: str = "spill-ab12", **changes: Any) -> Path:
    """A spill directory with a file in it."""
    directory = folder / name
    directory.mkdir(mode=0o700)
    run_directory.write(directory, content(**changes))
    (directory / "1f").write_bytes(b"bytes")
    return directory


# ---------------------------------------------------------------- where


def test_the_users_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert spill_directory.find(None, mounts(tmp_path, "ext4", tmp_path)) == (tmp_path / "nbray", "")


def test_a_disk_in_memory_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"spill_directory='.*': is kept in memory \(tmpfs\).*Name a directory on a disk"):
        spill_directory.find(tmp_path, mounts(tmp_path, "tmpfs", tmp_path))


def test_without_any_disk_there_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(spill_directory, "_candidates", lambda: iter([tmp_path / "cache" / "nbray"]))
    folder, reason = spill_directory.find(None, mounts(tmp_path, "tmpfs", tmp_path))
    assert folder is None
    assert reason.startswith(f"{tmp_path / 'cache' / 'nbray'} is kept in memory (tmpfs)")


def test_the_file_system_of_a_real_folder_is_known() -> None:
    assert spill_directory.file_system(Path("/dev/shm")) in ("tmpfs", "")
    assert spill_directory.file_system(Path("/proc")) in ("proc", "")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no directory"):
        spill_directory.find(tmp_path / "file" / "below")


# ---------------------------------------------------------------- made


def test_it_is_private_marked_and_locked(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    run_directory.write(run, content())
    directory = tmp_path / "cache" / "nbray" / "spill-ab12"
    lock = spill_directory.create(directory, run)
    try:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert run_directory.read(directory) == content()
        assert spill_directory._locked(directory)
    finally:
        os.close(lock)
    assert not spill_directory._locked(directory)


def test_another_one_in_its_place_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    run.mkdir()
    run_directory.write(run, content())
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="somebody has put another directory in the place of"):
        spill_directory.create(tmp_path / "spill-ab12", run)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE], ids=["disk", "descriptors"])
def test_what_is_full_leaves_nothing_in_the_way_of_the_next_try(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    run_directory.write(run, content())
    directory = tmp_path / "spill-ab12"
    open_before = descriptors()
    really_open = os.open

    def write(directory: Path, content: ClusterFile) -> None:
        (directory / run_directory.FILE_NAME).touch()
        raise OSError(number, os.strerror(number))

    def open_directory(path: Path, flags: int, *rest: int) -> int:
        if path == directory:
            raise OSError(number, os.strerror(number))
        return really_open(path, flags, *rest)

    with monkeypatch.context() as patch:
        if number == errno.ENOSPC:
            patch.setattr(run_directory, "write", write)
        else:
            patch.setattr(os, "open", open_directory)
        with pytest.raises(OSError, match=os.strerror(number)):
            spill_directory.create(directory, run)
    assert not directory.exists()
    assert descriptors() == open_before
    os.close(spill_directory.create(directory, run))


# ---------------------------------------------------------------- swept


def test_that_of_a_live_cluster_stays(tmp_path: Path) -> None:
    directory = marked(tmp_path)
    spill_directory.sweep(tmp_path)
    assert directory.exists()


def test_that_of_a_dead_cluster_goes(tmp_path: Path) -> None:
    directory = marked(tmp_path, zygote_started=1.0)
    spill_directory.sweep(tmp_path)
    assert not directory.exists()


def test_that_of_an_earlier_boot_goes_unless_it_is_locked(tmp_path: Path) -> None:
    directory = marked(tmp_path, machine="another-boot pid:[4026531836]")
    lock = os.open(directory, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    spill_directory.sweep(tmp_path)
    assert directory.exists()
    os.close(lock)
    spill_directory.sweep(tmp_path)
    assert not directory.exists()


@pytest.mark.parametrize(
    "changes", [{"machine": "another-boot pid:[1]", "host": "another-machine"}, {"machine": f"{run_directory.machine()}x"}]
)
def test_that_of_another_machine_or_container_stays(tmp_path: Path, changes: dict[str, Any]) -> None:
    directory = marked(tmp_path, zygote_started=1.0, **changes)
    spill_directory.sweep(tmp_path)
    assert directory.exists()


def test_what_is_not_marked_or_not_private_stays(tmp_path: Path) -> None:
    unmarked = tmp_path / "spill-notes"
    unmarked.mkdir(mode=0o700)
    (unmarked / "thesis.txt").write_text("years of work")
    shared = marked(tmp_path, "spill-shared", zygote_started=1.0)
    shared.chmod(0o755)
    spill_directory.sweep(tmp_path)
    assert (unmarked / "thesis.txt").exists()
    assert shared.exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = marked(elsewhere, "precious", zygote_started=1.0)
    (tmp_path / "spill-link").symlink_to(target)
    spill_directory.sweep(tmp_path)
    assert (target / "1f").exists()


# ---------------------------------------------------------------- real clusters

PROGRAM = """
import os, sys, time
import nbray
import numpy as np
nbray.init(num_workers=1, memory=32_000_000, spill_directory=sys.argv[1])
refs = [nbray.put(np.full(1_000_000, number)) for number in range(12)]
print(*[int(nbray.get(ref)[5]) for ref in refs], flush=True)
if sys.argv[2] == "wait":
    time.sleep(60)
"""


def start(folder: Path, how: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", PROGRAM, str(folder), how]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


@pytest.mark.local
def test_a_working_set_of_three_stores_and_nothing_left_at_the_end(tmp_path: Path) -> None:
    with start(tmp_path, "end") as process:
        assert process.stdout is not None
        assert process.stdout.read().split() == [str(number) for number in range(12)]
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.local
def test_what_a_cluster_left_that_was_killed_is_swept_by_the_next(tmp_path: Path) -> None:
    with start(tmp_path, "wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline().split()[-1] == "11"
        (directory,) = tmp_path.glob("spill-*")
        marker = run_directory.read(directory)
        assert marker is not None
        zygote = marker.zygote_pid
        children = [int(pid) for pid in Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()]
        for pid in (process.pid, zygote, *children):  # all at once, as if the power had failed
            os.kill(pid, signal.SIGSTOP)
        for pid in (*children, zygote, process.pid):
            os.kill(pid, signal.SIGKILL)
    assert directory.exists()
    assert any(path.name != run_directory.FILE_NAME for path in directory.iterdir())
    with start(tmp_path, "end") as process:
        process.wait(30)
    assert list(tmp_path.iterdir()) == []
    run_directory.sweep()
