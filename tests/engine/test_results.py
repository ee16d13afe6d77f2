"""Results on their way: together where more follows, at once where nothing does, and none waits for a long task."""

from __future__ import annotations

import pytest

from nbray.engine import results as results_module
from nbray.engine.results import Results
from nbray.engine.unsent import AREA_BYTES, UnsentResults
from nbray.ids import ObjectId, TaskId
from nbray.scheduler.messages import Finished, Inline, Released, Stored, TaskResult, Value
from tests.engine.pretended_scheduler import Ends


def result(number: int) -> TaskResult:
    return TaskResult(TaskId(number), [b"value"], 5)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves because time passes: how slow this machine is does not matter."""
    monkeypatch.setattr(results_module, "FLUSH_SECONDS", 600.0)


def area() -> UnsentResults:
    return UnsentResults(memoryview(bytearray(AREA_BYTES)))


@pytest.mark.usefixtures("patient")
def test_in_a_hurry_it_leaves_at_once_with_what_waits(ends: Ends) -> None:
    results = Results(ends.link, area())
    results.add(result(1), [], hurry=False)
    results.add(result(2), [], hurry=True)
    assert ends.scheduler.hear() == Finished([result(1), result(2)])


def test_none_waits_for_a_task_that_turns_out_long(ends: Ends) -> None:
    Results(ends.link, area()).add(result(1), [], hurry=False)
    assert ends.scheduler.hear() == Finished([result(1)])


@pytest.mark.usefixtures("patient")
def test_references_inside_live_until_the_result_has_left(ends: Ends) -> None:
    results = Results(ends.link, area())
    ends.link.references.hold(ObjectId(9))
    ends.link.references.hold(ObjectId(9))
    ends.link.release(ObjectId(9))
    carried = [ObjectId(9)]
    results.add(result(1), carried, hurry=False)
    assert carried == []
    assert ObjectId(9) not in ends.link.references or len(ends.link.references) == 1
    results.flush()
    ends.link.flush()
    said = [ends.scheduler.hear() for _ in range(3)]
    assert said[1:] == [Finished([result(1)]), Released([ObjectId(9)])]


@pytest.mark.usefixtures("patient")
def test_what_was_written_to_the_log_is_counted_with_the_last_of_them(ends: Ends) -> None:
    results = Results(ends.link, area())
    results.add(result(1), [], hurry=False)
    results.add(result(2), [], hurry=False)
    results.flush(log_end=99)
    assert [each.log_end for each in ends.scheduler.hear().results] == [0, 99]


@pytest.mark.usefixtures("patient")
def test_what_waits_stands_in_memory_that_outlives_the_worker_until_it_has_left(ends: Ends) -> None:
    unsent = area()
    results = Results(ends.link, unsent)
    results.add(result(1), [], hurry=False)
    results.add(result(2), [], hurry=False)
    assert UnsentResults(unsent._area).take() == [result(1), result(2)]
    results.flush()
    assert ends.scheduler.hear() == Finished([result(1), result(2)])
    assert UnsentResults(unsent._area).take() == []


@pytest.mark.usefixtures("patient")
def test_it_stands_there_as_long_as_the_system_does_not_take_it(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    unsent = area()
    results = Results(ends.link, unsent)
    monkeypatch.setattr(type(ends.link.sender), "all_sent", property(lambda sender: False))
    results.add(result(1), [], hurry=False)
    results.flush()
    results.add(result(2), [], hurry=False)
    assert UnsentResults(unsent._area).take() == [result(1), result(2)]
    monkeypatch.undo()
    results.flush()
    assert UnsentResults(unsent._area).take() == []


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("value", [Stored(4096, 100_000), Inline(b"with a reference", [ObjectId(9)]), bytes(65_530)])
def test_what_cannot_stand_there_leaves_at_once(ends: Ends, value: Value) -> None:
    results = Results(ends.link, area())
    results.add(result(1), [], hurry=False)
    results.add(TaskResult(TaskId(2), [value], 5), [], hurry=False)
    assert [each.task_id for each in ends.scheduler.hear().results] == [1, 2]


def test_an_empty_flush_says_nothing(ends: Ends) -> None:
    Results(ends.link, area()).flush()
    assert ends.scheduler.hears_nothing(0.01)
