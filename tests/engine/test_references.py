"""Settled counts equal a naive count, and what the scheduler hears adds up to who holds what."""

from __future__ import annotations

import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nbray.engine.references import References
from nbray.ids import ObjectId

A, B = ObjectId(1), ObjectId(2)

steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["hold", "release"]), st.integers(1, 4)),
        st.tuples(st.sampled_from(["settle", "take"]), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
def test_against_a_naive_model(script: list[tuple[str, int]]) -> None:
    references = References()
    counts: Counter[int] = Counter()
    heard: set[int] = set()
    """What the scheduler believes this process holds."""
    for verb, number in script:
        if verb == "hold":
            references.hold(ObjectId(number))
            counts[number] += 1
        elif verb == "release" and counts[number]:
            references.release(ObjectId(number))
            counts[number] -= 1
        elif verb == "settle":
            references.settle()
        elif verb == "take":
            held, released = references.take()
            assert not set(held) & heard, "said twice that it holds"
            assert set(released) <= heard, "released what it was never said to hold"
            assert not set(held) & set(released)
            heard = (heard | set(held)) - set(released)
            assert heard == {number for number, count in counts.items() if count}
            assert not references.unsettled
    references.settle()
    living = {number for number, count in counts.items() if count}
    assert len(references) == len(living)
    assert all(ObjectId(number) in references for number in living)


def test_what_is_created_is_known_to_the_scheduler_already() -> None:
    references = References()
    references.create([A, B])
    assert references.take() == ([], [])
    references.release(A)
    assert references.take() == ([], [A])
    assert B in references
    assert A not in references


def test_what_begins_and_ends_between_two_takes_is_never_heard_of() -> None:
    references = References()
    references.hold(A)
    references.release(A)
    assert references.unsettled
    assert references.take() == ([], [])


def test_what_ends_and_begins_again_between_two_takes_never_ended() -> None:
    references = References()
    references.create([A])
    references.release(A)
    references.settle()
    references.hold(A)
    assert references.take() == ([], [])
    references.release(A)
    assert references.take() == ([], [A])


def test_a_release_too_many_is_not_told_and_does_no_harm() -> None:
    references = References()
    references.create([A])
    references.release(A)
    references.release(A)
    assert references.take() == ([], [A])
    references.hold(A)
    assert references.take() == ([A], [])


def test_threads_may_hold_and_release_while_another_settles() -> None:
    references = References()
    references.create([A])

    def hold_and_release() -> None:
        for _ in range(2000):
            references.hold(A)
            references.release(A)

    threads = [threading.Thread(target=hold_and_release) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert references.take() == ([], [])
    for thread in threads:
        thread.join()
    references.release(A)
    assert references.take() == ([], [A])
