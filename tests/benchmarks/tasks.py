"""The functions that the measurements run; in a module of their own, so that each system's workers can import them."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MIB = 1024 * 1024


def no_op() -> None:
    """Nothing: what is left is the system's own time."""


def increment(value: int) -> int:
    """One more."""
    return value + 1


def first_value(array: Any) -> float:
    """Touch one page of an array."""
    return float(array[0])


@functools.cache
def _made(mebibytes: int) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.ones(mebibytes * MIB // 8)


def block(mebibytes: int) -> np.ndarray[Any, Any]:
    """An array that is made once in each process, so that returning it again costs only its way home."""
    return _made(mebibytes)


def prepared(mebibytes: int) -> None:
    """Make the block; sleep, so that each worker gets one of these."""
    block(mebibytes)
    time.sleep(0.2)
