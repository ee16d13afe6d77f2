from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import nbray
from nbray import waiting
from nbray.ids import ObjectId
from nbray.objects import ObjectRef
from nbray.waiting import WORTH_WATCHING
from tests.fakes import FakeBackend, fake_session, fresh_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


@nbray.remote
def double(x: Any) -> Any:
    return 2 * x


@nbray.remote
def fail(text: str) -> None:
    raise KeyError(text)


# -------------------------------------------------------------------- wait


def test_wait_keeps_order_and_returns_no_more_than_asked() -> None:
    refs = [double.remote(n) for n in range(4)]
    nbray.get(refs)
    assert nbray.wait(refs, num_returns=2) == (refs[:2], refs[2:])
    assert nbray.wait(refs, num_returns=4) == (refs, [])
    assert nbray.wait([]) == ([], [])


def test_wait_counts_a_failure_as_ready(backend: FakeBackend) -> None:
    failed, ready = fail.remote("x"), nbray.put(1)
    assert nbray.wait([failed], timeout=1) == ([failed], [])
    backend.frozen = True
    pending = double.remote(1)
    assert nbray.wait([pending, ready, failed], num_returns=3, timeout=0) == ([ready, failed], [pending])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda ref: (ref,), r"nbray.wait\(\) takes a list of refs, not a single one: write nbray.wait\(\[ref\]\)"),
        (lambda ref: ([ref, ref],), r"takes each ref once, and ObjectRef\(.*\) is there 2 times"),
        (lambda ref: ([ref], 2), r"num_returns=2: expected a whole number from 1 to 1"),
        (lambda ref: ([ref], 0), r"num_returns=0: expected"),
        (lambda ref: ([ref], 1.0), r"num_returns=1.0: expected"),
        (lambda ref: ([ref, 3],), r"not 3 \(int\)"),
        (lambda ref: ({ref},), r"make it a list: nbray.wait\(list\(refs\)\)"),
    ],
)
def test_bad_waits(arguments: Callable[[ObjectRef], tuple[Any, ...]], message: str) -> None:
    with pytest.raises(nbray.UsageError, match=message):
        nbray.wait(*arguments(nbray.put(1)))


# -------------------------------------------------------------------- the same refs again and again


class FakeWatch:
    """Looks at every object when it is asked."""

    def __init__(self, backend: WatchingBackend) -> None:
        self.signal = ObjectId(-1 - len(backend.watches))
        self.watched: list[ObjectId] = []
        self.closed = False
        self._backend = backend

    def add(self, object_ids: Iterable[ObjectId]) -> None:
        self.watched += object_ids

    def take(self) -> list[ObjectId]:
        came = [each for each in self.watched if self._backend.state(each) != "pending"]
        self.watched = [each for each in self.watched if each not in came]
        random.Random(len(came)).shuffle(came)
        return came

    def close(self) -> None:
        self.closed = True


class WatchingBackend(FakeBackend):
    """Has watches, and timers that the test runs."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.watches: list[FakeWatch] = []
        self.looked_at: list[int] = []
        """How many ids each call of `wait` was given."""
        self.timers: list[Callable[[], None]] = []

    def watch(self) -> FakeWatch:
        self.watches.append(FakeWatch(self))
        return self.watches[-1]

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.timers.append(callback)

    def wait(self, object_ids: Any, num_returns: int, timeout: float | None = None) -> set[ObjectId]:
        self.looked_at.append(len(object_ids))
        watch = next((each for each in self.watches if object_ids == (each.signal,)), None)
        if watch is None:
            return super().wait(object_ids, num_returns, timeout)
        super().wait(watch.watched, 1, timeout)
        return {watch.signal} if any(self.state(each) != "pending" for each in watch.watched) else set()


@pytest.fixture
def watching() -> Iterator[WatchingBackend]:
    with fresh_session() as current:
        waiting._memory = waiting._Memory()
        current.backend = backend = WatchingBackend()
        yield backend


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, the next call comes in time; forgetting is up to the test."""
    monkeypatch.setattr(waiting, "REMEMBERED_SECONDS", 60.0)


def many(count: int = 3 * WORTH_WATCHING) -> list[ObjectRef]:
    return [double.remote(number) for number in range(count)]


def test_the_usual_loop_looks_at_the_refs_twice(watching: WatchingBackend) -> None:
    refs = rest = many()
    order = []
    while rest:
        ready, rest = nbray.wait(rest)
        order += ready
    assert order == refs
    long = [count for count in watching.looked_at if count >= WORTH_WATCHING]
    assert long == [len(refs)]
    (watch,) = watching.watches
    assert watch.closed


@pytest.mark.parametrize("num_returns", [1, 7, 50])
def test_what_is_ready_comes_in_the_order_of_the_list(watching: WatchingBackend, num_returns: int) -> None:
    gate = double.remote(0)
    refs = many()
    random.Random(3).shuffle(refs)
    done: set[ObjectRef] = set()
    rest = refs
    while len(rest) > num_returns:
        ready, rest = nbray.wait(rest, num_returns=num_returns)
        assert ready == [ref for ref in refs if ref in set(ready)]
        assert rest == [ref for ref in refs if ref not in done and ref not in ready]
        done.update(ready)
    assert gate not in done


