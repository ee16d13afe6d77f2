"""Which cell run is now, and which ones were."""

from __future__ import annotations

from nbray.ids import CellRunId, TaskId
from nbray.notebook import cell_runs
from nbray.notebook.cell_runs import MAX_RUNS, CellRun, CellRuns


def run(name: str, number: int = 1, thread: int = 1) -> CellRun:
    return CellRun(CellRunId(name), number, None, thread)


def test_a_cell_is_current_while_it_runs() -> None:
    runs = CellRuns()
    first = runs.begin(run("a"))
    assert runs.current is first
    assert not first.ended
    assert runs.end(first.id) is first
    assert first.ended
    assert runs.current is None
    assert runs.get(first.id) is first


def test_a_cell_inside_a_cell_is_the_same_run() -> None:
    runs = CellRuns()
    outer = runs.begin(run("a"))
    assert runs.begin(run("a")) is outer
    assert runs.end(outer.id) is None
    assert runs.current is outer
    assert runs.end(outer.id) is outer
    assert runs.end(outer.id) is None


def test_a_cell_that_never_ended_here_is_over_when_its_thread_runs_the_next() -> None:
    runs = CellRuns()
    runs.begin(run("torn away"))
    second = runs.begin(run("b"))
    runs.end(second.id)
    assert runs.current is None


def test_a_subshell_runs_a_cell_beside() -> None:
    runs = CellRuns()
    main = runs.begin(run("a", thread=1))
    side = runs.begin(run("b", thread=2))
    runs.end(side.id)
    assert runs.current is main


def test_a_label_finds_the_latest_run() -> None:
    runs = CellRuns()
    runs.begin(run("a", 4))
    second = runs.begin(run("b", 4))
    runs.begin(run("c", 5))
    assert runs.by_label("4") is second
    assert runs.by_label(" [4]") is second
    assert runs.by_label("6") is None
    latest = runs.latest()
    assert latest is not None
    assert latest.label == "[5]"


def test_old_runs_are_dropped() -> None:
    runs = CellRuns()
    for number in range(MAX_RUNS + 5):
        runs.begin(run(str(number), number))
    assert runs.by_label("4") is None
    assert runs.by_label("5") is not None


def test_the_own_task_of_a_cell_is_known_by_its_run() -> None:
    runs = CellRuns()
    mine = runs.begin(run("a"))
    mine.own_tasks.add(TaskId(7))
    assert runs.is_own_task(mine.id, TaskId(7))
    assert not runs.is_own_task(mine.id, TaskId(8))
    assert not runs.is_own_task(CellRunId("unknown"), TaskId(7))


def test_this_process_has_one_record_of_its_cells() -> None:
    mine = cell_runs.RUNS.begin(run("this-process", 12345, thread=-1))
    assert cell_runs.current() is mine
    assert cell_runs.by_label("[12345]") is mine
    cell_runs.RUNS.end(mine.id)


def test_a_run_of_an_earlier_kernel_is_older_than_all_others() -> None:
    runs = CellRuns()
    mine = runs.begin(run("mine", 4))
    runs.end(mine.id)
    old = runs.adopt(run("old", 4))
    assert runs.get(old.id) is old
    assert runs.by_label("4") is mine
    assert runs.latest() is mine


def test_an_adopted_run_that_is_known_moves_to_its_new_place() -> None:
    runs = CellRuns()
    mine = runs.begin(run("mine", 4))
    place = {"header": {"msg_id": "elsewhere"}}
    assert runs.adopt(CellRun(mine.id, 4, place, 1)) is mine
    assert mine.parent == place
