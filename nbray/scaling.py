"""How many workers the cluster has: changed while it runs, fixed or between two bounds."""

from __future__ import annotations

from typing import Any

from nbray import session
from nbray.errors import UsageError


def scale(workers: int | None = None, *, min_workers: int | None = None, max_workers: int | None = None) -> None:
    """Give the cluster so many workers with one CPU each: `scale(4)`; or as many as the queue needs: `scale(max_workers=8)`.

    Between the bounds workers are started when tasks are queued that nobody can take, and end when they have been idle for
    half a minute; `min_workers` (1) always stay. Running tasks are never ended. Waits for the answer, not for the workers.
    Raises UsageError where queued tasks or placement groups need more.

    >>> import nbray
    >>> nbray.scale(2)
    >>> nbray.cluster_resources()["CPU"]
    2.0
    """
    if (workers is None) == (max_workers is None):
        raise UsageError("scale(): expected one number, scale(4), or a largest one, scale(max_workers=8)")
    if workers is not None and min_workers is not None:
        raise UsageError(
            f"scale({workers!r}, min_workers={min_workers!r}): write scale(min_workers={min_workers!r}, max_workers=...)"
        )
    most = _number("max_workers" if workers is None else "workers", max_workers if workers is None else workers)
    least = most if workers is not None else _number("min_workers", 1 if min_workers is None else min_workers)
    if least > most:
        raise UsageError(f"min_workers={least} is more than max_workers={most}: expected the smaller number first")
    session.current_backend().scale(least, most)


def _number(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{name}={value!r}: expected a whole number of at least 1, for example nbray.scale(4)")
    return value
