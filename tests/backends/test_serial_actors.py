"""Actors of the serial backend."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from tests.fakes import fresh_session


@pytest.fixture(autouse=True)
def serial() -> Iterator[None]:
    with fresh_session():
        nbray.init("serial")
        yield


class PlainCounter:
    def __init__(self, start: int = 0, log: Path | None = None) -> None:
        if start < 0:
            raise ValueError("too small")
        self.count = start
        self.log = log

    def add(self, amount: int = 1) -> int:
        self.count += amount
        return self.count

    def fail(self) -> None:
        raise LookupError("no")

    def leave(self) -> None:
        try:
            nbray.actors.exit_actor()
        except BaseException:  # noqa: BLE001 - as users write it
            pass

    def up_to(self, n: int) -> Iterator[int]:
        yield from range(self.count, n)

    def who(self) -> Any:
        context = nbray.get_runtime_context()
        return context.get_actor_id(), context.get_actor_name()

    def __ray_shutdown__(self) -> None:
        if self.log is not None:
            self.log.write_text(str(self.count))


Counter: Any = nbray.remote(PlainCounter)


def test_calls_run_in_order_and_keep_state() -> None:
    counter = Counter.remote(5)
    refs = [counter.add.remote(n) for n in (1, 2, 3)]
    assert nbray.get(refs) == [6, 8, 11]
    assert [nbray.get(ref) for ref in counter.up_to.remote(13)] == [11, 12]
    with pytest.raises(LookupError):
        nbray.get(counter.fail.remote())
    assert nbray.get(counter.add.remote()) == 12
    assert "alive" in repr(counter)


def test_an_init_that_raises_is_the_cause_of_its_death() -> None:
    counter = Counter.remote(-1)
    with pytest.raises(nbray.exceptions.ActorDied, match="its __init__ raised ValueError: too small") as caught:
        nbray.get(counter.add.remote())
    assert isinstance(caught.value.__cause__, ValueError)


def test_names() -> None:
    first = Counter.options(name="one").remote(1)
    assert nbray.get(nbray.get_actor("one").add.remote()) == 2
    with pytest.raises(ValueError, match="name='one' is taken"):
        Counter.options(name="one").remote()
    same = Counter.options(name="one", get_if_exists=True).remote()
    assert nbray.get(same.add.remote()) == 3
    assert nbray.get(first.who.remote())[1] == "one"
    nbray.kill(first)
    with pytest.raises(ValueError, match="there is no actor named 'one'"):
        nbray.get_actor("one")


def test_death_by_kill_and_by_its_own_wish(tmp_path: Path) -> None:
    killed = Counter.remote(0, tmp_path / "killed")
    nbray.kill(killed)
    with pytest.raises(nbray.exceptions.ActorDied, match="it was killed"):
        nbray.get(killed.add.remote())
    assert not (tmp_path / "killed").exists()
    leaver = Counter.remote(7, tmp_path / "left")
    with pytest.raises(nbray.exceptions.ActorDied, match="by its own wish"):
        nbray.get(leaver.leave.remote())
    with pytest.raises(nbray.exceptions.ActorDied):
        nbray.get(leaver.add.remote())
    assert (tmp_path / "left").read_text() == "7"


def test_an_actor_ends_with_its_last_handle(tmp_path: Path) -> None:
    counter = Counter.remote(3, tmp_path / "log")
    boxed = nbray.put([counter])
    del counter
    gc.collect()
    assert nbray.get(nbray.get(boxed)[0].add.remote()) == 4
    assert not (tmp_path / "log").exists()
    del boxed
    gc.collect()
    assert (tmp_path / "log").read_text() == "4"


def test_a_temporary_actor_finishes_its_call() -> None:
    assert nbray.get(Counter.remote(1).add.remote()) == 2


def test_namespaces_and_lists() -> None:
    one: Any = Counter.options(name="same", namespace="one").remote(1)
    two: Any = Counter.options(name="same", namespace="two").remote(2)
    assert [nbray.get_actor("same", namespace=space) for space in ("one", "two")] == [one, two]
    with pytest.raises(ValueError, match="did you mean"):
        nbray.get_actor("same")
    assert [(row.name, row.namespace, row.state) for row in nbray.list_actors()] == [
        ("same", "one", "ALIVE"), ("same", "two", "ALIVE")
    ]  # fmt: skip


def test_a_namespace_for_all() -> None:
    nbray.shutdown()
    nbray.init("serial", namespace="mine")
    counter = Counter.options(name="here").remote()
    assert nbray.get_actor("here") == nbray.get_actor("here", namespace="mine") == counter
