"""A manifest in the making: when a cell run is over, and what is known of it until then."""

from __future__ import annotations

import pytest

from nbray.backends.backend import Written
from nbray.ids import CellRunId, TaskId
from nbray.notebook.cell_runs import CellRun
from nbray.notebook.draft import Draft, completed
from nbray.notebook.manifest import FAILED, OK, RUNNING, STOPPED, Piece
from nbray.notebook.stages import Errand, OnWorker
from nbray.snapshot import CellRunSnapshot

TASK = TaskId(7)


@pytest.fixture
def draft() -> Draft:
    draft = Draft(CellRun(CellRunId("run"), 4, None, 1))
    draft.how = "remote"
    return draft


def send(draft: Draft) -> None:
    now = draft.run.began
    draft.errands[TASK] = Errand(now, now, now + 0.1, 0.0)


def counts(waiting: int = 0, running: int = 0, succeeded: int = 0, waits_for: str = "") -> CellRunSnapshot:
    return CellRunSnapshot(CellRunId("run"), "cell [4]", "job", waiting, running, succeeded, elapsed=2.0, waits_for=waits_for)


def test_a_cell_that_waits_for_its_code(draft: Draft) -> None:
    assert not draft.worth_telling
    draft.run.began -= 10.0
    send(draft)
    assert (draft.over, draft.manifest("a").outcome) == (False, RUNNING)
    draft.came(TASK, draft.run.began + 2.0, (Piece("y", "int"),))
    assert not draft.over  # its code in the notebook goes on
    draft.end("%%remote\nimport os\ny = f(x)\n", OK, None)
    assert draft.over
    found = draft.manifest("a.ipynb")
    assert (found.number, found.how, found.line, found.outcome, found.notebook) == (4, "remote", "y = f(x)", OK, "a.ipynb")
    assert found.outputs == (Piece("y", "int"),)


def test_the_code_counts_and_not_the_line_of_the_magic(draft: Draft) -> None:
    draft.end("%%remote --bg\ny = 1\n", OK, None)
    other = Draft(draft.run)
    other.end("%%remote\n\ny = 1", OK, None)
    assert draft.manifest("").code == other.manifest("").code != ""
    other.end("%%remote\ny = 2", OK, None)
    assert draft.manifest("").code != other.manifest("").code


def test_one_in_the_background_is_over_when_its_outcome_has_come(draft: Draft) -> None:
    send(draft)
    draft.end("%%remote --bg\ny = 1", OK, None)
    assert not draft.over
    began = draft.run.began
    draft.errands[TASK] = draft.errands[TASK]._replace(there=OnWorker(began + 1, began + 1, began + 2, began + 3))
    draft.came(TASK, began + 60.0, ())  # fetched between two cells, a minute later
    draft.fail(ValueError("no\nmore"))
    assert draft.over
    found = draft.manifest("")
    assert (found.how, found.outcome, found.error) == ("remote --bg", FAILED, "ValueError: no")
    assert found.stages.total == pytest.approx(3.0)


def test_a_cell_that_submits_tasks(draft: Draft) -> None:
    draft.how = ""
    draft.hear(counts(waiting=2, waits_for="all CPUs held by cell [3]"), 8, 10.0)
    draft.hear(counts(running=2), 8, 11.5)
    draft.end("nbray.map(f, xs)", OK, None)
    assert not draft.over  # nobody has waited for them
    draft.hear(counts(succeeded=2), 8, 12.0)
    assert draft.over
    found = draft.manifest("")
    assert (found.how, found.tasks.count, found.cores, found.waited_for) == ("tasks", 2, 8, "all CPUs held by cell [3]")
    draft.run.began -= 4.0
    stages = draft.manifest("").stages
    assert (stages.queue, stages.run) == (1.5, 0.5)


def test_a_stopped_one_waits_for_nothing(draft: Draft) -> None:
    send(draft)
    draft.end("%%remote\ny = 1", STOPPED, KeyboardInterrupt())
    assert draft.over
    assert (draft.manifest("").outcome, draft.manifest("").error) == (STOPPED, "")


def test_an_orphan_is_completed_by_what_the_cluster_knows(draft: Draft) -> None:
    draft.end("y = 1", OK, None)
    begun = draft.manifest("")
    ended = completed(begun, counts(succeeded=4))
    assert (ended.outcome, ended.tasks.count, ended.stages.run) == (OK, 4, 2.0)
    failed = CellRunSnapshot(CellRunId("run"), "", "", failed=1, run_seconds=1.5, elapsed=2.0, first_failure="cell [4]: No")
    ended = completed(begun, failed)
    assert (ended.outcome, ended.error, ended.stages.run, ended.stages.queue) == (FAILED, "cell [4]: No", 1.5, 0.5)
    assert completed(begun, CellRunSnapshot(CellRunId("run"), "", "", cancelled=1)).outcome == STOPPED


def test_parallel_cells_say_so(draft: Draft) -> None:
    draft.how = ""
    draft.hear(counts(succeeded=2), 8, 10.0)
    draft.end("%%parallel for i in range(2)\ni", OK, None)
    assert (draft.manifest("").how, draft.manifest("").line) == ("parallel", "i")


def test_what_a_cell_writes_into_the_store_is_shipping(draft: Draft) -> None:
    draft.how = ""
    draft.run.began -= 10.0
    draft.run.written = Written(1000, 1.0)
    draft.hear(counts(succeeded=4), 8, 10.0)
    draft.end("nbray.get([f.remote(big) for _ in range(4)])", OK, None, Written(5000, 4.0))
    found = draft.manifest("")
    assert found.stored == 4000
    assert (found.stages.ship, found.stages.run) == (3.0, 2.0)
    assert found.stages.total == pytest.approx(10.0, abs=1.0)


def test_starting_the_cluster_is_told_apart_from_the_cells_own_code(draft: Draft) -> None:
    draft.how = ""
    draft.run.began -= 10.0
    draft.run.starting = 3.0
    draft.hear(counts(succeeded=1), 8, 10.0)
    draft.end("nbray.get(f.remote())", OK, None)
    stages = draft.manifest("").stages
    assert (stages.start, stages.run) == (3.0, 2.0)
    assert stages.here == pytest.approx(5.0, abs=1.0)
