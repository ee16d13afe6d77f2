"""Arguments that are objects: their places are filled on the worker."""

from __future__ import annotations

import pickle

from nbray import serialization
from nbray.engine.arguments import Dependency, arguments_of
from nbray.ids import ObjectId, TaskId, TemplateId
from nbray.scheduler.messages import RunSpec
from tests.engine.worker_lab import Lab


def test_dependencies_are_small_when_pickled() -> None:
    copy = pickle.loads(pickle.dumps(Dependency(3)))
    assert type(copy) is Dependency
    assert copy.index == 3


def test_dependencies_take_their_places(lab: Lab) -> None:
    deps = [(ObjectId(100), serialization.encode(serialization.dumps(word))) for word in ("a", "b")]
    assert lab.values(lambda x, y, z: [x, y, z], Dependency(1), "own", Dependency(0), deps=deps) == [["b", "own", "a"]]


def test_arguments_may_come_as_an_object_themselves() -> None:
    values = {ObjectId(1): "value", ObjectId(2): ((Dependency(0), 5), {"by_name": Dependency(0)})}
    spec = RunSpec(TaskId(9), TemplateId(1), 1, b"", [(ObjectId(1), b""), (ObjectId(2), b"")], has_payload=True)
    assert arguments_of(spec, lambda object_id, _: values[object_id]) == (("value", 5), {"by_name": "value"})


def test_none_at_all() -> None:
    assert arguments_of(RunSpec(TaskId(9), TemplateId(1), 1, b""), lambda *_: None) == ((), {})
