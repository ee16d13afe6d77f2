"""Where Ray's programs import `PlacementGroupSchedulingStrategy` from."""

from __future__ import annotations

from nbray.placement_groups import PlacementGroupSchedulingStrategy

__all__ = ["PlacementGroupSchedulingStrategy"]
