"""What programs written for Ray import from its `util`, made of tasks, actors and executors.

Importing it imports none of that: a name is looked up when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbray.lazy_names import lazy_names

if TYPE_CHECKING:
    from nbray.placement_groups import (
        PlacementGroup,
        get_placement_group,
        placement_group,
        placement_group_table,
        remove_placement_group,
    )
    from nbray.util.actor_pool import ActorPool
    from nbray.util.queue import Empty, Full, Queue

__all__ = [
    "ActorPool", "Empty", "Full", "Queue",
    "PlacementGroup", "get_placement_group", "placement_group", "placement_group_table", "remove_placement_group",
]  # fmt: skip

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "nbray.util.actor_pool": ["ActorPool"],
        "nbray.util.queue": ["Empty", "Full", "Queue"],
        "nbray.placement_groups": [
            "PlacementGroup", "get_placement_group", "placement_group", "placement_group_table", "remove_placement_group",
        ],
    },
    ["state", "actor_pool", "multiprocessing", "queue", "scheduling_strategies"],
)  # fmt: skip
