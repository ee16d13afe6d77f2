from __future__ import annotations

import time

import pytest

from nbray.engine.watches import Watch
from nbray.errors import ClusterDied
from nbray.ids import ObjectId
from nbray.scheduler.messages import Failure, Ready, Subscribe
from tests.engine.pretended_scheduler import Ends


def submitted(ends: Ends, count: int) -> tuple[Watch, list[ObjectId]]:
    numbers = ends.submit(count)
    watch = ends.link.watch()
    watch.add(numbers)
    heard = 0
    while heard < count:
        heard += len(ends.scheduler.hear().tasks)
    return watch, numbers


def come(ends: Ends, *numbers: ObjectId) -> None:
    ends.scheduler.say(Ready([(number, b"value") for number in numbers]))


def test_what_has_come_is_given_once(ends: Ends) -> None:
    watch, numbers = submitted(ends, 5)
    assert not ends.link.wait([watch.signal], 1, 0)
    come(ends, numbers[2], numbers[0])
    assert ends.link.wait([watch.signal], 1, 5)
    assert watch.take() == [numbers[2], numbers[0]]
    assert watch.take() == []
    assert not ends.link.wait([watch.signal], 1, 0)
    ends.scheduler.say(Ready([(numbers[1], Failure("exception", "no"))]))
    assert ends.link.wait([watch.signal], 1, 5)
    assert watch.take() == [numbers[1]]


def test_who_waits_is_woken(ends: Ends) -> None:
    watch, numbers = submitted(ends, 3)
    with ends.meanwhile(lambda: ends.link.wait([watch.signal], 1, 5)) as outcome:
        time.sleep(0.02)
        come(ends, numbers[1])
    assert outcome.get() is True


def test_what_is_there_already_needs_no_wait(ends: Ends) -> None:
    (number,) = ends.submit()
    come(ends, number)
    assert ends.link.wait([number], 1, 5)
    watch = ends.link.watch()
    watch.add([number])
    assert ends.link.wait([watch.signal], 1, 0)
    assert watch.take() == [number]


def test_values_that_do_not_come_by_themselves_are_asked_for(ends: Ends) -> None:
    number = ObjectId(999)
    ends.link.references.hold(number)
    watch = ends.link.watch()
    watch.add([number])
    said = ends.scheduler.hear()
    while not isinstance(said, Subscribe):
        said = ends.scheduler.hear()
    assert said.object_ids == [number]


def test_a_closed_one_leaves_nothing_behind(ends: Ends) -> None:
    watch, numbers = submitted(ends, 3)
    other = ends.link.watch()
    other.add(numbers[:1])
    watch.close()
    watch.close()
    come(ends, *numbers)
    assert ends.link.wait([other.signal], 1, 5)
    assert other.take() == numbers[:1]
    other.close()
    assert watch.take() == []
    assert not ends.link._values._callbacks
    assert not {watch.signal, other.signal} & set(ends.link._values.known)


def test_a_lost_connection_is_no_arrival(ends: Ends) -> None:
    watch, _ = submitted(ends, 3)
    with ends.meanwhile(lambda: ends.link.wait([watch.signal], 1, 5)) as outcome:
        ends.scheduler.socket.close()
    assert isinstance(outcome.get(), ClusterDied)
    assert watch.take() == []
    with pytest.raises(ClusterDied):
        ends.link.wait([watch.signal], 1, 0)
