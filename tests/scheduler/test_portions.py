import pytest

from nbray.ids import ObjectId, TaskId, TemplateId
from nbray.scheduler import portions as module
from nbray.scheduler.messages import Inline, RunSpec, Stored, Value
from nbray.scheduler.portions import portions, size_of, too_much
from tests.scheduler.test_actor_records import make_actor, make_call


def spec(number: int, *values: Value) -> RunSpec:
    return RunSpec(TaskId(number), TemplateId(1), 1, b"", [(ObjectId(place), value) for place, value in enumerate(values)])


def test_only_small_values_count() -> None:
    assert size_of(spec(1, b"abc", Inline(b"de", []), Stored(0, 10**9)).deps) == 5


def test_tasks_are_cut_into_messages_where_their_values_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN_BYTES", 10)
    specs = [spec(1, b"x" * 6), spec(2), spec(3, b"x" * 4), spec(4, b"x"), spec(5, b"x" * 20), spec(6, b"x")]
    assert [[one.task_id for one in portion] for portion in portions(specs)] == [[1, 2, 3], [4], [5], [6]]


def test_without_values_they_go_together() -> None:
    specs = [spec(number) for number in range(1000)]
    assert list(portions(specs)) == [specs]
    assert list(portions([])) == []


def test_too_much_says_how_much() -> None:
    failure = too_much(make_call(make_actor(), 5), 300 * 2**20)
    assert "Counter.add" in failure.message
    assert "300 MiB" in failure.message
    assert "at most 192 MiB" in failure.message
