"""Functions are registered once, with their options once a cell run, and forgotten with the last cell run that used them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from nbray.backends.backend import CallOptions
from nbray.backends.templates import KEPT_CELL_RUNS, KEPT_LIFTED, Templates
from nbray.engine.connection import Connection
from nbray.functions import PickledFunction
from nbray.ids import CellRunId, ObjectId, TemplateId
from nbray.scheduler.messages import ForgetTemplates, RegisterFunction, RegisterTemplate

OPTIONS = CallOptions(name="work")


class PretendedLink:
    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.released: list[ObjectId] = []
        self._next = 0

    def next_template(self) -> TemplateId:
        self._next += 1
        return TemplateId(self._next)

    def post(self, message: Any) -> None:
        self.posted.append(message)

    def release(self, object_id: ObjectId) -> None:
        self.released.append(object_id)

    def count(self, kind: type) -> int:
        return sum(type(message) is kind for message in self.posted)


@pytest.fixture
def link() -> PretendedLink:
    return PretendedLink()


@pytest.fixture
def templates(link: PretendedLink) -> Templates:
    return Templates(cast("Connection", link))


def function(number: int = 1) -> PickledFunction:
    return PickledFunction(number.to_bytes(16, "big"), f"f{number}", b"blob", [])


def find(templates: Templates, cell: int, number: int = 1, options: CallOptions = OPTIONS) -> TemplateId:
    return templates.find(function(number), options, CellRunId(f"cell {cell}"), lambda options: 3)


def test_a_call_is_registered_once(templates: Templates, link: PretendedLink) -> None:
    assert find(templates, 1) == find(templates, 1)
    assert [type(message) for message in link.posted] == [RegisterFunction, RegisterTemplate]
    template = link.posted[1].template
    assert (template.name, template.max_retries, template.cell_run) == ("work", 3, "cell 1")


def test_other_options_and_other_cells_make_other_templates_of_one_function(templates: Templates, link: PretendedLink) -> None:
    made = {find(templates, 1), find(templates, 2), find(templates, 1, options=CallOptions(num_returns=2))}
    assert len(made) == 3
    assert link.count(RegisterFunction) == 1


def test_what_can_never_run_registers_nothing(templates: Templates, link: PretendedLink) -> None:
    def refuse(options: CallOptions) -> int:
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        templates.find(function(), OPTIONS, CellRunId("cell"), refuse)
    assert link.posted == []


def test_old_cell_runs_are_forgotten_and_their_functions_sent_again(templates: Templates, link: PretendedLink) -> None:
    first = find(templates, 0, number=1)
    for cell in range(1, KEPT_CELL_RUNS + 1):
        find(templates, cell, number=2)
    assert ForgetTemplates([first]) in link.posted
    find(templates, KEPT_CELL_RUNS, number=1)
    assert link.count(RegisterFunction) == 3
    find(templates, 100, number=2)
    assert link.count(RegisterFunction) == 3, "still used by other cell runs"


def test_large_values_are_put_once_by_content(templates: Templates, link: PretendedLink) -> None:
    made: list[ObjectId] = []

    def put() -> ObjectId:
        made.append(ObjectId(len(made) + 1))
        return made[-1]

    assert templates.lift(b"one", put) == templates.lift(b"one", put) == 1
    for number in range(KEPT_LIFTED):
        templates.lift(b"%d" % number, put)
    assert link.released == [1], "the one that was used longest ago"
    templates.release_lifted()
    assert len(link.released) == KEPT_LIFTED + 1
