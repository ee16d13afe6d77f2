"""A worker's tasks, one by one: whatever they do, each ends in one result, and the worker goes on."""

from __future__ import annotations

import os
import pickle
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from nbray import serialization
from nbray.engine import environment, task_context, worker
from nbray.engine.failures import to_exception
from nbray.engine.object_exchange import ObjectExchange
from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.engine.worker import Dependency, Worker
from nbray.errors import ResultNotShippable
from nbray.functions import FunctionPickler
from nbray.ids import CellRunId, ObjectId, TaskId, TemplateId
from nbray.scheduler.messages import Exit, Failure, Finished, Learn, Run, RunSpec, TakeBack, TakenBack, TaskResult, Template
from nbray.store.object_store import ObjectStore
from tests.engine.pretended_scheduler import Ends


class Lab:
    """A worker whose tasks the test runs itself."""

    def __init__(self, ends: Ends) -> None:
        self.words = Words()
        self.scheduler = ends.scheduler
        self.worker = Worker(
            0, self.words, Unsent().of(0), ends.link, ObjectExchange(ends.link, cast("ObjectStore", None)), 1000
        )
        self._pickler = FunctionPickler(lambda data: ObjectId(0))
        self._count = 0

    def spec(self, function: Any, *args: Any, num_returns: int = 1, options: bytes = b"", deps: Any = ()) -> RunSpec:
        """Let the worker learn a function, and make a task of it."""
        self._count += 1
        pickled = self._pickler.pickle(function)
        template = Template(
            TemplateId(self._count), pickled.key, "work", CellRunId("cell"), {}, num_returns, options=options,
            environment=environment.capture(),
        )  # fmt: skip
        self.worker._handle(Learn([(pickled.key, pickled.name, pickled.blob)], [template]))
        encoded = serialization.encode(serialization.dumps((args, {}))) if args else b""
        return RunSpec(TaskId(self._count), template.template_id, 1, encoded, list(deps))

    def result(self, function: Any, *args: Any, **options: Any) -> TaskResult:
        """Run a function as a task and hear its result."""
        self.worker._run(self.spec(function, *args, **options))
        finished = self.scheduler.hear()
        assert isinstance(finished, Finished)
        (result,) = finished.results
        return result

    def values(self, function: Any, *args: Any, **options: Any) -> list[Any]:
        return [serialization.loads(cast("bytes", value)) for value in self.result(function, *args, **options).values]

    def failure(self, function: Any, *args: Any, **options: Any) -> Failure:
        (failure,) = self.result(function, *args, **options).values
        assert isinstance(failure, Failure)
        return failure


@pytest.fixture
def lab(ends: Ends) -> Iterator[Lab]:
    path, directory = list(sys.path), Path.cwd()
    lab = Lab(ends)
    yield lab
    ends.link.on_lost = lambda: None  # `run` has set it to end this very process
    task_context.enter(None)
    sys.path[:] = path
    os.chdir(directory)
    os.close(lab.worker._log)


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

    def test_dependencies_take_their_places(self, lab: Lab) -> None:
        deps = [(ObjectId(100), serialization.encode(serialization.dumps(word))) for word in ("a", "b")]
        assert lab.values(lambda x, y, z: [x, y, z], Dependency(1), "own", Dependency(0), deps=deps) == [["b", "own", "a"]]

    def test_what_runs_is_written_where_the_scheduler_process_looks(self, lab: Lab) -> None:
        lab.result(lambda: 1)
        lab.result(lambda: 2)
        assert lab.words.started(0) == 2


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
        assert (type(error).__name__, str(error), error.code) == ("Strange", "5: text", 5)  # type: ignore[attr-defined]

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
        lab.worker._blobs[key] = ("work", b"\x80\x05rubbish")
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


class TestCancelling:
    @pytest.mark.parametrize("marked", [True, False])
    def test_sigint_ends_the_task_that_is_marked_and_no_other(self, lab: Lab, marked: bool) -> None:
        def work() -> str:
            lab.words.set_cancelled(0, TaskId(spec.task_id if marked else 999))
            signal.raise_signal(signal.SIGINT)
            return "went on"

        spec = lab.spec(len, "x")
        lab.worker._functions[lab.worker._templates[spec.template_id].function_key] = lambda text: work()
        previous = signal.signal(signal.SIGINT, lab.worker._on_interrupt)
        try:
            lab.worker._run(spec)
        finally:
            signal.signal(signal.SIGINT, previous)
        (value,) = lab.scheduler.hear().results[0].values
        assert value.kind == "cancelled" if marked else serialization.loads(value) == "went on"

    def test_a_task_that_was_marked_before_it_began_does_not_run(self, lab: Lab) -> None:
        spec = lab.spec(lambda: 1)
        lab.words.set_cancelled(0, spec.task_id)
        lab.worker._run(spec)
        (failure,) = lab.scheduler.hear().results[0].values
        assert failure.kind == "cancelled"
        assert failure.message.startswith("task work was cancelled while it ran on worker 0")

    def test_waiting_tasks_go_back_and_others_stay(self, lab: Lab) -> None:
        specs = [lab.spec(lambda: 1) for _ in range(3)]
        lab.worker._handle(Run(specs))
        lab.worker._handle(TakeBack([specs[0].task_id, specs[2].task_id, TaskId(999)]))
        assert lab.scheduler.hear() == TakenBack([specs[0].task_id, specs[2].task_id])
        assert lab.worker._next() == specs[1]

    def test_exit_ends_the_idle_worker(self, lab: Lab) -> None:
        previous = signal.getsignal(signal.SIGINT)
        try:
            lab.worker._handle(Exit("not needed"))
            lab.worker.run()
        finally:
            signal.signal(signal.SIGINT, previous)


def test_dependencies_are_small_when_pickled() -> None:
    copy = pickle.loads(pickle.dumps(Dependency(3)))
    assert type(copy) is Dependency
    assert copy.index == 3


def test_forked_workers_draw_numbers_of_their_own() -> None:
    random.seed(1)
    worker.reseed()
    one = random.random()
    random.seed(1)
    worker.reseed()
    assert random.random() != one


def test_retry_exceptions_that_cannot_be_read_cost_no_worker() -> None:
    error = ValueError("the task's own")
    template = Template(TemplateId(1), b"k", "f", CellRunId("cell"), {}, options=b"\x80no pickle")
    assert worker._retries(error, template) is False
    assert "Not tried again" in error.__notes__[0]
