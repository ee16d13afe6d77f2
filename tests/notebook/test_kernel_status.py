"""When the kernel is said to be busy, decided without a kernel."""

from __future__ import annotations

from nbray.ids import CellRunId
from nbray.notebook.kernel_status import REMIND_SECONDS, KernelStatus
from nbray.snapshot import CellRunSnapshot


class Said:
    """A status, all that was said ("busy" by the kernel itself, "BUSY" about the cluster), and a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.words: list[str] = []
        self.status = KernelStatus(lambda state: self.words.append(state.upper()), lambda: self.now)

    def report(self, state: str, request: str = "cell") -> None:
        """The kernel speaks about a request."""
        self.status.report(state, request, lambda: self.words.append(state))

    def hear(self, running: int = 0, waiting: int = 0, job: str = "mine") -> bool:
        """The cluster tells of one cell run."""
        return self.status.hear("mine", [CellRunSnapshot(CellRunId("r"), "[1]", job, waiting=waiting, running=running)])


def test_without_work_the_kernel_speaks_for_itself() -> None:
    said = Said()
    said.report("busy")
    assert said.hear() is False
    said.report("idle")
    assert said.words == ["busy", "idle"]


def test_work_that_outlives_its_cell_keeps_the_kernel_busy() -> None:
    said = Said()
    said.report("busy")
    assert said.hear(running=1) is True
    assert said.words == ["busy"], "nothing is said in the midst of a cell: clients wait for its idle"
    said.report("idle")
    said.hear(waiting=1)
    said.hear()
    assert said.words == ["busy", "idle", "BUSY", "IDLE"]


def test_the_end_of_work_does_not_make_a_running_cell_idle() -> None:
    said = Said()
    said.hear(running=1)
    said.report("busy")
    said.hear()
    said.report("idle")
    assert said.words == ["BUSY", "busy", "idle"]


def test_a_request_beside_the_cell_does_not_end_it() -> None:
    said = Said()
    said.hear(running=1)
    said.report("busy", "cell")
    said.report("busy", "completion")
    said.report("idle", "completion")
    said.hear()
    said.report("idle", "cell")
    assert said.words == ["BUSY", "busy", "busy", "idle", "idle"]


def test_work_of_others_is_none_of_ours() -> None:
    said = Said()
    assert said.hear(running=3, job="another notebook") is False
    assert said.words == []


def test_work_that_goes_on_for_long_is_said_again() -> None:
    said = Said()
    for _ in range(3):
        said.hear(running=1)
    said.now += REMIND_SECONDS
    said.hear(running=1)
    said.hear(running=1)
    assert said.words == ["BUSY", "BUSY"]


def test_a_cluster_that_is_gone_has_no_work() -> None:
    said = Said()
    said.hear(running=1)
    assert said.status.hear("mine", []) is False
    assert said.words == ["BUSY", "IDLE"]
