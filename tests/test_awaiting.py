import asyncio
import gc
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

import nbray
from nbray import awaiting
from nbray.awaiting import arrival
from nbray.ids import ObjectId
from tests.fakes import FakeBackend, fake_session


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


def pending(backend: FakeBackend) -> ObjectId:
    """An object that is not there yet."""
    backend.frozen = True
    return nbray.apply_async(pow, (2, 3)).id  # type: ignore[no-any-return]


def test_the_loop_is_free_meanwhile(backend: FakeBackend) -> None:
    object_id = pending(backend)
    order: list[str] = []

    async def wait() -> None:
        await arrival(backend, object_id)
        order.append("arrived")

    async def main() -> None:
        waits = asyncio.create_task(wait())
        await asyncio.sleep(0)
        order.append("other work")
        backend.die()  # calls back, as the arrival would
        await waits

    asyncio.run(main())
    assert order == ["other work", "arrived"]


def test_one_that_is_there_needs_no_wait(backend: FakeBackend) -> None:
    ref = nbray.put(1)
    asyncio.run(asyncio.wait_for(arrival(backend, ref.id), 1))


def test_what_many_wait_for_leaves_once_and_at_once(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [pending(backend) for _ in range(10)]
    order: list[str] = []
    monkeypatch.setattr(backend, "hurry", lambda: order.append("hurry"))

    async def wait(object_id: ObjectId) -> None:
        order.append("waits")
        await arrival(backend, object_id)

    async def main() -> None:
        waits = [asyncio.create_task(wait(each)) for each in ids]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["waits"] * 10 + ["hurry"]
        backend.die()
        await asyncio.wait(waits)

    asyncio.run(main())


def test_giving_up_leaves_nothing_behind(backend: FakeBackend) -> None:
    object_id = pending(backend)

    async def main() -> float:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(arrival(backend, object_id), 0.01)
        return time.monotonic() - started

    assert asyncio.run(main()) < 1
    backend.die()  # the loop is closed: nobody is woken


def test_all_that_wait_in_a_loop_share_a_heartbeat(backend: FakeBackend) -> None:
    object_id = pending(backend)
    beats: list[float] = []

    async def main() -> int:
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def count_later(delay: float, *args: object) -> asyncio.TimerHandle:
            beats.append(delay)
            return call_later(delay / 10, *args)  # type: ignore[arg-type]

        loop.call_later = count_later  # type: ignore[method-assign, assignment]
        waits = [asyncio.create_task(arrival(backend, object_id)) for _ in range(50)]
        await asyncio.sleep(0)
        first = len(beats)
        while len(beats) < 3:
            await asyncio.sleep(0)
        backend.die()
        await asyncio.gather(*waits)
        return first

    assert asyncio.run(main()) == 1
    assert set(beats) == {awaiting.HEARTBEAT_SECONDS}


def test_loops_that_are_gone_are_forgotten(backend: FakeBackend) -> None:
    ref = nbray.apply_async(pow, (2, 3))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(arrival(backend, ref.id))
    assert loop in awaiting._waits
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None


def test_many_arrivals_wake_the_loop_once(backend: FakeBackend) -> None:
    object_id = pending(backend)

    async def main() -> int:
        loop = asyncio.get_running_loop()
        woken: list[object] = []
        call_soon = loop.call_soon_threadsafe

        def count_wakes(callback: Callable[..., object], *args: object) -> asyncio.Handle:
            woken.append(callback)
            return call_soon(callback, *args)

        loop.call_soon_threadsafe = count_wakes  # type: ignore[method-assign, assignment]
        waits = [asyncio.create_task(arrival(backend, object_id)) for _ in range(50)]
        await asyncio.sleep(0)
        backend.die()
        await asyncio.gather(*waits)
        return len(woken)

    assert asyncio.run(main()) == 1