def test_a_timeout_gives_what_is_there(watching: WatchingBackend) -> None:
    refs = many()
    nbray.get(refs[:3])
    watching.frozen = True
    ready, rest = nbray.wait(refs, num_returns=2, timeout=0)
    assert ready == refs[:2]
    ready, rest = nbray.wait(rest, num_returns=2, timeout=0)
    assert (ready, rest) == (refs[2:3], refs[3:])
    assert nbray.wait(rest, timeout=0.01) == ([], rest)


def test_refs_may_join_behind(watching: WatchingBackend) -> None:
    rest = many()
    taken = 0
    for number in range(100):
        ready, rest = nbray.wait(rest)
        taken += len(ready)
        rest.append(double.remote(number))
    assert taken == 100
    assert len(watching.watches) == 1


@pytest.mark.parametrize("change", [lambda rest: rest[::-1], lambda rest: rest[1:], lambda rest: [*rest[5:], *rest[:5]]])
def test_other_lists_are_looked_through(watching: WatchingBackend, change: Any) -> None:
    rest = many()
    for _ in range(6):
        before = rest
        (ready,), rest = nbray.wait(rest)
        assert rest == [ref for ref in before if ref != ready]
        rest = change(rest)
    assert all(watch.closed for watch in watching.watches[:-1])


def test_a_list_that_was_changed_in_place_is_noticed(watching: WatchingBackend) -> None:
    rest = many()
    for _ in range(3):
        _, rest = nbray.wait(rest)
    rest[3] = nbray.put("other")
    assert nbray.wait(rest, num_returns=4) == (rest[:4], rest[4:])
    rest[0] = rest[1]
    with pytest.raises(nbray.UsageError, match="is there 2 times"):
        nbray.wait(rest)


@pytest.mark.parametrize("twice", [lambda rest: rest[4], lambda rest: nbray.put(1)])
def test_what_joins_is_checked_as_well(watching: WatchingBackend, twice: Any) -> None:
    rest = many()
    for _ in range(3):
        _, rest = nbray.wait(rest)
    more = twice(rest)
    rest += [more, more]
    with pytest.raises(nbray.UsageError, match=r"is there [23] times"):
        nbray.wait(rest)
    with pytest.raises(nbray.UsageError, match=r"not 'text' \(str\)"):
        nbray.wait([*rest[:-2], "text"])  # type: ignore[type-var]


def test_the_number_is_checked_each_time(watching: WatchingBackend) -> None:
    rest = many()
    for _ in range(3):
        _, rest = nbray.wait(rest)
    with pytest.raises(nbray.UsageError, match=f"from 1 to {len(rest)}"):
        nbray.wait(rest, num_returns=len(rest) + 1)
    assert nbray.wait(rest, num_returns=len(rest)) == (rest, [])


def test_refs_are_kept_for_a_moment_only(watching: WatchingBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = many()
    for _ in range(3):
        _, rest = nbray.wait(rest)
    del _, rest
    (timer,) = watching.timers
    timer()
    assert len(watching.counts) >= 3 * WORTH_WATCHING - 3, "it was used a moment ago"
    monkeypatch.setattr(waiting, "REMEMBERED_SECONDS", 0.0)
    watching.timers[-1]()
    assert watching.watches[0].closed
    assert not watching.counts


def test_what_was_returned_is_kept_by_nobody(watching: WatchingBackend) -> None:
    rest = many()
    for _ in range(3):
        (ready,), rest = nbray.wait(rest)
    object_id = ready.id
    del ready
    assert object_id not in watching.counts


def test_a_new_cluster_has_nothing_to_do_with_the_old_ones_refs(watching: WatchingBackend) -> None:
    rest = many()
    for _ in range(3):
        _, rest = nbray.wait(rest)
    with fake_session(), pytest.raises(nbray.WrongCluster):
        nbray.wait(rest)


# -------------------------------------------------------------------- as_completed


def test_as_completed_gives_every_ref_once(backend: FakeBackend) -> None:
    refs = [double.remote(n) for n in range(3)]
    completed = nbray.as_completed(iter(refs))
    assert next(completed) == refs[0]
    assert backend.state(refs[2].id) == "pending"
    assert list(completed) == refs[1:]


def test_as_completed_with_a_timeout(backend: FakeBackend) -> None:
    ready = nbray.put(1)
    backend.frozen = True
    completed = nbray.as_completed([double.remote(1), ready], timeout=0)
    assert next(completed) == ready
    with pytest.raises(nbray.GetTimeoutError, match="as_completed: after 0 s, 1 of 2 values are not there: double"):
        next(completed)


def test_bad_as_completed() -> None:
    with pytest.raises(TypeError, match=r"write nbray.as_completed\(\[ref\]\)"):
        nbray.as_completed(nbray.put(1))
    with pytest.raises(TypeError, match="not 7"):
        nbray.as_completed([7])  # type: ignore[list-item]


def test_as_completed_with_a_watch(watching: WatchingBackend) -> None:
    refs = [*many(100), fail.remote("x")]
    twice = refs[3]
    assert sorted(nbray.as_completed([*refs, twice]), key=hash) == sorted([*refs, twice], key=hash)
    assert set(watching.looked_at) == {1}
    assert watching.watches[0].closed


def test_as_completed_that_is_given_up_looks_out_no_more(watching: WatchingBackend) -> None:
    completed = nbray.as_completed(many(100))
    next(completed)
    del completed
    assert watching.watches[0].closed
    assert not watching.counts
