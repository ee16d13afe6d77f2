"""Options of calls: what is right, what is wrong and what is said about it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import nbray
from nbray import call_options
from nbray.scheduler.messages import DYNAMIC, STREAMING


def test_options_arrive_in_units() -> None:
    options = call_options.build(
        {"num_cpus": 0.5, "num_gpus": 1, "memory": "2GB", "resources": {"disk": 2}, "num_returns": 0, "timeout": 3, "name": "n"}
    )
    assert options.resources == {"CPU": 5000, "GPU": 10_000, "memory": 2_000_000_000 * 10_000, "disk": 20_000}
    assert (options.num_returns, options.timeout, options.name, options.max_retries) == (0, 3.0, "n", None)
    assert call_options.build({}).resources == {"CPU": 10_000}
    assert call_options.build({"num_cpus": 0}).resources == {}


def test_equal_options_are_one_object() -> None:
    assert call_options.build({"num_cpus": 2, "resources": {"a": 1, "b": 1}}) is call_options.build(
        {"resources": {"b": 1, "a": 1}, "num_cpus": 2.0}
    )
    assert call_options.build({}) is not call_options.build({"name": "x"})


def test_retries() -> None:
    assert call_options.build({"retry_exceptions": [OSError, KeyError]}).retry_exceptions == (OSError, KeyError)
    assert call_options.build({"retry_exceptions": OSError}).retry_exceptions == (OSError,)
    assert call_options.build({"retry_exceptions": True}).max_retries == call_options.RETRIES
    assert call_options.build({"retry_exceptions": True, "max_retries": 1}).max_retries == 1
    assert call_options.build({"retry_exceptions": False}).max_retries is None
    assert call_options.build({"max_retries": -1}).max_retries == -1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_cpu": 2}, r"there is no option num_cpu=: did you mean num_cpus=\?"),
        ({"colour": 2}, r"there is no option colour=: the options are num_cpus, num_gpus"),
        ({"num_cpus": -1}, r"num_cpus=-1: expected a number >= 0"),
        ({"num_cpus": "two"}, r"num_cpus='two': expected a number"),
        ({"num_gpus": 0.00001}, r"num_gpus=1e-05 is too small"),
        ({"memory": "much"}, r"memory='much': expected a size"),
        ({"resources": 3}, r"resources=3: expected a dict"),
        ({"resources": {"disk": -1}}, r"resources\['disk'\]=-1"),
        ({"resources": {"CPU": 1}}, r"'CPU' goes in num_cpus="),
        ({"num_returns": -1}, r"num_returns=-1: expected a whole number >= 0"),
        ({"num_returns": 1.5}, r"num_returns=1.5"),
        ({"num_returns": 100_001}, r"num_returns=100001: expected at most 100,000, .* return one list, or yield"),
        ({"num_returns": "stream"}, r'num_returns=\'stream\': .* or "streaming" or "dynamic" for a function that yields'),
        ({"_generator_backpressure_num_objects": 0}, r"_objects=0: expected how many items .* at least 1, or -1 for any number"),
        ({"max_retries": -2}, r"max_retries=-2"),
        ({"retry_exceptions": "OSError"}, r"retry_exceptions='OSError': expected True or a list of exception types"),
        ({"timeout": 0}, r"timeout=0: expected seconds > 0"),
        ({"timeout": "1m"}, r"timeout='1m'"),
        ({"name": 3}, r"name=3: expected text"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(nbray.UsageError, match=message):
        call_options.build(options)


def test_options_of_streams() -> None:
    options = call_options.build({"num_returns": "streaming", "_generator_backpressure_num_objects": 5})
    assert (options.num_returns, options.window) == (STREAMING, 5)
    options = call_options.build({"num_returns": "dynamic"})
    assert (options.num_returns, options.window) == (DYNAMIC, 0)


def test_where_a_task_runs() -> None:
    options = call_options.build({"priority": -2, "max_calls": 3, "runtime_env": {"env_vars": {"A": "1"}}})
    assert (options.priority, options.max_calls, options.profile.env_vars) == (-2, 3, (("A", "1"),))
    assert call_options.build({"scheduling_strategy": "SPREAD"}) is call_options.build({})
    group = SimpleNamespace(id=7, epoch="here")
    strategy = SimpleNamespace(placement_group=group, placement_group_bundle_index=1)
    placed = call_options.build({"scheduling_strategy": strategy})
    assert (placed.gang, placed.gang_epoch, placed.bundle) == (7, "here", 1)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"priority": 0.5}, nbray.UsageError, "priority=0.5: expected a whole number"),
        ({"max_calls": -1}, nbray.UsageError, "max_calls=-1: expected after how many calls"),
        ({"max_call": 1}, nbray.UsageError, "did you mean max_calls="),
        ({"runtime_env": {"pip": []}}, nbray.NotSupportedHere, "nbray installs nothing"),
        ({"scheduling_strategy": "NODE"}, nbray.UsageError, 'expected "DEFAULT", "SPREAD" or PlacementGroupSchedulingStrategy'),
        ({"placement_group": 1}, nbray.UsageError, "PlacementGroupSchedulingStrategy"),
        ({"accelerator_type": "H100"}, nbray.NotSupportedHere, "this cluster is one"),
        ({"resources": {"disk": -1}}, nbray.UsageError, "resources\\['disk'\\]=-1"),
        ({"num_cpus": -1}, nbray.UsageError, "num_cpus=-1: expected a number >= 0"),
    ],
)
def test_misplaced_tasks_are_told(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call_options.build(options)
