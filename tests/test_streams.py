import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import nbray
from nbray import streams
from nbray.streams import ObjectRefGenerator
from tests.fakes import FakeBackend, fake_session


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


@nbray.remote
def letters(text: str) -> Iterator[str]:
    yield from text


def test_what_yields() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1

    async def value() -> int:
        return 1

    assert streams.yields(letters.function)
    assert streams.yields(items)
    assert not streams.yields(value)
    assert not streams.yields(len)


def test_each_ref_is_taken_once(backend: FakeBackend) -> None:
    generator = letters.remote("abc")
    assert iter(generator) is generator
    assert repr(generator) == "ObjectRefGenerator(letters)"
    assert nbray.get(next(generator)) == "a"
    assert generator.next_ready()
    assert generator.next_ready()
    assert [nbray.get(ref) for ref in generator] == ["b", "c"]
    assert generator.is_finished()


def test_a_generator_that_is_dropped_is_given_up_with_its_items(backend: FakeBackend) -> None:
    generator = letters.remote("abc")
    nbray.wait([generator])
    kept = next(generator)
    del generator
    assert list(backend.counts) == [kept.id]


def test_one_that_is_waited_for_runs_on(backend: FakeBackend) -> None:
    completed = letters.remote("abc").completed()
    assert nbray.get(completed) is None


def test_one_of_another_cluster() -> None:
    with fake_session():
        generator = letters.remote("abc")
    with fake_session(), pytest.raises(nbray.WrongCluster, match="run the cell that made it again"):
        next(generator)


def test_a_dead_cluster_ends_the_loop(backend: FakeBackend) -> None:
    backend.frozen = True
    generator = letters.remote("abc")
    backend.die()
    with pytest.raises(nbray.ClusterDied):
        next(generator)

    async def main() -> Any:
        return await anext(generator)

    with pytest.raises(nbray.ClusterDied):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda generator: generator[0], r"next\(generator\), or list\(generator\)"),
        (lambda generator: generator(), "gives refs one by one"),
        (lambda generator: generator.send(1), r"nbray.cancel\(generator\) stops its task"),
        (lambda generator: generator.close(), "iterated only"),
        (pickle.dumps, "its items come to the one that called .remote"),
        (lambda generator: nbray.get([generator]), r"nbray.get\(ref\) for ref in generator"),
        (lambda generator: nbray.as_completed([generator]), "gives refs one by one"),
    ],
)
def test_misuse(backend: FakeBackend, misuse: Any, message: str) -> None:
    with pytest.raises(nbray.WrongType, match=message):
        misuse(letters.remote("abc"))


def test_a_bundle_is_a_sequence(backend: FakeBackend) -> None:
    objects = [backend.put(word) for word in ("a", "b", "c")]
    refs = streams.bundle(objects)
    assert repr(refs) == "DynamicObjectRefGenerator(3 refs)"
    assert nbray.get(list(refs)) == ["a", "b", "c"]
    assert nbray.get(next(reversed(refs))) == "c"
    copy = pickle.loads(pickle.dumps(refs))
    del refs
    assert nbray.get(copy[1]) == "b"


def test_an_unfinished_one_can_be_collected() -> None:
    ObjectRefGenerator.__new__(ObjectRefGenerator).__del__()
