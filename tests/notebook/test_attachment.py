"""Which cells `%nbray attach` shows, and what it says above them; all of it with kernels is in `test_kernel_attach`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray import introspection, session
from nbray.errors import UsageError
from nbray.ids import CellRunId, ObjectId
from nbray.notebook.attached import Attached
from nbray.notebook.attachment import Attachment, chosen, head_of
from nbray.notebook.background import Background
from nbray.notebook.display import TerminalDisplay
from nbray.notebook.promises import Promise
from nbray.notebook.remote_cell import CellOutcome
from nbray.objects import ObjectRef, put
from nbray.snapshot import CellRunSnapshot, LeftCellRun
from nbray.tables import Rows
from tests.fakes import FakeBackend, fake_session


def row(number: int, *, open: int = 0, job: str = "mine", **values: Any) -> LeftCellRun:
    counts = CellRunSnapshot(CellRunId(f"c{number}"), f"cell [{number}]", job, running=open, succeeded=1 - open)
    return LeftCellRun(counts, **values)


def numbers(rows: list[LeftCellRun]) -> list[str]:
    return [str(each.counts.cell_run) for each in rows]


def test_cells_that_go_on_and_those_that_were_missed_are_shown() -> None:
    promise = Promise(kind="cell", ids=[ObjectId(7)]).encode()
    rows = [
        row(1), row(2, missed=True), row(3, results=[ObjectId(7)], notes=[promise]), row(4, notes=[promise]), row(5, open=1),
        row(6),
    ]  # fmt: skip
    assert numbers(chosen(rows, None)) == ["c2", "c3", "c5"]


def test_without_any_the_latest_is_shown_again() -> None:
    assert numbers(chosen([row(1), row(2)], None)) == ["c2"]
    assert chosen([], None) == []


def test_the_latest_cell_of_a_number_is_shown() -> None:
    rows = [row(4, kept=1), row(5), row(4, kept=2)]
    [found] = chosen(rows, 4)
    assert found.kept == 2
    with pytest.raises(UsageError, match=r"no cell \[9\] has had work on this cluster. Those that have: \[4\], \[5\]"):
        chosen(rows, 9)


@pytest.mark.parametrize(
    ("left", "output", "said"),
    [
        (row(4, open=1, kept=10), "all", "[nbray] cell [4]: runs; all that its tasks have printed"),
        (row(4, open=1, kept=10), "unseen", "[nbray] cell [4]: runs; what its tasks have printed since its kernel was lost"),
        (row(4, ended_ago=5.0), "unseen", "[nbray] cell [4]: ended 5.0 s ago; its tasks have printed nothing"),
    ],
)
def test_what_is_said_above(left: LeftCellRun, output: Literal["unseen", "all"], said: str) -> None:
    assert head_of(left, output) == said


class Left(FakeBackend):
    """A cluster with work that was left behind."""

    job = "mine"

    def __init__(self, rows: list[LeftCellRun]) -> None:
        super().__init__()
        self.rows_left = rows
        self.taken: list[tuple[str, str]] = []

    def left_work(self, *, of_all: bool = False) -> list[LeftCellRun]:
        return self.rows_left

    def take_over(self, cell_run: CellRunId, output: Literal["unseen", "all", "none"] = "none") -> list[ObjectId] | None:
        self.taken.append((cell_run, output))
        return next(each.results for each in self.rows_left if each.counts.cell_run == cell_run)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Left]:
    monkeypatch.setattr(introspection, "list_actors", lambda **equal: Rows(["name", "class_name", "state"]))
    with fake_session():
        session.current.backend = backend = Left([])
        yield backend


def run(backend: Left, shell: InteractiveShell, number: int | None = None, *, of_all: bool = False) -> Attached:
    background = Background(shell, TerminalDisplay())
    return Attachment(shell, TerminalDisplay(), lambda: background, backend).run(number, of_all=of_all)


def left_by(ref: ObjectRef, *wanted: str) -> dict[str, Any]:
    return {"results": [ref.id], "notes": [Promise(kind="cell", ids=[ref.id], wanted=wanted).encode()]}


def test_names_are_brought_and_other_results_can_be_had(cluster: Left, shell: InteractiveShell) -> None:
    outcome, other = put(CellOutcome({"x": 1}, {})), put(5)
    cluster.hold(outcome.id)
    cluster.hold(other.id)
    cluster.rows_left = [row(3, results=[other.id]), row(4, missed=True, kept=9, **left_by(outcome, "x")), row(5)]
    found = run(cluster, shell)
    assert shell.user_ns["x"] == 1
    assert found[4].outcome() == "assigned x"
    assert [ref.id for ref in found[3].refs] == [other.id]
    assert cluster.taken == [("c3", "none"), ("c4", "unseen")]
    assert len(found) == 2


def test_one_cell_is_shown_whole(cluster: Left, shell: InteractiveShell) -> None:
    cluster.rows_left = [row(3), row(4, missed=True)]
    run(cluster, shell, 3)
    assert cluster.taken == [("c3", "all")]


def test_other_notebooks_are_counted_and_shown_when_asked_for(cluster: Left, shell: InteractiveShell) -> None:
    cluster.rows_left = [row(1, job="theirs", open=1, drivers=1), row(2, job="theirs", drivers=1), row(3, job="gone")]
    assert "2 cells of other notebooks" in repr(run(cluster, shell))
    assert repr(run(cluster, shell, of_all=True)).count("another notebook's") == 2
    assert cluster.taken == []


def test_what_is_too_much_to_show_is_said(cluster: Left, shell: InteractiveShell) -> None:
    cluster.rows_left = [row(number, missed=True) for number in range(1, 31)]
    found = run(cluster, shell)
    assert [cell_run for cell_run, output in cluster.taken if output != "none"] == [f"c{number}" for number in range(11, 31)]
    assert "The output of 10 earlier cells is not shown: %nbray attach 4 shows that of [4]." in repr(found)
