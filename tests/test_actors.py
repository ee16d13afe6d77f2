"""Classes of actors: how actors are made, found and ended, and what is refused."""

from __future__ import annotations

import abc
import pickle
from collections.abc import Iterator

import pytest

import nbray
from nbray.engine.hosted_actor import ActorExit, HostedActor, this_process
from nbray.ids import ActorId
from nbray.scheduler.messages import ActorSpec
from tests.fake_actors import FakeActors, fake_actor_session


class PlainThing:
    """A thing."""

    limit = 5

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def get(self) -> int:
        return self.value

    @staticmethod
    def double(value: int) -> int:
        return 2 * value


Thing = nbray.remote(PlainThing)


@pytest.fixture
def backend() -> Iterator[FakeActors]:
    with fake_actor_session(num_workers=2) as backend:
        yield backend


def test_a_class_keeps_its_face() -> None:
    assert (Thing.__name__, Thing.__doc__, Thing.__wrapped__) == ("PlainThing", "A thing.", PlainThing)
    assert (Thing.limit, Thing.double(4)) == (5, 8)
    assert repr(Thing.options(num_cpus=1)) == "ActorClass(PlainThing, num_cpus=1)"
    with pytest.raises(AttributeError):
        Thing.unknown  # noqa: B018


def test_decorating_with_and_without_options(backend: FakeActors) -> None:
    decorated = nbray.remote(max_restarts=2, num_cpus=1)(PlainThing).options(max_restarts=3)
    decorated.remote()
    Thing.remote()
    (first, creation), (second, free) = backend.created
    assert (first.max_restarts, creation.resources, second.max_restarts, free.resources) == (3, {"CPU": 10000}, 0, {})
    assert first.class_name == "PlainThing"


def test_a_pickled_class_makes_the_same_actors(backend: FakeActors) -> None:
    copy = pickle.loads(pickle.dumps(Thing.options(max_restarts=1)))
    assert nbray.get(copy.remote(4).get.remote()) == 4
    assert backend.created[0][0].max_restarts == 1


def test_names(backend: FakeActors) -> None:
    thing = Thing.options(name="one").remote(1)
    assert nbray.get_actor("one") == thing
    assert Thing.options(name="one", get_if_exists=True).remote(2) == thing
    other = Thing.options(name="one", namespace="else").remote(3)
    assert nbray.get_actor("one", namespace="else") == other != thing
    with pytest.raises(nbray.UsageError, match="is taken"):
        Thing.options(name="one").remote()
    with pytest.raises(ValueError, match=r"there is no actor named 'two': .* get_if_exists=True"):
        nbray.get_actor("two")


def test_killing(backend: FakeActors) -> None:
    thing = Thing.remote()
    nbray.kill(thing, no_restart=False)
    nbray.kill(thing)
    assert backend.killed == [(thing._actor_id, False, False), (thing._actor_id, True, False)]


def test_exit_actor_leaves_the_hosted_one() -> None:
    host = this_process.actor = HostedActor(ActorId(1), ActorSpec("Thing"))
    try:
        with pytest.raises(ActorExit):
            nbray.exit_actor()
    finally:
        this_process.actor = None
    assert host.leaving
    assert nbray.actor.exit_actor is nbray.exit_actor


# -------------------------------------------------------------------- misuse


def test_a_class_called_directly() -> None:
    with pytest.raises(nbray.WrongType, match=r"call PlainThing\.remote\(\.\.\.\) to create one"):
        Thing(5)


def test_a_class_derived_from_actors() -> None:
    with pytest.raises(nbray.WrongType, match="derive from the plain class"):

        class Derived(Thing):  # type: ignore[misc, valid-type]
            pass


def test_a_class_that_is_remote_already() -> None:
    with pytest.raises(nbray.WrongType, match=r"is remote already: write PlainThing\.options"):
        nbray.remote(Thing)


def test_an_abstract_class(backend: FakeActors) -> None:
    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self) -> float: ...

    with pytest.raises(nbray.WrongType, match="class Shape is abstract: derive a class that has area, and decorate that"):
        nbray.remote(Shape).remote()


def test_arguments_that_the_class_does_not_take(backend: FakeActors) -> None:
    with pytest.raises(TypeError, match=r"PlainThing\(value.*\).* cannot be created like this: too many"):
        Thing.remote(1, 2)


def test_unknown_options() -> None:
    with pytest.raises(nbray.UsageError, match="did you mean max_restarts="):
        Thing.options(max_restart=1)
    with pytest.raises(nbray.UsageError, match="did you mean max_restarts="):
        nbray.remote(max_restart=1)(PlainThing)


def test_options_of_an_actor_for_a_function() -> None:
    with pytest.raises(nbray.UsageError, match="there is no option lifetime="):
        nbray.remote(lifetime="detached")(len)


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_name_that_is_none(name: object, backend: FakeActors) -> None:
    with pytest.raises(nbray.WrongType, match="expected the name of an actor"):
        nbray.get_actor(name)  # type: ignore[arg-type]
    with pytest.raises(nbray.WrongType, match="namespace="):
        nbray.get_actor("x", namespace=5)  # type: ignore[arg-type]


def test_killing_what_is_no_actor(backend: FakeActors) -> None:
    with pytest.raises(nbray.WrongType, match=r"that is a call, not an actor; nbray\.cancel"):
        nbray.kill(nbray.put(1))  # type: ignore[arg-type]
    with pytest.raises(nbray.WrongType, match="takes the handle of an actor"):
        nbray.kill("one")  # type: ignore[arg-type]


def test_exit_actor_outside_an_actor() -> None:
    with pytest.raises(nbray.UsageError, match=r"outside an actor: call it in a method; from outside, use nbray\.kill"):
        nbray.exit_actor()
