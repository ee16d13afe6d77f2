"""What code can ask about its cluster: its resources and its nodes."""

from __future__ import annotations

import socket
from typing import Any

from nbray import session
from nbray.resources import from_units


def cluster_resources() -> dict[str, float]:
    """All that tasks can ask for in this cluster, memory in bytes.

    >>> import nbray
    >>> nbray.cluster_resources()["CPU"] >= 1
    True
    """
    return from_units(session.current_backend().snapshot().resources)


def available_resources() -> dict[str, float]:
    """What no task holds at this moment, memory in bytes."""
    return from_units(session.current_backend().snapshot().available)


def nodes() -> list[dict[str, Any]]:
    """The machines of the cluster, as Ray describes them; nbray's own cluster is always one."""
    snapshot = session.current_backend().snapshot()
    return [
        {
            "NodeID": snapshot.epoch,
            "Alive": True,
            "NodeName": socket.gethostname(),
            "Resources": from_units(snapshot.resources),
            "Workers": [{"slot": each.slot, "pid": each.pid, "state": each.state} for each in snapshot.workers],
        }
    ]
