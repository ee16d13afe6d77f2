"""Ids: whoever makes an object numbers it, and nobody else's number is ever the same."""

from __future__ import annotations

from nbray.ids import OBJECT_BITS, ProcessId, creator, object_id, template_id


def test_an_object_id_tells_its_creator() -> None:
    assert creator(object_id(ProcessId(7), 1)) == 7
    assert creator(object_id(ProcessId(7), (1 << OBJECT_BITS) - 1)) == 7


def test_ids_of_different_processes_differ() -> None:
    processes, counters = (ProcessId(1), ProcessId(2), ProcessId(3)), (1, 2, 1_000_000)
    for make in (object_id, template_id):
        assert len({make(process, counter) for process in processes for counter in counters}) == 9


def test_the_ids_that_follow_are_the_creators_too() -> None:
    first = object_id(ProcessId(5), 10)
    assert first + 1 == object_id(ProcessId(5), 11)
