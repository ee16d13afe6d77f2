"""What actors cost: one call, many in flight, and being made; and items that a generator yields."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.measurements import Measured, running, seconds
from tests.benchmarks.systems import System
from tests.benchmarks.tasks import Counter, Meeting, no_op, yield_numbers

TOGETHER = 1_000


def call(system: System) -> Measured:
    """A hundred calls and a hundred tasks take turns, so that a busy machine slows both."""
    with running(system):
        actor = system.actor(Counter)
        system.answers([system.call(actor, "increment")])
        calls, tasks = [], []
        for _ in range(10):
            calls += [seconds(lambda: system.answers([system.call(actor, "increment")])) for _ in range(100)]
            tasks += [seconds(lambda: system.gather([system.submit(no_op)])) for _ in range(100)]
        if system.answers([system.call(actor, "increment")]) != [1002]:
            raise AssertionError("the actor lost calls")
    calls.sort()
    task = sorted(tasks)[499] * 1e6
    return Measured([calls[499] * 1e6], f"a task {task:.0f} us, p99 of the calls {calls[989] * 1e6:.0f} us", {"task": task})


def calls_in_flight(system: System) -> Measured:
    count = system.one_by_one
    with running(system):
        actor = system.actor(Counter)
        system.answers([system.call(actor, "increment")])
        times = [
            seconds(lambda: system.answers([system.call(actor, "increment") for _ in range(count)])) for _ in range(3)
        ]
        if system.answers([system.call(actor, "increment")]) != [3 * count + 2]:
            raise AssertionError("the actor lost calls")
    return Measured([count / taken for taken in times], f"{count} calls" if count < 10_000 else "")


def async_calls(system: System) -> Measured:
    """Each round's calls end only when all of them have begun: so many really are in flight on one loop."""
    with running(system):
        actor = system.actor(Meeting, concurrency=TOGETHER)

        def once() -> None:
            system.answers([system.call(actor, "meet", TOGETHER) for _ in range(TOGETHER)])

        once()
        times = [seconds(once) for _ in range(10)]
    return Measured([TOGETHER / taken for taken in times])


def created(system: System) -> Measured:
    """From nothing to an answer of every one of a hundred."""
    count = system.actors
    with running(system):
        actors: list[Any] = []

        def create() -> None:
            actors.extend(system.actor(Counter) for _ in range(count))
            system.answers([system.call(actor, "increment") for actor in actors])

        taken = seconds(create)
    return Measured([taken * 100 / count], f"only {count} made, in {taken:.1f} s" if count < 100 else "")


def streamed(system: System) -> Measured:
    count = 10_000
    with running(system):
        list(system.stream(yield_numbers, 10))

        def once() -> None:
            if list(system.stream(yield_numbers, count)) != list(range(count)):
                raise AssertionError("items are missing or out of order")

        times = [seconds(once) for _ in range(3)]
    return Measured([count / taken for taken in times])
