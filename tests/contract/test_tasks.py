"""Every backend: calls, arguments, results, dependencies, nesting."""

from __future__ import annotations

import collections
import dataclasses
import enum
import os
import threading
import traceback
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.backends.backend import Backend, CallOptions
from nbray.engine import task_context
from nbray.ids import BACKGROUND, CellRunId

pytestmark = pytest.mark.usefixtures("backend")


@nbray.remote
def echo(value: Any = None) -> Any:
    return value


@nbray.remote
def add(*values: Any, **named: Any) -> Any:
    return sum(values) + sum(named.values())


@nbray.remote
def invert(x: float) -> float:
    return 1 / x


@nbray.remote
def fibonacci(n: int) -> int:
    if n < 2:
        return n
    return int(sum(nbray.get([fibonacci.remote(n - 1), fibonacci.remote(n - 2)])))


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]


VALUES: list[Any] = [
    None, 0, -(2**70), 1.5, "text", "ü\ud800", b"bytes", True, 2j, (), [], {}, set(), [1, [2, (3,)]], {"a": {1: "b"}}, Colour.RED,
    Point(1, [2]), collections.OrderedDict(a=1), range(5), slice(1, 2), "x" * 100_000, list(range(50_000)),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_values_go_there_and_back(value: Any) -> None:
    assert nbray.get(echo.remote(value)) == value
    assert nbray.get(nbray.put(value)) == value
    assert nbray.get(echo.remote(nbray.put(value))) == value


@pytest.mark.parametrize("size", [0, 1, 1000, 10_000, 3_000_000])
@pytest.mark.parametrize("kind", ["f8", "u1", "U3"])
def test_arrays_go_there_and_back_and_are_read_only(size: int, kind: str) -> None:
    array = np.arange(size // np.dtype(kind).itemsize).astype(kind)
    for ref in (nbray.put(array), echo.remote(array), echo.remote(nbray.put(array))):
        back = nbray.get(ref)
        np.testing.assert_array_equal(back, array)
        assert back.dtype == array.dtype
        assert not back.flags.writeable
    mine = nbray.get(nbray.put(array), copy=True)
    assert mine.flags.writeable


def test_a_value_is_taken_when_it_is_submitted() -> None:
    values, array = [1], np.zeros(20_000)
    refs = [echo.remote(values), echo.remote(array), nbray.put(values), nbray.put(array)]
    values.append(2)
    array[:] = 1
    one, two, three, four = nbray.get(refs)
    assert one == three == [1]
    assert two.sum() == four.sum() == 0


def test_arguments_of_every_kind() -> None:
    assert nbray.get(add.remote()) == 0
    assert nbray.get(add.remote(1, 2, c=3, d=4)) == 10
    assert nbray.get(add.remote(np.ones(100_000), x=np.ones(100_000))).sum() == 200_000


def test_references_at_the_top_are_resolved_nested_ones_stay() -> None:
    @nbray.remote
    def kinds(*args: Any, **named: Any) -> list[str]:
        return [type(each).__name__ for each in (*args, *named.values())]

    @nbray.remote
    def open_up(box: dict[str, Any]) -> Any:
        return nbray.get(box["ref"]) + 1

    ref = echo.remote(1)
    assert nbray.get(kinds.remote(ref, [ref], 2, name=ref)) == ["int", "list", "int", "int"]
    assert nbray.get(open_up.remote({"ref": ref})) == 2
    assert nbray.get(add.remote(ref, ref, c=ref)) == 3


def test_a_task_may_return_references() -> None:
    @nbray.remote
    def make() -> list[Any]:
        return [nbray.put("inside"), echo.remote("later")]

    assert nbray.get(nbray.get(make.remote())) == ["inside", "later"]


def test_a_chain_of_dependent_tasks() -> None:
    ref = nbray.put(0)
    for _ in range(50):
        ref = add.remote(ref, 1)
    assert nbray.get(ref) == 50


def test_many_tasks() -> None:
    assert nbray.get([echo.remote(n) for n in range(2000)]) == list(range(2000))


def test_numbers_of_returns() -> None:
    three = nbray.remote(num_returns=3)(lambda: (1, [2], "three"))
    one, two, _ = three.remote()
    assert nbray.get([two, one]) == [[2], 1]
    assert echo.options(num_returns=0).remote() is None
    for wrong in (lambda: (1, 2), lambda: 5):
        ref = nbray.remote(num_returns=3)(wrong).remote()[0]
        with pytest.raises(ValueError, match="num_returns=3 but returned"):
            nbray.get(ref)


def test_recursion_and_nested_tasks_never_deadlock() -> None:
    assert nbray.get(fibonacci.remote(7)) == 13


def test_a_function_that_is_edited_is_the_new_one_at_once() -> None:
    def outer() -> str:
        return inner()

    def old() -> str:
        return "old"

    def new() -> str:
        return "new"

    inner = old
    remote = nbray.remote(outer)
    early = remote.remote()
    inner = new

    assert nbray.get([early, remote.remote()]) == ["old", "new"]


def test_large_captured_values_are_there() -> None:
    table = np.arange(1_000_000)
    look = nbray.remote(lambda n: int(table[n]))
    assert nbray.get([look.remote(n) for n in (5, 999_999)]) == [5, 999_999]


def test_calls_by_name() -> None:
    nbray.register_remote_function("echo", echo)
    assert nbray.get([nbray.apply_async("echo", (1,)), nbray.apply_async(max, (1, 2))]) == [1, 2]


def test_a_task_knows_what_it_is() -> None:
    def context() -> tuple[str, CellRunId, int, str]:
        current = task_context.current()
        assert current is not None
        return current.name, current.cell_run, current.attempt, current.worker

    name, cell_run, attempt, worker = nbray.get(nbray.apply_async(context, name="who"))
    assert (name, cell_run, attempt) == ("who", BACKGROUND, 1)
    assert worker.startswith("worker ")
    assert task_context.current() is None


# -------------------------------------------------------------------- failures of the user's code


class TwoArguments(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


@nbray.remote
def fail_with(error: type[Exception], *args: Any) -> None:
    raise error(*args)


def test_the_original_exception_arrives_with_the_remote_traceback() -> None:
    with pytest.raises(ZeroDivisionError) as error:
        nbray.get(invert.remote(0))
    assert "return 1 / x" in "".join(traceback.format_exception(error.value))
    assert any(note.startswith("in task invert on worker ") for note in error.value.__notes__)


def test_an_exception_keeps_its_class_and_fields() -> None:
    with pytest.raises(TwoArguments, match="7: no") as error:
        nbray.get(fail_with.remote(TwoArguments, 7, "no"))
    assert error.value.code == 7


def test_a_failure_passes_through_dependent_tasks() -> None:
    with pytest.raises(ZeroDivisionError):
        nbray.get(add.remote(add.remote(invert.remote(0), 1), 2))


def test_a_failure_can_be_had_again() -> None:
    ref = invert.remote(0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError) as error:
            nbray.get(ref)
        assert len(error.value.__notes__) == 1


def test_a_result_that_cannot_be_sent() -> None:
    with pytest.raises(nbray.ResultNotShippable, match="generator"):
        nbray.get(nbray.remote(lambda: (n for n in [1])).remote())


def test_what_cannot_be_shipped_is_refused_at_once() -> None:
    lock = threading.Lock()
    with pytest.raises(nbray.NotShippable, match="lock"):
        echo.remote(lock)
    with pytest.raises(nbray.NotShippable, match="lock"):
        nbray.remote(lambda: lock).remote()
    with pytest.raises(nbray.NotShippable, match="lock"):
        nbray.put({"a": [lock]})


def test_retries_of_exceptions_are_counted(tmp_path: Any) -> None:
    def flaky(path: Any, succeed_at: int) -> int:
        path.write_text(path.read_text() + "x" if path.exists() else "x")
        attempts = len(path.read_text())
        if attempts < succeed_at:
            raise OSError(f"attempt {attempts}")
        return attempts

    retried = nbray.remote(retry_exceptions=[OSError], max_retries=2)(flaky)
    assert nbray.get(retried.remote(tmp_path / "a", 3)) == 3
    with pytest.raises(OSError, match="attempt 3"):
        nbray.get(retried.remote(tmp_path / "b", 9))
    with pytest.raises(OSError, match="attempt 1"):
        nbray.get(nbray.remote(flaky).remote(tmp_path / "c", 9))
    other = nbray.remote(retry_exceptions=[KeyError], max_retries=2)(flaky)
    with pytest.raises(OSError, match="attempt 1"):
        nbray.get(other.remote(tmp_path / "d", 9))


@pytest.mark.parametrize("options", [{"num_cpus": 3}, {"num_gpus": 1}, {"resources": {"disk": 1}}])
def test_a_request_that_can_never_fit_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(nbray.InfeasibleRequest, match="could never run"):
        echo.options(**options).remote()


# -------------------------------------------------------------------- the abstract class itself


def test_submit_returns_ids_at_once(backend: Backend) -> None:
    ids = backend.submit(divmod, (7, 2), {}, CallOptions(num_returns=2), BACKGROUND)
    assert len(ids) == len(set(ids)) == 2
    assert backend.get(ids) == [3, 1]
    assert backend.get([ids[1], ids[0], ids[1]]) == [1, 3, 1]
    for each in ids:
        backend.release(each)
    assert backend.submit(os.getpid, (), {}, CallOptions(num_returns=0), BACKGROUND) == []


def test_it_names_itself(backend: Backend) -> None:
    assert backend.name
    assert backend.epoch
    assert backend.lost == ""
    assert backend.settings["num_workers"] == 2
