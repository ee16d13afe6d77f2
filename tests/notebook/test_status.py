"""`%nbray` as text and as HTML."""

from __future__ import annotations

from nbray.ids import CellRunId
from nbray.notebook.status import MOST_CELL_RUNS, Status
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, StoreSnapshot, WorkerSnapshot

RESOURCES = {"CPU": 20_000, "memory": 8 * 1024**3 * 10_000, "disk": 5_000}


def snapshot(**changes: object) -> ClusterSnapshot:
    parts: dict[str, object] = {
        "sequence": 1,
        "epoch": "ab12",
        "resources": RESOURCES,
        "available": {**RESOURCES, "CPU": 5_000},
        "store": StoreSnapshot(2 * 1024**3, 3 * 1024**2, 1),
        "workers": [WorkerSnapshot(0, 4711, "busy", "train", running_for=2.5, cpu=0.98, rss=200 * 1024**2)],
        "cell_runs": [CellRunSnapshot(CellRunId("c"), "cell [4]", "job", running=1, succeeded=1200, failed=2)],
    }
    return ClusterSnapshot(**{**parts, **changes})  # type: ignore[arg-type]


def test_as_text() -> None:
    text = repr(Status("local", snapshot()))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "nbray: local cluster ab12, 1 worker"
    assert {"CPU 1.5 2", "memory reserved 0 B 8.0 GiB", "disk 0 0.5", "store, 1 object 3.0 MiB 2.0 GiB"} <= set(lines)
    assert "0 4711 busy 1.0 200 MiB train, 2.5 s" in lines
    assert "cell [4] 0 1 1,200 2 0" in lines


def test_as_html_foreign_text_is_text() -> None:
    run = CellRunSnapshot(CellRunId("c"), "cell <b>", "job", failed=1, first_failure="f: <script>")
    shown = Status("local", snapshot(cell_runs=[run]))._repr_html_()
    assert "<script>" not in shown
    assert "<b>cell" not in shown
    assert "f: &lt;script&gt;" in shown


def test_why_a_task_waits_is_told() -> None:
    run = CellRunSnapshot(CellRunId("c"), "cell [4]", "job", waiting=1, waits_for="all CPUs held by cell [3]", first_failure="x")
    assert "all CPUs held by cell [3]" in repr(Status("local", snapshot(cell_runs=[run])))


def test_what_runs_comes_first_then_the_latest() -> None:
    runs = [CellRunSnapshot(CellRunId(f"c{n}"), f"cell [{n}]", "job", succeeded=1) for n in range(30)]
    runs[3] = CellRunSnapshot(CellRunId("c3"), "cell [3]", "job", running=1)
    lines = [line.split("  ")[0] for line in repr(Status("local", snapshot(cell_runs=runs))).splitlines()]
    shown = [line for line in lines if line.startswith("cell [")]
    assert shown == ["cell [3]", *(f"cell [{n}]" for n in range(29, 30 - MOST_CELL_RUNS, -1))]


def test_an_empty_cluster_has_no_empty_tables() -> None:
    assert "cell run" not in repr(Status("local", snapshot(cell_runs=[])))


def test_other_notebooks_work_is_counted_and_shown_when_asked_for() -> None:
    runs = [CellRunSnapshot(CellRunId(name), f"cell {name}", job, running=1) for name, job in (("mine", "a"), ("theirs", "b"))]
    own = Status("local", snapshot(cell_runs=runs), "a")
    assert "cell mine" in repr(own)
    assert "cell theirs" not in repr(own)
    assert repr(own).endswith("1 cell of other notebooks: %nbray --all")
    assert "1 cell of other notebooks: %nbray --all" in own._repr_html_()
    assert "cell theirs" in repr(Status("local", snapshot(cell_runs=runs)))


def test_refused_connections_are_counted() -> None:
    """Somebody tries to get in, or something of nbray's does not understand itself: people should see that."""
    status = Status("local", snapshot(refused={"of another user": 2, "with what is no message": 1}))
    line = "2 connections refused of another user; 1 connection refused with what is no message"
    assert line in repr(status)
    assert line in status._repr_html_()
