"""What a worker tells of a cell's code: moments in order, what it used of the CPU, and the versions that it really had."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Iterator
from importlib import import_module

import msgspec
import numpy as np
import pytest

from nbray.engine import task_context
from nbray.engine.task_context import TaskContext
from nbray.ids import CellRunId, TaskId
from nbray.notebook import run_measures
from nbray.notebook.run_measures import STREAM, Measures, packages_of

Told = list[tuple[TaskId, str, bytes]]


@pytest.fixture
def told() -> Iterator[Told]:
    found: Told = []
    began = time.perf_counter()
    context = TaskContext(
        TaskId(7), "cell", CellRunId("c"), 2, "worker 1", lambda task, stream, data: found.append((task, stream, data)), {}, began
    )
    task_context.enter(context)
    yield found
    task_context.enter(None)


def test_what_a_cell_took(told: Told) -> None:
    run_measures.begin()
    with run_measures.running({"np": np}):
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
    assert told == []
    task_context.end(TaskId(7))
    [(task, stream, data)] = told
    found = msgspec.json.decode(data, type=Measures)
    assert (task, stream, found.worker, found.attempt) == (7, STREAM, "worker 1", 2)
    assert found.began <= found.unpacked <= found.ran <= found.packed
    assert found.ran - found.unpacked >= 0.05
    assert 0.03 <= found.cpu < 5.0
    assert found.packages == {"numpy": np.__version__}
    assert found.python == ".".join(map(str, sys.version_info[:3]))


def test_a_cell_that_fails_is_told_of_too(told: Told) -> None:
    run_measures.begin()
    with pytest.raises(ZeroDivisionError), run_measures.running({}):
        _ = 1 / 0
    task_context.end(TaskId(7))
    assert len(told) == 1


def test_code_that_belongs_to_no_such_task_is_not_measured(told: Told) -> None:
    with run_measures.running({}):
        pass
    task_context.end(TaskId(7))
    task_context.enter(None)
    run_measures.begin()
    assert told == []


def test_packages_are_those_of_the_names() -> None:
    space = {"np": np, "zeros": np.zeros, "x": np.float64(1), "json": import_module("json"), "n": 3, "T": msgspec.Struct}
    assert packages_of(space) == {"msgspec": msgspec.__version__, "numpy": np.__version__}
    assert packages_of({"own": types.ModuleType("made_here")}) == {}
