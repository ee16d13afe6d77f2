"""Options of actors and their methods: what is given, what is filled in, what is refused and how."""

from __future__ import annotations

from typing import Any

import pytest

from nbray import actor_options
from nbray.errors import NbrayError


def test_what_is_not_given_is_filled_in() -> None:
    creation, actor = actor_options.build({})
    assert creation.resources == {}
    assert (actor.name, actor.detached, actor.get_if_exists) == ("", False, False)
    assert (actor.max_restarts, actor.max_concurrency, actor.max_pending_calls) == (0, 0, -1)


def test_resources_are_those_of_the_creation() -> None:
    creation, _ = actor_options.build({"num_cpus": 2, "num_gpus": 0.5, "memory": "1GB", "resources": {"disk": 1}})
    assert creation.resources == {"CPU": 20000, "GPU": 5000, "memory": 10**13, "disk": 10000}


def test_everything_else_is_the_actors() -> None:
    _, actor = actor_options.build(
        {"name": "a", "namespace": "n", "lifetime": "detached", "get_if_exists": True, "max_restarts": -1, "max_task_retries": 2,
         "max_concurrency": 3, "max_pending_calls": 4, "num_gpus": None}
    )  # fmt: skip
    assert (actor.name, actor.namespace, actor.detached, actor.get_if_exists) == ("a", "n", True, True)
    assert (actor.max_restarts, actor.max_task_retries, actor.max_concurrency, actor.max_pending_calls) == (-1, 2, 3, 4)


@pytest.mark.parametrize(
    ("given", "is_async", "kind", "most"),
    [({}, False, "sync", 1), ({"max_concurrency": 4}, False, "threads", 4), ({}, True, "async", 1000),
     ({"max_concurrency": 1}, True, "async", 1)],
)  # fmt: skip
def test_the_kind_follows_from_class_and_concurrency(given: dict[str, Any], is_async: bool, kind: str, most: int) -> None:
    actor = actor_options.of_kind(actor_options.build(given)[1], "Thing", b"", is_async=is_async)
    assert (actor.concurrency, actor.max_concurrency, actor.class_name) == (kind, most, "Thing")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_restart": 1}, "an actor has no option max_restart=: did you mean max_restarts=?"),
        ({"zzz": 1}, "an actor has no option zzz=: the options are num_cpus,"),
        ({"max_retries": 1}, "for actors it is max_restarts="),
        ({"num_returns": 2}, "@nbray.method"),
        ({"concurrency_groups": {"io": 2}}, "max_concurrency="),
        ({"lifetime": "forever"}, "lifetime='forever': expected \"detached\""),
        ({"name": ""}, "name=''"),
        ({"name": 5}, "name=5: expected a line of text"),
        ({"name": "two\nlines"}, "expected a line of text"),
        ({"get_if_exists": 1}, "get_if_exists=1: expected True or False"),
        ({"get_if_exists": True}, "it needs the name"),
        ({"max_restarts": -2}, "max_restarts=-2: expected a whole number >= 0, or -1"),
        ({"max_task_retries": True}, "max_task_retries=True"),
        ({"max_concurrency": 0}, "max_concurrency=0: expected a whole number >= 1"),
        ({"max_pending_calls": -5}, "max_pending_calls=-5"),
        ({"num_cpus": -1}, "num_cpus=-1"),
    ],
)
def test_what_is_wrong_is_refused_with_what_to_write(options: dict[str, Any], words: str) -> None:
    with pytest.raises(NbrayError) as error:
        actor_options.build(options)
    assert words in str(error.value)


def test_methods_take_over_the_retries_of_their_actor() -> None:
    assert actor_options.build_method({}, 3).max_retries == 3
    assert actor_options.build_method({"max_task_retries": 1}, 3).max_retries == 1
    assert actor_options.build_method({"num_returns": 2}) is actor_options.build_method({"num_returns": 2})
    assert actor_options.build_method({}).resources == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_return": 1}, "a method has no option num_return=: did you mean num_returns=?"),
        ({"num_cpus": 1}, "a method has no option num_cpus="),
        ({"num_returns": -1}, "num_returns=-1"),
        ({"retry_exceptions": [1]}, "retry_exceptions=[1]"),
    ],
)
def test_wrong_options_of_methods(options: dict[str, Any], words: str) -> None:
    with pytest.raises(NbrayError) as error:
        actor_options.build_method(options)
    assert words in str(error.value)
