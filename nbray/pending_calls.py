"""How many of this process's calls of an actor have not ended, for actors whose `max_pending_calls` is an end to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from nbray.backends.backend import Backend
from nbray.errors import ClusterError
from nbray.ids import ActorId, ObjectId

NO_LIMIT = -1


class PendingCalls:
    """Counts by cluster and actor, as Ray does: each process that calls an actor has its own count. Any thread."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, ActorId], int] = {}
        self._lock = threading.RLock()
        """Reentrant: a finalizer that calls an actor may come into the middle."""

    def call(
        self, backend: Backend, actor_id: ActorId, most: int, name: str, make: Callable[[], list[ObjectId]]
    ) -> list[ObjectId]:  # fmt: skip
        """What `make` returns, which makes a call; it counts until it has ended. Raises ClusterError where there are `most`.

        A call without returns (`num_returns=0`) is not counted, since nobody hears of its end.
        """
        key = backend.epoch, actor_id
        with self._lock:
            count = self._counts.get(key, 0)
            if count >= most:
                raise ClusterError(
                    f"{name} was not called: {count} calls of its actor by this process have not ended, and "
                    f"max_pending_calls={most} allows no more. Wait for some of their results first, or allow more."
                )
            self._counts[key] = count + 1
        ids: list[ObjectId] = []
        try:
            ids = make()
        finally:
            if not ids:
                self._ended(key)
        if ids:
            backend.hold(ids[0])  # its end is heard of although the caller may drop it at once
            backend.on_ready(ids[0], partial(self._heard, backend, key, ids[0]))
        return ids

    def _heard(self, backend: Backend, key: tuple[str, ActorId], object_id: ObjectId) -> None:
        backend.release(object_id)
        self._ended(key)

    def _ended(self, key: tuple[str, ActorId]) -> None:
        with self._lock:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]


of_this_process = PendingCalls()
