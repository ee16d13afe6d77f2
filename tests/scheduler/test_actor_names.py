from nbray.ids import ActorId
from nbray.scheduler.actor_names import ActorNames
from nbray.scheduler.actor_records import Actor
from nbray.scheduler.messages import ActorSpec, TaskSpec
from tests.scheduler.test_actor_records import make_actor


def named(number: int, name: str, namespace: str = "a.ipynb") -> Actor:
    return make_actor(number, ActorSpec("Counter", name=name), namespace)


def test_a_name_is_ones_own_within_its_namespace() -> None:
    names, first = ActorNames(), named(1, "totals")
    assert names.taken(first) is None
    names.add(first)
    assert names.find("a.ipynb", "totals") is first
    assert names.taken(named(2, "totals")) is first
    assert names.taken(named(2, "totals", "b.ipynb")) is None
    assert names.taken(named(2, "means")) is None


def test_it_is_free_again_when_its_actor_is_to_end() -> None:
    names, first, second = ActorNames(), named(1, "totals"), named(2, "totals")
    names.add(first)
    names.remove(second)  # which never had it
    assert names.find("a.ipynb", "totals") is first
    names.remove(first)
    names.remove(first)
    assert names.find("a.ipynb", "totals") is None


def test_actors_without_a_name_share_none() -> None:
    names = ActorNames()
    for number in (1, 2):
        assert names.taken(named(number, "")) is None
        names.add(named(number, ""))
    assert names.find("a.ipynb", "") is None
    assert names.among("a.ipynb") == []


def test_the_names_of_a_namespace_in_order() -> None:
    names = ActorNames()
    for number, (name, namespace) in enumerate([("b", "x"), ("a", "x"), ("c", "y")]):
        names.add(named(number, name, namespace))
    assert names.among("x") == ["a", "b"]


def test_ids_are_plain_numbers() -> None:
    assert named(7, "totals").actor_id == ActorId(7)
    assert isinstance(named(7, "totals").task, TaskSpec)
