"""Says why a value cannot be sent: the path from it to the culprit, what that is, and what to do instead."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

from nbray.errors import NotShippable
from nbray.fallback_pickler import FallbackPickler


def pickle_or_explain(
    value: Any, name: str, buffer_callback: Callable[[pickle.PickleBuffer], Any], first_error: Exception
) -> bytes:
    """Pickle what the C pickler refused with `first_error`; raises NotShippable."""
    file = io.BytesIO()
    pickler = FallbackPickler(file, buffer_callback)
    try:
        pickler.dump(value)
    except Exception as error:  # noqa: BLE001 - a value's own __reduce__ may raise anything
        raise NotShippable(f"{name or 'the value'} cannot be sent to a worker: {error}") from first_error
    return file.getvalue()
