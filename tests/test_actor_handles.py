"""Handles: how methods are called, what they look like, how they travel, and misuse of them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import nbray
from nbray.ids import CellRunId
from nbray.serialization import dumps
from tests.fake_actors import FakeActors, fake_actor_session


class PlainCounter:
    def __init__(self, start: int = 0) -> None:
        self.count = start

    def add(self, amount: int = 1, *, twice: bool = False) -> int:
        self.count += amount * (2 if twice else 1)
        return self.count

    @nbray.method(num_returns=2)
    def both(self) -> tuple[int, int]:
        return self.count, -self.count

    def fail(self) -> None:
        raise KeyError("no")

    def __call__(self) -> str:
        return "called"


Counter = nbray.remote(PlainCounter)


@pytest.fixture
def backend() -> Iterator[FakeActors]:
    with fake_actor_session() as backend:
        yield backend


def test_calls(backend: FakeActors) -> None:
    counter = Counter.remote(5)
    assert nbray.get(counter.add.remote()) == 6
    assert nbray.get(counter.add.remote(nbray.put(2), twice=True)) == 10
    assert nbray.get(counter.both.remote()) == [10, -10]
    assert counter.add.options(num_returns=0).remote() is None
    assert nbray.get(counter.__call__.remote()) == "called"
    with pytest.raises(KeyError):
        nbray.get(counter.fail.remote())


def test_calls_bear_the_cell_that_makes_them_and_a_name(backend: FakeActors) -> None:
    nbray.session.set_cell_run(CellRunId("cell 7"))
    counter = Counter.remote()
    counter.add.remote()
    counter.add.options(name="step").remote()
    assert [(call.name, call.cell_run) for call in backend.called] == [("PlainCounter.add", "cell 7"), ("step", "cell 7")]


def test_what_it_looks_like(backend: FakeActors) -> None:
    counter = Counter.options(name="main").remote()
    assert repr(counter) == "Actor(PlainCounter, name='main', alive)"
    assert repr(counter.add) == "ActorMethod(PlainCounter.add(amount=Ellipsis, *, twice=Ellipsis))"
    assert dir(counter) == ["add", "both", "fail"]
    nbray.kill(counter)
    assert repr(counter) == "Actor(PlainCounter, name='main', dead)"
    backend.lost = "it was closed"
    assert repr(counter) == "Actor(PlainCounter, name='main', gone with its cluster)"


def test_copies_are_handles_of_the_same_actor(backend: FakeActors) -> None:
    counter = Counter.remote()
    for twin in (copy.copy(counter), copy.deepcopy(counter), pickle.loads(pickle.dumps(counter))):
        assert twin == counter
        assert hash(twin) == hash(counter)
        assert twin is not counter
    assert counter != 5
    assert Counter.remote() != counter


def test_bytes_with_a_handle_in_them_keep_the_actor_alive(backend: FakeActors) -> None:
    counter = Counter.remote()
    assert dumps([counter]).nested == [counter._actor_id]


def test_each_handle_is_a_reference(backend: FakeActors) -> None:
    counter = Counter.remote()
    actor_id = counter._actor_id
    method = counter.add
    assert backend.counts[actor_id] == 1
    del counter
    assert backend.counts[actor_id] == 1  # a method keeps its actor
    del method
    assert actor_id not in backend.counts


def test_a_with_block_ends_it_behind_its_calls(backend: FakeActors) -> None:
    with Counter.remote() as counter:
        assert backend.killed == []
    assert backend.killed == [(counter._actor_id, True, True)]


def test_a_graceful_end_by_its_ray_name(backend: FakeActors) -> None:
    counter = Counter.remote()
    assert nbray.get(counter.__ray_terminate__.remote()) is True
    assert backend.killed == [(counter._actor_id, True, True)]


# -------------------------------------------------------------------- misuse


def test_a_method_called_directly(backend: FakeActors) -> None:
    with pytest.raises(nbray.WrongType, match=r"PlainCounter\.add runs in an actor: call add\.remote\(\.\.\.\)"):
        Counter.remote().add(5)


def test_a_method_or_field_that_is_not_there(backend: FakeActors) -> None:
    counter = Counter.remote()
    with pytest.raises(AttributeError, match="has no method 'ad': did you mean add"):
        counter.ad.remote()
    with pytest.raises(AttributeError, match="Its fields live in its worker"):
        counter.count  # noqa: B018
    with pytest.raises(AttributeError):
        counter.count = 5  # type: ignore[attr-defined]
    assert not hasattr(counter, "__len__")


def test_wrong_arguments_are_refused_at_the_call(backend: FakeActors) -> None:
    counter = Counter.remote()
    with pytest.raises(TypeError, match=r"PlainCounter\.add\(.*\) cannot be called like this: too many"):
        counter.add.remote(1, 2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'amuont'"):
        counter.add.remote(amuont=2)


def test_unknown_options_of_a_method(backend: FakeActors) -> None:
    with pytest.raises(nbray.UsageError, match="a method has no option num_return=: did you mean num_returns"):
        Counter.remote().add.options(num_return=2)


def test_a_handle_of_another_cluster(backend: FakeActors) -> None:
    counter = Counter.remote()
    with fake_actor_session():
        with pytest.raises(nbray.WrongCluster, match=r"the actor PlainCounter belongs to cluster .* create it again"):
            counter.add.remote()
        assert "gone with its cluster" in repr(counter)


def test_get_of_a_handle(backend: FakeActors) -> None:
    with pytest.raises(nbray.WrongType, match=r"an actor is no value: call a method of it, nbray\.get\(actor\.method\.remote"):
        nbray.get(Counter.remote())


def test_a_backend_without_actors() -> None:
    from tests.fakes import fake_session

    with fake_session(), pytest.raises(nbray.NotSupportedHere, match="the fake backend has no actors"):
        Counter.remote()
    counter: Any = Counter
    assert counter.__name__ == "PlainCounter"
