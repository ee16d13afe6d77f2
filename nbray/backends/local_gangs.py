"""The local backend's placement groups: what the API asks for, as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from nbray.backends.backend import CallOptions
from nbray.engine.connection import Connection
from nbray.errors import InfeasibleRequest, WrongCluster
from nbray.ids import ObjectId
from nbray.scheduler.bundles import impossible
from nbray.scheduler.messages import Answer, Ask, CreateGang, RemoveGang

Strategy = Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]


class LocalGangs:
    """The gangs of a cluster, over this process's connection."""

    def __init__(self, link: Connection) -> None:
        self._link = link

    def create(
        self, bundles: Sequence[Mapping[str, int]], strategy: str, name: str, detached: bool, value: Callable[[ObjectId], bytes],
        resources: dict[str, int],
    ) -> ObjectId:  # fmt: skip
        """See `Backend.create_gang`; `resources` is what the cluster has."""
        amounts = [dict(bundle) for bundle in bundles]
        reason = impossible(amounts, strategy, resources)
        if reason:
            raise InfeasibleRequest(f"this placement group can never be: {reason}")
        gang = self._link.next_object()
        self._link.create_gang(CreateGang(gang, amounts, value(gang), cast("Strategy", strategy), name, detached))
        return gang

    def remove(self, gang: ObjectId) -> None:
        """See `Backend.remove_gang`."""
        self._link.post(RemoveGang(gang), now=True)

    def find(self, name: str) -> bytes:
        """See `Backend.find_gang`."""
        answer = self._link.request(lambda request: Ask(request, "gang", text=name))
        assert isinstance(answer, Answer)
        return msgspec.msgpack.decode(answer.body, type=bytes)

    def table(self) -> list[dict[str, Any]]:
        """See `Backend.gangs`."""
        answer = self._link.request(lambda request: Ask(request, "gangs"))
        assert isinstance(answer, Answer)
        return cast("list[dict[str, Any]]", msgspec.msgpack.decode(answer.body, strict=False))

    def check(self, options: CallOptions) -> None:
        """Refuse a placement group of another cluster."""
        if options.gang_epoch != self._link.epoch:
            raise WrongCluster(
                f"the placement group belongs to another cluster ({options.gang_epoch}), which is gone or was shut down: "
                "create it again here"
            )
