"""Functions are registered once, templates once a cell run; lifted values are shared, and go when there is need."""

from __future__ import annotations

import itertools
import pickle
from typing import Any, cast

import msgspec
import pytest

from nbray.backends.backend import CallOptions
from nbray.backends.templates import KEPT_CELL_RUNS, LIFTED_SHARE, Templates
from nbray.engine.connection import Connection
from nbray.errors import InfeasibleRequest
from nbray.functions import PickledFunction
from nbray.ids import CellRunId, ObjectId, TemplateId
from nbray.scheduler.messages import ForgetTemplates, RegisterFunction, RegisterTemplate

STORE = 1000
OPTIONS = CallOptions()
A, B = CellRunId("a"), CellRunId("b")


class PretendedConnection:
    """Keeps what is said to the scheduler."""

    def __init__(self) -> None:
        self.posted: list[msgspec.Struct] = []
        self.released: list[ObjectId] = []
        self._ids = itertools.count(1)

    def next_template(self) -> TemplateId:
        return TemplateId(next(self._ids))

    def post(self, message: msgspec.Struct) -> None:
        self.posted.append(message)

    def release(self, object_id: ObjectId) -> None:
        self.released.append(object_id)

    def take(self, kind: type[msgspec.Struct]) -> list[Any]:
        """The messages of one kind since the last look at it."""
        found = [message for message in self.posted if type(message) is kind]
        self.posted = [message for message in self.posted if type(message) is not kind]
        return found


class World:
    def __init__(self) -> None:
        self.link = PretendedConnection()
        self.stored: dict[ObjectId, bytes] = {}
        self.templates = Templates(cast(Connection, self.link), STORE, self.stored.__getitem__)
        self.objects = itertools.count(1)

    def find(
        self, name: str, cell_run: CellRunId = A, options: CallOptions = OPTIONS, *, nested: tuple[int, ...] = ()
    ) -> TemplateId:
        function = PickledFunction(name.encode(), name, b"blob", [ObjectId(each) for each in nested])
        return self.templates.find(function, options, cell_run, lambda options: options.max_retries or 0)

    def lift(self, content: str, size: int = 100) -> ObjectId:
        def put() -> ObjectId:
            object_id = ObjectId(next(self.objects))
            self.stored[object_id] = content.encode()
            return object_id

        return self.templates.lift(content.encode(), size, put)

    def use(self, name: str, cell_run: CellRunId, size: int = 100) -> ObjectId:
        """A cell run calls a function with a lifted value."""
        lifted = self.lift(name, size)
        self.find(name, cell_run, nested=(lifted,))
        return lifted


@pytest.fixture
def world() -> World:
    return World()


def test_a_function_and_its_template_are_registered_once(world: World) -> None:
    assert world.find("f") == world.find("f") == world.find("f")
    assert [message.key for message in world.link.take(RegisterFunction)] == [b"f"]
    assert len(world.link.take(RegisterTemplate)) == 1


def test_another_cell_run_or_other_options_need_a_template_of_their_own(world: World) -> None:
    twice = CallOptions(num_returns=2, name="two", max_retries=3, timeout=5, retry_exceptions=(ValueError,))
    assert len({world.find("f", A), world.find("f", B), world.find("f", A, twice)}) == 3
    assert len(world.link.take(RegisterFunction)) == 1
    first, second, third = (message.template for message in world.link.take(RegisterTemplate))
    assert (first.name, first.cell_run, first.max_retries, first.options) == ("f", A, 0, b"")
    assert (second.cell_run, second.function_key) == (B, b"f")
    assert (third.name, third.num_returns, third.max_retries, third.timeout) == ("two", 2, 3, 5.0)
    assert pickle.loads(third.options) == (ValueError,)


def test_the_function_goes_ahead_of_its_template(world: World) -> None:
    world.find("f")
    assert [type(message) for message in world.link.posted] == [RegisterFunction, RegisterTemplate]


def test_options_that_are_refused_register_nothing(world: World) -> None:
    def refuse(options: CallOptions) -> int:
        raise InfeasibleRequest("never")

    with pytest.raises(InfeasibleRequest):
        world.templates.find(PickledFunction(b"f", "f", b"", []), OPTIONS, A, refuse)
    assert world.link.posted == []


def test_templates_of_old_cell_runs_are_forgotten(world: World) -> None:
    first = world.find("f", CellRunId("0"))
    for number in range(1, KEPT_CELL_RUNS):
        world.find("f", CellRunId(str(number)))
    assert world.link.take(ForgetTemplates) == []
    world.find("f", CellRunId("last"))
    assert world.link.take(ForgetTemplates) == [ForgetTemplates([first])]
    assert len(world.link.take(RegisterFunction)) == 1, "it is in use all the time"


def test_a_function_that_was_forgotten_is_registered_again(world: World) -> None:
    world.find("f", CellRunId("first"))
    for number in range(KEPT_CELL_RUNS):
        world.find("g", CellRunId(str(number)))
    world.link.posted.clear()
    world.find("f", CellRunId("first"))
    assert [message.key for message in world.link.take(RegisterFunction)] == [b"f"]


def test_a_value_is_lifted_once_whoever_captures_it(world: World) -> None:
    assert world.lift("x") == world.lift("x") != world.lift("y")
    assert world.link.released == []


def test_lifted_values_stay_for_the_next_run_of_their_cell(world: World) -> None:
    x = world.use("x", A)
    world.templates.begin_cell()
    assert world.use("x", B) == x
    assert len(world.link.take(RegisterFunction)) == 1


def test_they_may_fill_a_part_of_the_store(world: World) -> None:
    share = int(STORE * LIFTED_SHARE)
    runs = [CellRunId(str(number)) for number in range(10)]
    used = []
    for run in runs:
        world.templates.begin_cell()
        used.append(world.use(f"x{run}", run, size=100))
    world.templates.begin_cell()
    gone = len(runs) - share // 100
    assert world.link.released == used[:gone], "those not used for longest"
    assert [message.template_ids for message in world.link.take(ForgetTemplates)] == [[n + 1] for n in range(gone)]


def test_one_that_is_used_again_stays_longer(world: World) -> None:
    x = world.use("x", A, size=300)
    world.templates.begin_cell()
    y = world.use("y", B, size=300)
    assert world.use("x", B, size=300) == x
    world.templates.begin_cell()
    assert world.link.released == [y]


def test_a_full_store_gets_all_that_no_call_needs(world: World) -> None:
    x = world.use("x", A)
    plain = world.find("plain", B)
    assert world.templates.give_up()
    assert world.link.released == [x]
    [forgotten] = world.link.take(ForgetTemplates)
    assert plain not in forgotten.template_ids
    assert world.use("x", A) != x, "it is put and registered again"
    assert not World().templates.give_up()


def test_what_is_being_pickled_is_not_given_up(world: World) -> None:
    old = world.use("old", A)
    fresh = world.lift("fresh")

    def put_into_a_full_store() -> ObjectId:
        world.templates.give_up()
        return ObjectId(99)

    world.templates.lift(b"second", 100, put_into_a_full_store)
    assert world.link.released == [old]
    world.find("f", nested=(fresh, 99))
    world.templates.give_up()
    assert world.link.released == [old, fresh, 99]


def test_what_was_pickled_and_never_called_goes_in_the_end(world: World) -> None:
    fresh = world.lift("fresh")
    assert not world.templates.give_up()
    world.templates.begin_cell()
    assert world.templates.give_up()
    assert world.link.released == [fresh]
