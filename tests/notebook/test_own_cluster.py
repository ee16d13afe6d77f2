"""Which cluster a notebook goes to; with kernels it is in `test_kernel_attach`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbray import session
from nbray.engine import job_list, questions, run_directory
from nbray.engine.job_list import Member
from nbray.engine.run_directory import ClusterFile
from nbray.errors import UsageError
from nbray.ids import CellRunId
from nbray.notebook import own_cluster
from nbray.snapshot import CellRunSnapshot, LeftCellRun
from tests.fakes import FakeBackend, fake_session, fresh_session


class Shell:
    user_ns: dict[str, Any] = {}


class Machine:
    """Clusters of this user: their files are there, and this process stands for each zygote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drivers: dict[str, dict[str, int]] = {}
        self.started: list[dict[str, Any]] = []

    def has(self, epoch: str, job: str, notebook: str = "", drivers: int = 0) -> Path:
        directory = self.folder / f"{run_directory.PREFIX}{epoch}"
        directory.mkdir(mode=0o700)
        started = run_directory.process_started(os.getpid())
        content = ClusterFile(epoch, job, os.getpid(), started, run_directory.machine(), 1, notebook=notebook)
        run_directory.write(directory, content)
        self.drivers[epoch] = {job: drivers}
        return directory

    def start(self, address: str, settings: dict[str, Any]) -> FakeBackend:
        self.started.append(settings)
        return FakeBackend()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as name, fresh_session():
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/mine.ipynb")
        machine = Machine(Path(name))
        monkeypatch.setattr(questions, "ask", lambda directory, content, question: machine.drivers[content.epoch])
        monkeypatch.setattr(session.Session, "start", lambda self, address, settings: machine.start(address, settings))
        session.set_defaults(job="kernel-me")
        yield machine


def test_the_own_one_is_joined_by_itself(machine: Machine) -> None:
    machine.has("aa", "kernel-other")
    machine.has("bb", "kernel-me")
    assert own_cluster.join(Shell(), "") is not None
    assert machine.started == [{}]


def test_an_heir_finds_it_too(machine: Machine) -> None:
    job_list.note(machine.has("aa", "kernel-old"), Member("kernel-old", heir="kernel-me"))
    found = own_cluster.lingering()
    assert found is not None
    assert found.epoch == "aa"


def test_an_earlier_kernel_of_the_same_notebook_is_followed(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.has("aa", "kernel-old", "/home/me/mine.ipynb")
    own_cluster.join(Shell(), "")
    notebook = "/home/me/mine.ipynb"
    assert machine.started == [{"cluster": "aa", "job": "kernel-old", "notebook": notebook, "heir": "kernel-me"}]
    assert "joined the cluster aa (mine.ipynb), whose kernel is gone" in capsys.readouterr().out


def test_a_kernel_that_lives_keeps_its_work(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.has("aa", "kernel-old", "/home/me/mine.ipynb", drivers=1)
    assert own_cluster.join(Shell(), "") is None
    assert "Those of yours that run: aa (mine.ipynb)" in capsys.readouterr().out
    own_cluster.join(Shell(), "mine.ipynb")
    assert machine.started[0]["job"] == "kernel-me"
    assert "which is used there too" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["aa", "kernel-old", "/data/train.ipynb", "train.ipynb"])
def test_a_cluster_has_many_names(machine: Machine, word: str) -> None:
    machine.has("aa", "kernel-old", "/data/train.ipynb")
    own_cluster.join(Shell(), word)
    assert machine.started[0]["cluster"] == "aa"


def test_a_name_that_means_none_or_two(machine: Machine) -> None:
    with pytest.raises(UsageError, match="called so: there is none"):
        own_cluster.join(Shell(), "train.ipynb")
    machine.has("aa", "kernel-1", "/a/train.ipynb")
    with pytest.raises(UsageError, match=r"did you mean train.ipynb\? there is aa \(train.ipynb\)"):
        own_cluster.join(Shell(), "trian.ipynb")
    machine.has("bb", "kernel-2", "/b/train.ipynb")
    with pytest.raises(UsageError, match="2 clusters are called so: take the name of one"):
        own_cluster.join(Shell(), "train.ipynb")


def test_where_there_is_none_nothing_starts(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert own_cluster.join(Shell(), "") is None
    assert not own_cluster.goes_on()
    assert machine.started == []
    assert capsys.readouterr().out == "nbray: no cluster of this notebook goes on, so there is nothing to attach to.\n"


def test_a_notebook_uses_one_cluster_at_a_time() -> None:
    with fake_session(), pytest.raises(UsageError, match="%nbray stop ends that, with its tasks and objects"):
        own_cluster.join(Shell(), "train.ipynb")


class Left(FakeBackend):
    def left_work(self, *, of_all: bool = False) -> list[LeftCellRun]:
        counts = [CellRunSnapshot(CellRunId(f"c{n}"), f"cell [{n}]", "") for n in range(8)]
        return [LeftCellRun(each, missed=place != 3) for place, each in enumerate(counts)]


def test_a_kernel_that_finds_its_cluster_says_what_went_on() -> None:
    said = own_cluster.left_text(Left())
    assert "left work there: cell [0], cell [1], cell [2], cell [4], cell [5] and 2 more. %nbray attach shows" in said
    assert own_cluster.left_text(FakeBackend()) == ""
    with own_cluster.attaching():
        assert own_cluster.left_text(Left()) == ""
