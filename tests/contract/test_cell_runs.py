"""Every backend: what belongs to which cell run, its output, its counts, its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import nbray
from nbray import session
from nbray.backends.backend import Backend, OutputEvent
from nbray.engine import task_context
from nbray.ids import BACKGROUND, CellRunId
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot
from tests.contract.conftest import Gate, until

A, B = CellRunId("run-a"), CellRunId("run-b")


@nbray.remote
def echo(value: Any = None) -> Any:
    return value


@nbray.remote
def say(*lines: str) -> None:
    for line in lines:
        print(line)


@nbray.remote
def show(data: dict[str, Any]) -> None:
    context = task_context.current()
    assert context is not None
    context.emit("display_data", json.dumps(data).encode())


@pytest.fixture(autouse=True)
def in_background(backend: Backend) -> Iterator[None]:
    yield
    session.set_cell_run(BACKGROUND)
    backend.on_output(None)
    backend.on_snapshot(None)


def counts(backend: Backend, cell_run: CellRunId) -> CellRunSnapshot:
    return next(each for each in backend.snapshot().cell_runs if each.cell_run == cell_run)


def test_counts_by_state(backend: Backend, gate: Gate) -> None:
    run = CellRunId("counted")
    session.set_cell_run(run, "cell [7]")
    done = [echo.remote(n) for n in range(3)]
    failed = nbray.apply_async(divmod, (1, 0))
    nbray.wait([*done, failed], num_returns=4)
    assert until(lambda: counts(backend, run).succeeded == 3)
    seen = counts(backend, run)
    assert (seen.label, seen.failed, seen.waiting, seen.running, seen.cancelled) == ("cell [7]", 1, 0, 0, 0)
    session.set_cell_run(BACKGROUND)
    gate.close()
    session.set_cell_run(run, "cell [7]")
    queued = [echo.remote(n) for n in range(5)]
    assert until(lambda: counts(backend, run).waiting == 5)
    nbray.cancel(queued)
    assert (counts(backend, run).waiting, counts(backend, run).cancelled) == (0, 5)


def test_cancelling_one_cell_run_leaves_the_others_alone(backend: Backend, gate: Gate) -> None:
    gate.close()
    session.set_cell_run(A, "cell [1]")
    mine = [echo.remote(n) for n in range(3)]
    session.set_cell_run(B, "cell [2]")
    theirs = echo.remote("b")
    report = backend.cancel_cell_runs([A])
    assert (report.cancelled, report.stopping) == (3, 0)
    gate.open()
    assert nbray.get(theirs) == "b"
    for ref in mine:
        with pytest.raises(nbray.TaskCancelledError):
            nbray.get(ref)


def test_output_comes_in_order_with_its_cell_run(backend: Backend) -> None:
    events: list[OutputEvent] = []
    backend.on_output(events.append)
    session.set_cell_run(A, "cell [1]")
    nbray.get(say.remote(*(f"line {n}" for n in range(100)), "ümlaut"))
    session.set_cell_run(B, "cell [2]")
    nbray.get(say.options(name="speaker").remote("other"))

    def text(run: CellRunId) -> str:
        return b"".join(each.data for each in events if each.cell_run == run and each.stream == "stdout").decode()

    assert until(lambda: text(B) != "")
    assert text(A) == "".join(f"line {n}\n" for n in range(100)) + "ümlaut\n"
    assert text(B) == "other\n"
    assert {(each.cell_run, each.task) for each in events} == {(A, "say"), (B, "speaker")}
    assert all(each.worker.startswith("worker ") for each in events)


def test_displays_come_as_they_were_sent(backend: Backend) -> None:
    events: list[OutputEvent] = []
    backend.on_output(events.append)
    nbray.get(show.remote({"data": {"text/plain": "<x>"}, "metadata": {}, "transient": {}}))
    assert until(lambda: events != [])
    (event,) = events
    assert event.stream == "display_data"
    assert json.loads(event.data)["data"] == {"text/plain": "<x>"}


def test_without_a_handler_output_goes_to_stdout(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    nbray.get(say.remote("hello"))
    printed: list[str] = []

    def said_hello() -> bool:
        printed.append(capsys.readouterr().out)
        return "hello\n" in "".join(printed)

    assert until(said_hello)


def test_nested_tasks_belong_to_the_cell_run_of_their_parent(backend: Backend) -> None:
    def parent() -> str:
        def child() -> str:
            return session.current_cell_run()

        return str(nbray.get(nbray.apply_async(child)))

    session.set_cell_run(A, "cell [1]")
    ref = nbray.apply_async(parent)
    session.set_cell_run(B, "cell [2]")
    assert nbray.get(ref) == A


def test_snapshots(backend: Backend) -> None:
    seen: list[ClusterSnapshot] = []
    backend.on_snapshot(seen.append)
    assert until(lambda: len(seen) >= 1)
    assert seen[0].epoch == backend.epoch
    now = backend.snapshot()
    assert now.resources["CPU"] == 20_000
    assert len(now.workers) >= (1 if backend.name == "serial" else 2)


def test_resources(backend: Backend) -> None:
    assert nbray.cluster_resources()["CPU"] == 2
    assert until(lambda: nbray.available_resources()["CPU"] == 2)
    assert nbray.nodes()[0]["Alive"] is True
