"""What programs written for Ray import from its `util`, made of tasks, actors and executors.

Importing it imports none of that: a name is looked up when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_GROUPS = ("PlacementGroup", "get_placement_group", "placement_group", "placement_group_table", "remove_placement_group")

__all__ = [
    "ActorPool", "Empty", "Full", "Queue",
    "PlacementGroup", "get_placement_group", "placement_group", "placement_group_table", "remove_placement_group",
]  # fmt: skip

_HOMES = {
    "util.actor_pool": ("ActorPool",),
    "util.queue": ("Empty", "Full", "Queue"),
    "placement_groups": _GROUPS,
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("state", "actor_pool", "multiprocessing", "queue", "scheduling_strategies")


def __getattr__(name: str) -> Any:
    """Import what is asked for at its first use."""
    if name in _MODULES:
        return import_module(f"nbray.util.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nbray.util' has no attribute {name!r}")
    value = getattr(import_module(f"nbray.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
