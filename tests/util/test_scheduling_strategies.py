import nbray
from nbray.placement_groups import PlacementGroupSchedulingStrategy


def test_it_is_where_ray_has_it() -> None:
    assert nbray.util.scheduling_strategies.PlacementGroupSchedulingStrategy is PlacementGroupSchedulingStrategy
    assert nbray.util.placement_group.__name__ == "placement_group"
