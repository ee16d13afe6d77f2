"""What only the local backend does: edited modules, a cluster that waits for its notebook, references and room in the store."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbray
from nbray import session
from nbray.backends.backend import Backend
from nbray.errors import InfeasibleRequest
from nbray.ids import CellRunId, TaskId
from tests.backends.local_lab import cluster
from tests.contract.conftest import until

pytestmark = pytest.mark.local

ROOT = Path(__file__).parent.parent.parent


def begin_cell(number: int) -> None:
    session.set_cell_run(CellRunId(f"run {number}"), f"cell [{number}]")


# -------------------------------------------------------------------- calls


@nbray.remote
def pid() -> int:
    return os.getpid()


def test_what_can_never_run_is_refused_with_advice(backend: Backend) -> None:
    with pytest.raises(InfeasibleRequest, match=r"CPU: 5 asked, 2 in the cluster\. Ask for less in \.options"):
        pid.options(num_cpus=5).remote()
    with pytest.raises(InfeasibleRequest, match="gpu-x: 1 asked, 0 in the cluster"):
        stored.options(resources={"gpu-x": 1}).remote(np.zeros(100_000))
    assert until(lambda: backend.snapshot().store.objects == 0), "the stored arguments of a refused call go"


@nbray.remote
def stored(value: Any) -> list[nbray.ObjectRef]:
    return [nbray.put(value)]


def test_references_in_results_outlive_their_task(backend: Backend) -> None:
    """The task lets go of them as it returns; nothing may be said of that before the result itself is sent."""
    for _ in range(20):
        results = nbray.get([stored.remote(number) for number in range(50)])
        assert nbray.get([ref for [ref] in results]) == list(range(50))


# -------------------------------------------------------------------- captured values


def capturing(value: float, size: int) -> Any:
    array = np.full(size // 8, value)
    return nbray.remote(lambda: float(array[0]))


def test_a_captured_array_is_stored_once_and_shared_by_cells(backend: Backend) -> None:
    for number in range(3):
        begin_cell(number)
        assert nbray.get([capturing(1, 8_000_000).remote() for _ in range(3)]) == [1.0] * 3
    assert backend.snapshot().store.objects == 1


def test_cells_that_each_capture_another_array_never_fill_the_store(backend: Backend) -> None:
    for number in range(20):
        begin_cell(number)
        assert nbray.get(capturing(number, 10_000_000).remote()) == number


def test_so_do_the_calls_of_one_cell(backend: Backend) -> None:
    begin_cell(0)
    for number in range(20):
        assert nbray.get(capturing(number, 10_000_000).remote()) == number


def test_results_find_room_beside_what_old_cells_captured(backend: Backend) -> None:
    for number in range(6):
        begin_cell(number)
        nbray.get(capturing(number, 10_000_000).remote())
    begin_cell(7)
    assert until(lambda: backend.snapshot().store.used < 34_000_000)
    assert nbray.get(nbray.apply_async(np.zeros, (2_500_000,))).shape == (2_500_000,)


@nbray.remote
def captures_inside() -> list[float]:
    return nbray.get([capturing(number, 1_000_000).remote() for number in range(3)])  # type: ignore[no-any-return]


def test_what_a_task_captures_in_its_own_calls_goes_with_it(backend: Backend) -> None:
    assert nbray.get(captures_inside.remote()) == [0.0, 1.0, 2.0]
    assert until(lambda: backend.snapshot().store.objects == 0)


# -------------------------------------------------------------------- modules beside the notebook


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "beside_the_notebook.py"
    path.write_text("def answer():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield path
    sys.modules.pop(path.stem, None)


def test_workers_follow_an_edited_module(module: Path) -> None:
    import beside_the_notebook  # type: ignore[import-not-found]

    @nbray.remote
    def ask() -> tuple[int, int]:
        return beside_the_notebook.answer(), os.getpid()

    with cluster():
        begin_cell(1)
        first = nbray.get(ask.remote())
        begin_cell(2)
        assert nbray.get(ask.remote()) == first, "the same worker, as nothing was edited"
        module.write_text("def answer():\n    return 2_000\n")
        begin_cell(3)
        answer, worker = nbray.get(ask.remote())
        assert (first[0], answer) == (1, 2_000)
        assert worker != first[1]


# -------------------------------------------------------------------- input


@nbray.remote
def asks() -> str:
    return input("name? ")


@nbray.remote
def stops() -> int:
    found = 41
    breakpoint()
    return found + 1


def test_in_a_script_nobody_answers(backend: Backend, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(nbray.UsageError, match=r"input\('name\? '\) in a task: it was submitted by a script"):
        nbray.get(asks.remote())
    assert nbray.get(stops.remote()) == 42
    assert until(lambda: "stops goes on from here without a debugger: it was submitted by a script" in capfd.readouterr().out)


def test_a_wait_is_interrupted_to_answer_and_goes_on(backend: Backend) -> None:
    class Person:
        due: list[tuple[TaskId, bytes]] = []

        def is_due(self) -> bool:
            return bool(self.due)

        def play(self) -> None:
            task_id, _ = self.due.pop()
            assert backend.reply(task_id, {})
            assert backend.reply(task_id, {"text": "Ada"})
            assert not backend.reply(task_id, {"text": "too late"})

    backend.on_output(lambda event: Person.due.append((event.task_id, event.data)) if event.stream == "prompt" else None)
    backend.interrupt_waits(Person())
    assert nbray.get([asks.remote(), asks.remote()], timeout=20) == ["Ada", "Ada"]
