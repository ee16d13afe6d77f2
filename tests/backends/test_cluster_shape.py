import pytest

from nbray import gpus, machine
from nbray.backends.cluster_shape import ClusterShape
from nbray.resources import CPU, GPU, UNIT


@pytest.fixture(autouse=True)
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cpu_count", lambda: 4)
    monkeypatch.setattr(gpus, "detect", lambda: ("0", "3"))


def test_by_default_as_many_workers_as_cpus_and_all_gpus() -> None:
    shape = ClusterShape.of()
    assert (shape.num_workers, shape.max_workers, shape.gpus) == (4, 4, ("0", "3"))
    assert (shape.resources[CPU], shape.resources[GPU]) == (4 * UNIT, 2 * UNIT)


def test_a_number_of_workers_is_the_number_of_cpus() -> None:
    shape = ClusterShape.of(num_workers=2)
    assert (shape.num_workers, shape.max_workers, shape.resources[CPU]) == (2, 2, 2 * UNIT)
    assert ClusterShape.of(num_workers=2, num_cpus=8).resources[CPU] == 8 * UNIT
    assert ClusterShape.of(num_cpus=0.5).num_workers == 1


@pytest.mark.parametrize(
    ("least", "most", "expected"), [(1, 3, (1, 3)), (2, None, (2, 4)), (None, 8, (1, 8)), (6, None, (6, 6)), (None, 2, (1, 2))]
)
def test_bounds(least: int | None, most: int | None, expected: tuple[int, int]) -> None:
    shape = ClusterShape.of(min_workers=least, max_workers=most)
    assert (shape.num_workers, shape.max_workers) == expected
    assert shape.resources[CPU] == expected[1] * UNIT


def test_gpus_that_are_asked_for_need_not_exist() -> None:
    assert ClusterShape.of(num_gpus=1).gpus == ("0",)
    assert ClusterShape.of(num_gpus=3).gpus == ("0", "1", "2")
    assert ClusterShape.of(num_gpus=0).gpus == ()
    assert GPU not in ClusterShape.of(num_gpus=0).resources
