"""From what happens in a cell to its manifest: which events make one, and which cell runs have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from nbray.backends.backend import Backend, OutputEvent
from nbray.errors import UsageError
from nbray.ids import CellRunId, TaskId
from nbray.notebook import cell_history
from nbray.notebook.cell_history import CellHistory
from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.notebook.manifest import FAILED, OK, RUNNING
from nbray.notebook.run_measures import STREAM, Measures
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, StoreSnapshot

TASK = TaskId(7)


class Engine:
    name, epoch = "local", "e1"
    hurried = 0

    def hurry(self) -> None:
        self.hurried += 1


@pytest.fixture
def runs() -> CellRuns:
    return CellRuns()


@pytest.fixture
def history(runs: CellRuns, tmp_path: Path) -> CellHistory:
    history = CellHistory(runs)
    history.open("a.ipynb", lambda: tmp_path / "h")
    return history


def begin(runs: CellRuns, number: int = 4) -> CellRun:
    return runs.begin(CellRun(CellRunId(f"run-{number}"), number, None, number))


def send(history: CellHistory, run: CellRun, **values: Any) -> None:
    sending = history.send(run, "remote")
    sending.ready()
    sending.sent(TASK, cast(Backend, Engine()), values, 500)


def snapshot(*counts: CellRunSnapshot) -> ClusterSnapshot:
    return ClusterSnapshot(1, "e1", {"CPU": 80_000}, {}, StoreSnapshot(0, 0, 0), cell_runs=list(counts))


def counts(run: CellRun, **fields: Any) -> CellRunSnapshot:
    return CellRunSnapshot(run.id, run.label, "job", **fields)


def measures(run: CellRun, **fields: Any) -> OutputEvent:
    at = run.began
    told = Measures(at, at, at, at, 0.5, "worker 1 (pid 2)", 1, "3.11.7", {"rates": "ab"}, {"numpy": "2.4"})
    data = msgspec.json.encode(msgspec.structs.replace(told, **fields))
    return OutputEvent(run.id, TASK, "cell [4]", "worker 1 (pid 2)", STREAM, data)


def test_a_remote_cell(history: CellHistory, runs: CellRuns) -> None:
    run = begin(runs)
    send(history, run, x=3)
    assert [each.outcome for each in history.manifests()] == [RUNNING]
    history.hear(snapshot(counts(run, running=1)))
    history.measure(measures(run))
    history.came(run, TASK, {"y": 4}, None)
    history.end_cell(run, "%%remote\ny = x + 1", None, interrupted=False)
    [found] = history.manifests()
    assert (found.outcome, found.engine, found.worker, found.cpu) == (OK, "local cluster e1", "worker 1 (pid 2)", 0.5)
    assert ([piece.name for piece in found.inputs], [piece.name for piece in found.outputs]) == (["x"], ["y"])
    assert (found.modules, found.packages, found.shipped) == ({"rates": "ab"}, {"numpy": "2.4"}, 500)
    assert history.file is not None
    assert history.file.manifests() == [found]


def test_a_worker_that_tells_it_otherwise_is_not_heard(history: CellHistory, runs: CellRuns) -> None:
    run = begin(runs)
    send(history, run)
    for data in (b"{}", b"\xff", b'{"began": "noon"}'):
        history.measure(measures(run)._replace(data=data))
    history.came(run, TASK, {}, None)
    history.end_cell(run, "%%remote\ny = 1", None, interrupted=False)
    assert [each.worker for each in history.manifests()] == [""]


def test_what_comes_late_or_from_elsewhere_is_left_alone(history: CellHistory, runs: CellRuns) -> None:
    run = begin(runs)
    history.measure(measures(run))
    history.came(run, TASK, {}, None)
    history.came(None, TASK, {}, None)
    history.hear(snapshot(CellRunSnapshot(CellRunId("another notebook's"), "", "job", running=1)))
    history.end_cell(run, "1 + 1", None, interrupted=False)
    history.hear(snapshot(counts(run, succeeded=3)))
    assert history.manifests() == []
    nobody = history.send(None, "remote")
    nobody.ready()
    nobody.sent(TASK, cast(Backend, None), {}, 0)


def test_a_cell_whose_tasks_go_on(history: CellHistory, runs: CellRuns) -> None:
    run = begin(runs)
    history.note_inputs(run, {"path": "a"}, 100)
    history.note_outputs(run, {"found": [1, 2]})
    history.note_outputs(None, {"found": [1, 2]})
    history.hear(snapshot(counts(run, running=2)))
    history.end_cell(run, "refs = [f.remote(i) for i in range(2)]", None, interrupted=False)
    assert [each.outcome for each in history.manifests()] == [RUNNING]
    history.hear(snapshot(counts(run, succeeded=2, run_seconds=1.5)))
    [found] = history.manifests()
    assert (found.outcome, found.how, found.tasks.count, found.tasks.run_seconds, found.cores) == (OK, "tasks", 2, 1.5, 8)
    assert ([piece.name for piece in found.inputs], [piece.name for piece in found.outputs]) == (["path"], ["found"])


def test_a_failed_cell(history: CellHistory, runs: CellRuns) -> None:
    run = begin(runs)
    send(history, run)
    error = ValueError("no")
    history.came(run, TASK, None, error)
    history.end_cell(run, "%%remote\nf()", error, interrupted=False)
    [found] = history.manifests()
    assert (found.outcome, found.error) == (FAILED, "ValueError: no")


def test_a_kept_result(history: CellHistory, runs: CellRuns) -> None:
    run = begin(runs)
    history.note_cache(run, "kept result", 12.0)
    history.end_cell(run, "%%remote --cache\nf()", None, interrupted=False)
    [found] = history.manifests()
    assert (found.how, found.cache, found.spared) == ("remote", "kept result", 12.0)


def test_what_was_begun_before_the_kernel_was_lost_is_completed(history: CellHistory, runs: CellRuns, tmp_path: Path) -> None:
    run = begin(runs)
    run.source = "%%remote --bg\ny = f(x)"
    send(history, run, x=3)
    assert history.file is not None
    [begun] = history.file.manifests()
    assert (begun.outcome, begun.line, [piece.name for piece in begun.inputs]) == (RUNNING, "y = f(x)", ["x"])
    later = CellRuns()  # of the next kernel, which has taken the cell run over
    later.begin(CellRun(run.id, 4, None, 0, ended=True))
    unknown = later.begin(CellRun(CellRunId("unknown"), 5, None, 0, ended=True))
    again = CellHistory(later)
    again.open("a.ipynb", lambda: tmp_path / "h")
    again.hear(snapshot(counts(run, running=1), counts(unknown, running=1)))
    assert again.manifests() == []
    again.hear(snapshot(counts(run, succeeded=1, run_seconds=4.0, elapsed=5.0), counts(unknown, succeeded=1)))
    [found] = again.manifests()
    assert (found.outcome, found.line, found.stages.run, found.stages.queue) == (OK, "y = f(x)", 4.0, 1.0)
    assert again.file is not None
    assert again.file.manifests() == [found]
    third = CellHistory(later)
    third.open("a.ipynb", lambda: tmp_path / "h")
    third.hear(snapshot(counts(run, succeeded=1)))
    assert third.manifests() == []  # it was complete already


def test_the_oldest_make_room(history: CellHistory, runs: CellRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_history, "MOST_KEPT", 3)
    monkeypatch.setattr(cell_history, "MOST_DONE", 3)
    for number in range(6):
        run = begin(runs, number)
        history.note_cache(run, "kept result")
        history.end_cell(run, "1", None, interrupted=False)
        runs.end(run.id)
    assert [each.number for each in history.manifests()] == [3, 4, 5]
    history.forget()
    assert history.manifests() == []


def test_where_there_is_no_directory_memory_must_do(runs: CellRuns) -> None:
    def refuse() -> Path:
        raise UsageError("somebody else's")

    history = CellHistory(runs)
    history.open("a", refuse)
    run = begin(runs)
    history.note_cache(run, "kept result")
    history.end_cell(run, "1", None, interrupted=False)
    assert (len(history.manifests()), history.problem) == (1, "somebody else's")
