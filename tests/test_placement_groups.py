import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.ids import ObjectId
from nbray.objects import ObjectRef
from nbray.placement_groups import (
    PlacementGroup,
    PlacementGroupSchedulingStrategy,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from nbray.resources import CPU, GPU, UNIT
from tests.fakes import FakeBackend, fake_session


class GangBackend(FakeBackend):
    """Remembers what it was asked for."""

    made: list[Any]

    def create_gang(self, bundles: Any, strategy: str, name: str, detached: bool, value: Any) -> ObjectId:
        self.made = [bundles, strategy, name, detached]
        gang = self.put(None)
        self.value = value(gang)
        return gang

    def remove_gang(self, gang: ObjectId) -> None:
        self.made.append(gang)

    def find_gang(self, name: str) -> bytes:
        return self.value if name == "pair" else b""

    def gangs(self) -> list[dict[str, Any]]:
        return [{"placement_group_id": 1, "name": "pair", "state": "CREATED"}]


@pytest.fixture
def backend() -> Iterator[GangBackend]:
    with fake_session() as fake:
        fake.__class__ = GangBackend
        yield fake  # type: ignore[misc]


def test_amounts_reach_the_backend_in_units(backend: GangBackend) -> None:
    group = placement_group([{"CPU": 1, "GPU": 0.5}, {"memory": 3, "disk": 2}], "SPREAD", name="pair", lifetime="detached")
    assert backend.made == [
        [{CPU: UNIT, GPU: UNIT // 2}, {"memory": 3 * UNIT, "disk": 2 * UNIT}], "SPREAD", "pair", True,
    ]  # fmt: skip
    assert (group.bundle_count, group.name, group.strategy) == (2, "pair", "SPREAD")
    assert isinstance(group.ready(), ObjectRef)
    remove_placement_group(group)
    assert backend.made[-1] == group.id


def test_its_value_and_its_name_give_it_again(backend: GangBackend) -> None:
    group = placement_group([{"CPU": 1}], name="pair")
    assert pickle.loads(backend.value) == group == get_placement_group("pair")
    assert hash(pickle.loads(backend.value)) == hash(group)
    assert repr(group) == "PlacementGroup('pair', [{'CPU': 1}], PACK)"
    with pytest.raises(UsageError, match="no placement group is named 'other'"):
        get_placement_group("other")


def test_the_table_of_one_and_of_all(backend: GangBackend) -> None:
    group = placement_group([{"CPU": 1}])
    assert list(placement_group_table()) == [f"{1:016x}"]
    assert placement_group_table(group)["state"] in ("CREATED", "REMOVED")


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"bundles": []}, UsageError, "at least one dict"),
        ({"bundles": {"CPU": 1}}, UsageError, "expected a list"),
        ({"bundles": [1]}, WrongType, "bundle 1: expected a dict"),
        ({"bundles": [{"CPU": 0}]}, UsageError, "asks for nothing"),
        ({"bundles": [{"CPU": -1}]}, UsageError, "num_cpus=-1: expected a number >= 0"),
        ({"bundles": [{"CPU": 1}], "strategy": "PAK"}, UsageError, "expected one of PACK"),
        ({"bundles": [{"CPU": 1}], "name": 1}, WrongType, "expected text"),
        ({"bundles": [{"CPU": 1}], "lifetime": "long"}, UsageError, '"detached"'),
    ],
)
def test_misuse_says_what_to_type(wrong: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        placement_group(**wrong)


def test_the_strategy_checks_what_it_gets(backend: GangBackend) -> None:
    group = placement_group([{"CPU": 1}, {"CPU": 1}])
    assert PlacementGroupSchedulingStrategy(group, 1).placement_group_bundle_index == 1
    with pytest.raises(UsageError, match="placement_group_bundle_index=2"):
        PlacementGroupSchedulingStrategy(group, 2)
    with pytest.raises(WrongType, match="expected what"):
        PlacementGroupSchedulingStrategy("group")  # type: ignore[arg-type]
    with pytest.raises(NotSupportedHere, match="children do not follow"):
        PlacementGroupSchedulingStrategy(group, placement_group_capture_child_tasks=True)
    with pytest.raises(WrongType, match="expected what"):
        remove_placement_group("group")  # type: ignore[arg-type]


def test_a_backend_without_them_says_so() -> None:
    with fake_session(), pytest.raises(NotSupportedHere, match="placement groups"):
        placement_group([{"CPU": 1}])


def test_a_handle_is_no_other_groups(backend: GangBackend) -> None:
    one, other = placement_group([{"CPU": 1}]), placement_group([{"CPU": 1}])
    assert one != other
    assert isinstance(one, PlacementGroup)
