"""Attempts: whatever a task does, it ends in one result, and the worker goes on."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from nbray.engine import attempts
from nbray.engine.failures import to_exception
from nbray.errors import ResultNotShippable
from nbray.ids import CellRunId, TemplateId
from nbray.scheduler.messages import Failure, Template
from tests.engine.worker_lab import Lab


class TestResults:
    def test_a_value(self, lab: Lab) -> None:
        assert lab.values(lambda x, y: x * y, 6, 7) == [42]
        assert lab.values(lambda: None) == [None]

    def test_several_values_or_none(self, lab: Lab) -> None:
        assert lab.values(lambda: (1, [2]), num_returns=2) == [1, [2]]
        assert lab.result(lambda: "ignored", num_returns=0).values == []

    @pytest.mark.parametrize(("returned", "got"), [((1,), "1 values"), (5, "one int")])
    def test_another_number_than_promised(self, lab: Lab, returned: Any, got: str) -> None:
        failure = lab.failure(lambda: returned, num_returns=2)
        assert (failure.type_name, failure.message) == ("ValueError", f"work has num_returns=2 but returned {got}")


class TestFailures:
    def test_an_exception(self, lab: Lab) -> None:
        failure = lab.failure(lambda: {"a": 1}["missing"])
        assert (failure.kind, failure.type_name, failure.task, failure.attempt) == ("exception", "KeyError", "work", 1)
        assert isinstance(to_exception(failure), KeyError)
        assert "worker 0" in failure.worker

    def test_an_exception_whose_constructor_takes_two_arguments(self, lab: Lab) -> None:
        class Strange(Exception):
            def __init__(self, code: int, text: str) -> None:
                super().__init__(f"{code}: {text}")
                self.code = code

        def work() -> None:
            raise Strange(5, "text")

        error = to_exception(lab.failure(work))
        assert (type(error).__name__, str(error), error.code) == ("RemoteError(Strange)", "5: text", 5)  # type: ignore[attr-defined]

    def test_an_exception_whose_text_cannot_be_made(self, lab: Lab) -> None:
        class Broken(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no text")

            __repr__ = __str__

        def work() -> None:
            raise Broken

        assert "Broken" in lab.failure(work).type_name

    def test_text_that_is_no_utf_8(self, lab: Lab) -> None:
        def work() -> None:
            raise FileNotFoundError("name\udcff")

        assert lab.failure(work).message == "name\\udcff"

    @pytest.mark.parametrize("ending", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
    def test_what_would_end_a_process_ends_the_task_alone(self, lab: Lab, ending: BaseException) -> None:
        def work() -> None:
            raise ending

        assert lab.failure(work).type_name == type(ending).__name__
        assert lab.values(lambda: 1) == [1]

    def test_a_result_that_cannot_be_sent(self, lab: Lab) -> None:
        failure = lab.failure(lambda: (number for number in range(3)))
        assert isinstance(to_exception(failure), ResultNotShippable)
        assert "the result of work" in failure.message

    def test_a_result_whose_pickling_raises(self, lab: Lab) -> None:
        class Hostile:
            def __reduce__(self) -> Any:
                raise ZeroDivisionError

        assert lab.failure(lambda: Hostile()).kind in ("exception", "unpicklable_result")
        assert lab.values(lambda: 1) == [1]

    def test_a_function_that_cannot_be_loaded(self, lab: Lab) -> None:
        spec = lab.spec(len, "x")
        key = lab.worker._templates[spec.template_id].function_key
        lab.worker._code._blobs[key] = ("work", b"\x80\x05rubbish")
        lab.worker._run(spec)
        ((failure,),) = [result.values for result in lab.scheduler.hear().results]
        assert isinstance(failure, Failure)

    @pytest.mark.parametrize(
        ("wanted", "raised", "again"),
        [(True, ValueError, True), ((KeyError,), ValueError, False), ((LookupError,), KeyError, True), (True, SystemExit, False)],
    )
    def test_which_exceptions_are_tried_again(self, lab: Lab, wanted: Any, raised: type[BaseException], again: bool) -> None:
        def work() -> None:
            raise raised

        assert lab.failure(work, options=pickle.dumps(wanted)).retriable is again


def test_retry_exceptions_that_cannot_be_read_cost_no_worker() -> None:
    error = ValueError("the task's own")
    template = Template(TemplateId(1), b"k", "f", CellRunId("cell"), {}, options=b"\x80no pickle")
    assert attempts._retries(error, template) is False
    assert "Not tried again" in error.__notes__[0]
