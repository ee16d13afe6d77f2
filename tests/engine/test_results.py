"""Results on their way: together where more follows, at once where nothing does, and none waits for a long task."""

from __future__ import annotations

from nbray.engine.results import Results
from nbray.ids import ObjectId, TaskId
from nbray.scheduler.messages import Finished, Released, TaskResult
from tests.engine.pretended_scheduler import Ends


def result(number: int) -> TaskResult:
    return TaskResult(TaskId(number), [b"value"], 5)


def test_in_a_hurry_it_leaves_at_once_with_what_waits(ends: Ends) -> None:
    results = Results(ends.link)
    results.add(result(1), [], hurry=False)
    results.add(result(2), [], hurry=True)
    assert ends.scheduler.hear() == Finished([result(1), result(2)])


def test_none_waits_for_a_task_that_turns_out_long(ends: Ends) -> None:
    Results(ends.link).add(result(1), [], hurry=False)
    assert ends.scheduler.hear() == Finished([result(1)])


def test_references_inside_live_until_the_result_has_left(ends: Ends) -> None:
    results = Results(ends.link)
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


def test_what_was_written_to_the_log_is_counted_with_the_last_of_them(ends: Ends) -> None:
    results = Results(ends.link)
    results.add(result(1), [], hurry=False)
    results.add(result(2), [], hurry=False)
    results.flush(log_end=99)
    assert [each.log_end for each in ends.scheduler.hear().results] == [0, 99]


def test_an_empty_flush_says_nothing(ends: Ends) -> None:
    Results(ends.link).flush()
    assert ends.scheduler.hears_nothing(0.01)
