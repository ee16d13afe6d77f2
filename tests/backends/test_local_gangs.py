from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from nbray import call_options
from nbray.backends.local_gangs import LocalGangs
from nbray.errors import InfeasibleRequest, WrongCluster
from nbray.ids import ObjectId
from nbray.resources import CPU, UNIT
from nbray.scheduler.messages import Answer, CreateGang, RemoveGang


class Link:
    """A connection that answers what the test says."""

    epoch = "here"

    def __init__(self, answer: object = None) -> None:
        self.said: list[msgspec.Struct] = []
        self._answer = answer

    def next_object(self) -> ObjectId:
        return ObjectId(7)

    def create_gang(self, message: CreateGang) -> None:
        self.said.append(message)

    def post(self, message: msgspec.Struct, *, now: bool = False) -> None:
        self.said.append(message)

    def request(self, make: Any) -> Answer:
        self.said.append(make(1))
        return Answer(1, msgspec.msgpack.encode(self._answer))


def test_a_gang_is_created_with_a_value_that_knows_its_id() -> None:
    link = Link()
    gang = LocalGangs(link).create([{CPU: UNIT}], "PACK", "pair", False, lambda gang: b"%d" % gang, {CPU: UNIT})  # type: ignore[arg-type]
    assert gang == 7
    assert link.said == [CreateGang(ObjectId(7), [{CPU: UNIT}], b"7", "PACK", "pair", False)]


def test_what_can_never_be_is_refused_before_anything_is_said() -> None:
    link = Link()
    with pytest.raises(InfeasibleRequest, match="CPU: 2 asked, 1 in the cluster"):
        LocalGangs(link).create([{CPU: UNIT}] * 2, "PACK", "", False, lambda gang: b"", {CPU: UNIT})  # type: ignore[arg-type]
    assert link.said == []


def test_questions_and_removal() -> None:
    assert LocalGangs(Link(b"value")).find("pair") == b"value"  # type: ignore[arg-type]
    assert LocalGangs(Link([{"name": "pair"}])).table() == [{"name": "pair"}]  # type: ignore[arg-type]
    link = Link()
    LocalGangs(link).remove(ObjectId(7))  # type: ignore[arg-type]
    assert link.said == [RemoveGang(ObjectId(7))]


def test_a_group_of_another_cluster_is_refused() -> None:
    strategy = SimpleNamespace(placement_group=SimpleNamespace(id=ObjectId(7), epoch="gone"), placement_group_bundle_index=0)
    options = call_options.build({"scheduling_strategy": strategy})
    with pytest.raises(WrongCluster, match=r"belongs to another cluster \(gone\)"):
        LocalGangs(Link()).check(options)  # type: ignore[arg-type]
