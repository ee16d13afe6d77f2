import nbray
from nbray.placement_groups import PlacementGroupSchedulingStrategy


def test_it_is_where_ray_has_it() -> None:
    assert nbray.util.scheduling_strategies.PlacementGroupSchedulingStrategy is PlacementGroupSchedulingStrategy
    assert callable(nbray.util.placement_group), "the function, or the module of that name, which stands in for it"
