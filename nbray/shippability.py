"""Says why a value cannot be sent: the path from it to the culprit, what that is, and what to do instead."""

from __future__ import annotations

from typing import Any

from nbray.errors import NotShippable
from nbray.fallback_pickler import FallbackPickler


def dump_or_explain(pickler: FallbackPickler, value: Any, name: str, first_error: Exception) -> None:
    """Pickle what the C pickler refused with `first_error`; raises NotShippable."""
    try:
        pickler.dump(value)
    except Exception as error:  # noqa: BLE001 - a value's own __reduce__ may raise anything
        raise NotShippable(f"{name or 'the value'} cannot be sent to a worker: {error}") from first_error
