"""A worker in this process, whose scheduler is the test."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from nbray import serialization
from nbray.engine import environment
from nbray.engine.object_exchange import ObjectExchange
from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.engine.worker import Worker
from nbray.functions import FunctionPickler
from nbray.ids import CellRunId, ObjectId, TaskId, TemplateId
from nbray.scheduler.messages import Failure, Finished, Learn, RunSpec, TaskResult, Template
from nbray.store.object_store import ObjectStore
from tests.engine.pretended_scheduler import Ends


class Lab:
    """A worker whose tasks the test runs itself."""

    def __init__(self, ends: Ends) -> None:
        self.words = Words()
        self.scheduler = ends.scheduler
        exchange = ObjectExchange(ends.link, cast("ObjectStore", SimpleNamespace(reading=set)))
        self.worker = Worker(0, self.words, Unsent(), ends.link, exchange, 1000)
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
