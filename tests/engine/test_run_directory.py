"""Private, marked, and swept only when the cluster is surely dead."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nbray.engine import job_list, run_directory
from nbray.engine.job_list import Member
from nbray.engine.run_directory import ClusterFile
from nbray.errors import StartFailed


def content(**changes: object) -> ClusterFile:
    started = run_directory.process_started(os.getpid())
    this = ClusterFile("epoch", "job", os.getpid(), started, run_directory.machine(), protocol=1)
    return msgspec.structs.replace(this, **changes)


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty private directory as XDG_RUNTIME_DIR."""
    with tempfile.TemporaryDirectory() as name:  # shorter than tmp_path
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


class TestParent:
    def test_the_runtime_directory_comes_first(self, parent: Path) -> None:
        assert run_directory.parent() == parent

    @pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
    def test_one_that_others_can_enter_is_passed_over(
        self, parent: Path, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jupyter = parent / "jupyter"
        jupyter.mkdir(mode=0o700)
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(jupyter))
        parent.chmod(mode)
        assert run_directory.parent() == jupyter
        parent.chmod(0o700)

    def test_a_long_path_is_passed_over(self, parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        long = parent / ("x" * 80)
        long.mkdir(mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(parent))
        assert run_directory.parent() == parent

    def test_without_either_it_is_made_private_in_the_temporary_directory(
        self, parent: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fall_back_to(parent, monkeypatch)
        previous = os.umask(0)
        try:
            directory = run_directory.parent()
        finally:
            os.umask(previous)
        assert directory == parent / f"nbray-{os.getuid()}"
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert run_directory.parent() == directory

    @pytest.mark.parametrize("trap", ["open to others", "a link", "a file", "another user's"])
    def test_one_that_somebody_has_prepared_is_refused(self, parent: Path, trap: str, monkeypatch: pytest.MonkeyPatch) -> None:
        fall_back_to(parent, monkeypatch)
        prepared = parent / f"nbray-{os.getuid()}"
        if trap == "open to others":
            prepared.mkdir()
            prepared.chmod(0o777)
        elif trap == "a link":
            (parent / "elsewhere").mkdir(mode=0o700)
            prepared.symlink_to(parent / "elsewhere")
        elif trap == "a file":
            prepared.touch(mode=0o600)
        else:
            other = os.getuid() + 1
            monkeypatch.setattr(os, "getuid", lambda: other)
            (parent / f"nbray-{other}").mkdir(mode=0o700)
        with pytest.raises(StartFailed, match="not a directory that only you can enter: remove it, or set XDG_RUNTIME_DIR"):
            run_directory.parent()


def fall_back_to(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(directory / "missing"))
    monkeypatch.setattr(tempfile, "tempdir", str(directory))


class TestFiles:
    def test_a_fresh_directory_is_private_and_never_taken_over(self, parent: Path) -> None:
        previous = os.umask(0)
        try:
            directory = parent / "nbray-1234"
            run_directory.create(directory, content())
        finally:
            os.umask(previous)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert stat.S_IMODE((directory / "logs").stat().st_mode) == 0o700
        assert stat.S_IMODE((directory / "cluster.json").stat().st_mode) == 0o600
        assert run_directory.read(directory) == content()
        with pytest.raises(FileExistsError):
            run_directory.create(directory, content())
        with pytest.raises(FileExistsError):
            run_directory.write(directory, content())

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"epoch": 5}', '{"epoch": "x"}'])
    def test_what_is_not_to_be_understood_is_nobodys(self, parent: Path, text: str) -> None:
        directory = parent / "nbray-1234"
        directory.mkdir(mode=0o700)
        assert run_directory.read(directory) is None
        (directory / "cluster.json").write_text(text)
        assert run_directory.read(directory) is None
        run_directory.sweep()
        assert directory.exists()
        assert list(run_directory.clusters()) == []


class TestAlive:
    def test_this_process_is(self) -> None:
        assert run_directory.alive(content())

    def test_a_pid_that_was_given_to_another_process_is_not(self) -> None:
        assert not run_directory.alive(content(zygote_started=run_directory.process_started(os.getpid()) - 5))

    def test_nor_is_a_process_that_was_never_there(self) -> None:
        assert run_directory.process_started(2**22 + 1) == 0.0
        assert not run_directory.alive(content(zygote_pid=2**22 + 1))

    def test_nor_what_runs_on_another_machine(self) -> None:
        assert not run_directory.alive(content(machine="another boot"))

    @pytest.mark.local
    def test_nor_a_zombie(self) -> None:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        started = run_directory.process_started(process.pid)
        assert started >= run_directory.process_started(os.getpid()) > 0
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert run_directory.process_started(process.pid) == 0.0
        process.communicate()


class TestSweep:
    def put(self, epoch: str, record: ClusterFile) -> Path:
        directory = run_directory.parent() / f"nbray-{epoch}"
        run_directory.create(directory, record)
        (directory / "logs" / "worker-0.log").touch()
        return directory

    def test_only_what_is_ours_marked_and_dead_goes(self, parent: Path) -> None:
        dead = content(zygote_pid=2**22 + 1)
        alive = self.put("alive", content())
        gone = self.put("dead", dead)
        elsewhere = self.put("elsewhere", msgspec.structs.replace(dead, machine="another boot"))
        unmarked = parent / "nbray-unmarked"
        (unmarked / "logs").mkdir(mode=0o700, parents=True)
        opened = self.put("opened", dead)
        opened.chmod(0o755)
        foreign = parent / "other-dead"
        gone.rename(foreign)  # marked and dead, but not by our name
        gone = self.put("dead", dead)
        run_directory.sweep()
        assert not gone.exists()
        assert all(directory.exists() for directory in (alive, elsewhere, unmarked, opened, foreign))
        assert [directory for directory, _ in run_directory.clusters()] == [alive]

    def test_a_link_is_not_followed(self, parent: Path, tmp_path: Path) -> None:
        (tmp_path / "precious").mkdir(mode=0o700)
        run_directory.write(tmp_path / "precious", content(zygote_pid=2**22 + 1))
        (parent / "nbray-link").symlink_to(tmp_path / "precious")
        run_directory.sweep()
        assert (tmp_path / "precious" / "cluster.json").exists()

    def test_links_inside_are_removed_and_not_what_they_point_to(self, parent: Path, tmp_path: Path) -> None:
        (tmp_path / "precious").touch()
        directory = self.put("dead", content(zygote_pid=2**22 + 1))
        (directory / "logs" / "link").symlink_to(tmp_path)
        run_directory.sweep()
        assert not directory.exists()
        assert (tmp_path / "precious").exists()

    def test_what_a_driver_writes_as_it_leaves_does_not_stay(self, parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        directory = self.put("dead", content())
        rmdir, written = os.rmdir, list[Path]()

        def late(path: str | Path, **place: int) -> None:
            if Path(path).name == directory.name and not written:
                job_list.note(directory, Member("job", left=True))
                written.extend(directory.iterdir())
            rmdir(path, **place)

        monkeypatch.setattr(os, "rmdir", late)
        run_directory.remove(directory)
        assert [path.name for path in written] == [job_list.FILE_NAME]
        assert not directory.exists()

    def test_a_removal_that_was_cut_short_is_taken_up_by_the_next(self, parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        directory = self.put("dead", content(zygote_pid=2**22 + 1))
        for number in range(3):
            (directory / f"file-{number}").touch()

        class Killed(BaseException):
            pass

        unlink, gone = Path.unlink, list[str]()

        def unlink_two(path: Path, *, missing_ok: bool = False) -> None:
            if len(gone) == 2:
                raise Killed
            gone.append(path.name)
            unlink(path, missing_ok=missing_ok)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", unlink_two)
            with pytest.raises(Killed):
                run_directory.sweep()
        assert run_directory.FILE_NAME not in gone
        run_directory.sweep()
        assert not directory.exists()

    def test_what_it_moved_to_disk_goes_before_what_says_where(self, parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (spilled := parent / "elsewhere").mkdir(mode=0o700)
        record = content(zygote_pid=2**22 + 1, spill_directory=str(spilled))
        run_directory.write(spilled, record)
        directory = self.put("dead", record)
        remove, gone = run_directory.remove_marked, list[Path]()

        def note(path: Path) -> None:
            gone.append(path)
            remove(path)

        monkeypatch.setattr(run_directory, "remove_marked", note)
        run_directory.sweep()
        assert gone == [spilled, directory]
        assert not spilled.exists()

    def test_a_bare_one_whose_maker_was_killed_goes_after_a_while(self, parent: Path) -> None:
        fresh, old, used = (parent / f"nbray-{name}" for name in ("fresh", "old", "used"))
        for directory in (fresh, old, used):
            directory.mkdir(mode=0o700)
        (used / "file").touch()
        for directory in (old, used):
            os.utime(directory, (0, 0))
        run_directory.sweep()
        assert [directory.exists() for directory in (fresh, old, used)] == [True, False, True]

    def test_waiting_for_the_end_ends(self, parent: Path) -> None:
        directory = self.put("alive", content())
        run_directory.wait_until_gone(directory, 0.01)
        assert directory.exists()
        run_directory.wait_until_gone(parent / "nbray-none", 10)
