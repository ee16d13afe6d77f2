"""Where Ray's programs import placement groups from.

Ray has a function and a module of this name. Whichever an import has put into `nbray.util`, it can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from nbray.placement_groups import (
    PlacementGroup,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

__all__ = ["PlacementGroup", "get_placement_group", "placement_group", "placement_group_table", "remove_placement_group"]


class _Callable(ModuleType):
    """A module that stands in for its function."""

    def __call__(self, *args: Any, **options: Any) -> PlacementGroup:
        return placement_group(*args, **options)


sys.modules[__name__].__class__ = _Callable
