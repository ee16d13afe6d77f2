"""Promises of an earlier kernel, kept in this one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.errors import UsageError
from nbray.ids import CellRunId, ObjectId
from nbray.notebook.cell_runs import CellRun
from nbray.notebook.comebacks import Comeback
from nbray.notebook.item_cell import LAST
from nbray.notebook.namespace import Contents, NamespaceOutcome
from nbray.notebook.promises import Kind, Promise
from nbray.notebook.remote_cell import CellOutcome
from nbray.objects import ObjectRef, put
from tests.fakes import FakeBackend, fake_session

RUN = CellRun(CellRunId("old"), 4, None, 0)


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


def comeback(backend: FakeBackend, kind: Kind, refs: list[ObjectRef], *wanted: str, required: bool = False) -> Comeback:
    promise = Promise(kind=kind, ids=[ref.id for ref in refs], wanted=wanted, required=required)
    return Comeback(promise, refs, backend, RUN)


def failing(backend: FakeBackend) -> ObjectRef:
    def fail() -> None:
        raise ValueError("too hot")

    from nbray import call_options

    [object_id] = backend.submit(fail, (), {}, call_options.build({"name": "f"}), RUN.id)
    return ObjectRef(ObjectId(object_id), backend.epoch)


def test_the_names_of_a_cell_are_assigned(backend: FakeBackend, shell: InteractiveShell) -> None:
    found = comeback(backend, "cell", [put(CellOutcome({"x": 1}, {"g": "it is a generator"}))], "x", "g")
    assert not found.done
    assert found.take_over(shell) == "nbray: g stays behind: it is a generator\n"
    assert (shell.user_ns["x"], found.assigned, found.done) == (1, ("x",), True)


def test_a_namespace_brings_what_was_asked_for(backend: FakeBackend, shell: InteractiveShell) -> None:
    there = NamespaceOutcome(CellOutcome({"x": 2}, {}), Contents({}, ()))
    assert comeback(backend, "cell", [put(there)], "x", required=True).take_over(shell) == ""
    assert shell.user_ns["x"] == 2


def test_what_was_asked_for_and_not_assigned_is_told(backend: FakeBackend, shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="did not assign y"):
        comeback(backend, "cell", [put(CellOutcome({"x": 1}, {}))], "x", "y", required=True).take_over(shell)


def test_what_a_cell_raised_is_raised(backend: FakeBackend, shell: InteractiveShell) -> None:
    found = comeback(backend, "cell", [failing(backend)], "x")
    with pytest.raises(ValueError, match="too hot"):
        found.take_over(shell)
    assert found.failed
    assert found.done


def test_items_come_as_lists_in_their_order(backend: FakeBackend, shell: InteractiveShell) -> None:
    refs = [put({"x": n, LAST: n * n}) for n in range(3)]
    found = comeback(backend, "items", refs, "x", LAST)
    assert found.names == ("x",)
    assert found.take_over(shell) == ""
    assert shell.user_ns["x"] == [0, 1, 2]
    assert found.value == [0, 1, 4]


def test_a_failed_item_costs_no_other(backend: FakeBackend, shell: InteractiveShell) -> None:
    found = comeback(backend, "items", [put({"x": 1}), failing(backend)], "x")
    said = found.take_over(shell)
    values: list[Any] = shell.user_ns["x"]
    assert values[0] == 1
    assert isinstance(values[1], ValueError)
    assert "1 of 2 tasks failed" in said
    assert "[1]: ValueError: too hot" in said
