import pytest

from nbray.engine.slices import SLICE, slices
from nbray.ids import ObjectId, TemplateId
from nbray.scheduler.messages import Ask, Call, Finished, Released, Submit, TaskResult, TaskSpec, ToScheduler

TASKS = [TaskSpec(ObjectId(number), TemplateId(1), b"") for number in range(2 * SLICE + 5)]


@pytest.mark.parametrize("message", [Submit(TASKS), Call(ObjectId(9), TASKS)])
def test_slices_say_the_same_in_the_same_order(message: Submit | Call) -> None:
    parts = slices(message)
    assert [type(part) for part in parts] == [type(message)] * 3
    assert [task for part in parts for task in part.tasks] == TASKS  # type: ignore[union-attr]
    assert all(part.actor_id == 9 for part in parts if isinstance(part, Call))


def test_results_and_releases_are_cut_too() -> None:
    results = [TaskResult(task.task_id, [b""], 1) for task in TASKS]
    assert len(slices(Finished(results))) == 3
    assert len(slices(Released([task.task_id for task in TASKS]))) == 3


@pytest.mark.parametrize("message", [Submit(TASKS[:SLICE]), Ask(1, "snapshot")])
def test_what_is_small_stays_as_it_is(message: ToScheduler) -> None:
    assert slices(message) == [message]
