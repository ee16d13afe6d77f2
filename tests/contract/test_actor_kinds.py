"""Every backend with actors: those with several calls under way, as coroutines or on threads."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import pytest

import nbray
from nbray.backends.backend import OutputEvent
from nbray.ids import CellRunId
from nbray.session import current_backend, set_cell_run
from tests.contract.conftest import until

pytestmark = pytest.mark.usefixtures("real_backend")


class PlainMeeting:
    """Its calls meet each other, so they must be under way at the same time."""

    def __init__(self) -> None:
        self.here = 0
        self.most = 0
        self.complete = asyncio.Event()
        self.cancelled = 0

    async def join(self, wanted: int) -> int:
        self.here += 1
        self.most = max(self.most, self.here)
        if self.here >= wanted:
            self.complete.set()
        await self.complete.wait()
        self.here -= 1
        return wanted

    async def nap(self, seconds: float) -> float:
        self.here += 1
        self.most = max(self.most, self.here)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.here -= 1
        return seconds

    def counts(self) -> tuple[int, int, int]:
        return self.here, self.most, self.cancelled

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise KeyError("async")

    async def leave(self) -> None:
        try:
            nbray.exit_actor()
        except BaseException:  # noqa: BLE001 - as users write it
            await asyncio.sleep(0)

    async def blocking_get(self, refs: list[Any]) -> Any:
        return nbray.get(refs[0])

    async def awaiting(self, refs: list[Any]) -> Any:
        return await refs[0], await asyncio.gather(*refs)

    async def on_a_thread(self, refs: list[Any]) -> Any:
        return await asyncio.to_thread(nbray.get, refs)

    async def say(self, text: str) -> None:
        await asyncio.sleep(0.02)
        print(text)

    async def ask(self, task: Any) -> Any:
        return await task.remote()

    async def items(self, count: int) -> Any:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    async def ref(self) -> Any:
        return nbray.put(7)

    def raise_system_exit_elsewhere(self) -> None:
        async def leave() -> None:
            sys.exit(1)

        self.task = asyncio.get_running_loop().create_task(leave())


Meeting = nbray.remote(PlainMeeting)


def slowly(value: int) -> int:
    time.sleep(0.05)
    return value


# -------------------------------------------------------------------- coroutines


def test_more_calls_are_under_way_than_the_recursion_limit() -> None:
    meeting = Meeting.options(max_concurrency=3000).remote()
    refs = [meeting.join.remote(2500) for _ in range(2500)]
    assert nbray.get(refs, timeout=30) == [2500] * 2500


def test_max_concurrency_of_coroutines() -> None:
    meeting = Meeting.options(max_concurrency=2).remote()
    nbray.get([meeting.nap.remote(0.01) for _ in range(10)])
    assert nbray.get(meeting.counts.remote()) == (0, 2, 0)


def test_plain_methods_run_between_coroutines() -> None:
    meeting = Meeting.remote()
    waiting = meeting.join.remote(2)
    assert until(lambda: nbray.get(meeting.counts.remote())[0] == 1)
    assert nbray.get([meeting.join.remote(2), waiting]) == [2, 2]


def test_exceptions_of_coroutines() -> None:
    meeting = Meeting.remote()
    with pytest.raises(KeyError, match="async"):
        nbray.get(meeting.fail.remote())
    assert nbray.get(meeting.nap.remote(0)) == 0


def test_a_blocking_get_says_await() -> None:
    meeting = Meeting.remote()
    with pytest.raises(nbray.UsageError, match=r"nbray\.get\(\) would block the event loop of actor PlainMeeting.*`await ref`"):
        nbray.get(meeting.blocking_get.remote([nbray.put(1)]))
    slow = nbray.apply_async(slowly, (5,))
    assert nbray.get(meeting.awaiting.remote([slow, nbray.put(6)])) == (5, [5, 6])
    assert nbray.get(meeting.on_a_thread.remote([slow])) == [5]
    assert nbray.get(nbray.get(meeting.ref.remote())) == 7


def test_coroutines_print_into_the_cell_that_called_each() -> None:
    printed = {"one": "", "two": ""}

    def keep(event: OutputEvent) -> None:
        printed[event.cell_run] += event.data.decode()

    backend = current_backend()
    backend.on_output(keep)
    try:
        meeting = Meeting.remote()
        refs = []
        for cell in ("one", "two"):
            set_cell_run(CellRunId(cell))
            refs.append(meeting.say.remote(f"from {cell}"))
        nbray.get(refs)
        assert until(lambda: all(text.endswith("\n") for text in printed.values()))
    finally:
        backend.on_output(None)
        set_cell_run(CellRunId("background"))
    assert printed == {"one": "from one\n", "two": "from two\n"}


def test_cancelling_a_coroutine_cancels_it_alone() -> None:
    meeting = Meeting.remote()
    cut, kept = meeting.nap.remote(60), meeting.nap.remote(0.2)
    assert until(lambda: nbray.get(meeting.counts.remote())[0] == 2)
    nbray.cancel(cut)
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(cut, timeout=5)
    assert nbray.get(kept) == 0.2
    assert nbray.get(meeting.counts.remote()) == (0, 2, 1)


def test_cancelling_coroutines_that_wait_for_room() -> None:
    meeting = Meeting.options(max_concurrency=1).remote()
    running, queued = meeting.nap.remote(0.2), meeting.nap.remote(60)
    nbray.cancel(queued)
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(queued, timeout=5)
    assert nbray.get(running) == 0.2


def test_an_async_generator_method_streams() -> None:
    meeting = Meeting.remote()
    assert [nbray.get(ref) for ref in meeting.items.remote(5)] == [0, 1, 2, 3, 4]


def test_a_coroutine_may_end_its_actor() -> None:
    meeting = Meeting.remote()
    other = meeting.nap.remote(60)
    assert until(lambda: nbray.get(meeting.counts.remote())[0] == 1)
    for ref in (meeting.leave.remote(), other):
        with pytest.raises(nbray.ActorDied):
            nbray.get(ref, timeout=5)


def test_what_a_forgotten_coroutine_raises_does_not_end_the_actor() -> None:
    meeting = Meeting.remote()
    nbray.get(meeting.raise_system_exit_elsewhere.remote())
    assert nbray.get(meeting.nap.remote(0.01), timeout=5) == 0.01


def test_one_caller_in_a_coroutine_each() -> None:
    async def main() -> Any:
        meeting = Meeting.remote()
        return await asyncio.gather(*[meeting.nap.remote(0.01) for _ in range(20)])

    assert asyncio.run(main()) == [0.01] * 20


# -------------------------------------------------------------------- threads


class PlainPool:
    def __init__(self) -> None:
        self.barrier = threading.Barrier(3)
        self.lock = threading.Lock()
        self.here = self.most = 0
        self.order: list[int] = []

    def meet(self) -> int:
        return 1 if self.barrier.wait(10) >= 0 else 0

    def nap(self, seconds: float) -> str:
        with self.lock:
            self.here += 1
            self.most = max(self.most, self.here)
        time.sleep(seconds)
        with self.lock:
            self.here -= 1
        return threading.current_thread().name

    def seen(self) -> int:
        return self.most

    def fail(self) -> None:
        raise KeyError("on a thread")

    def leave(self) -> None:
        nbray.exit_actor()

    def ask(self, task: Any) -> Any:
        return nbray.get(task.remote())

    def fetch(self, refs: list[Any]) -> Any:
        return nbray.get(refs)


Pool = nbray.remote(max_concurrency=3)(PlainPool)


def test_threads_run_calls_at_the_same_time() -> None:
    pool = Pool.remote()
    assert nbray.get([pool.meet.remote() for _ in range(6)], timeout=20) == [1] * 6


def test_no_more_threads_than_max_concurrency() -> None:
    pool = Pool.remote()
    nbray.get([pool.nap.remote(0.01) for _ in range(12)])
    assert nbray.get(pool.seen.remote()) == 3


def test_exceptions_and_waiting_on_threads() -> None:
    pool = Pool.remote()
    with pytest.raises(KeyError, match="on a thread"):
        nbray.get(pool.fail.remote())
    slow = nbray.apply_async(slowly, (5,))
    assert nbray.get([pool.fetch.remote([slow]) for _ in range(5)]) == [[5]] * 5


def test_a_thread_may_end_its_actor() -> None:
    pool = Pool.remote()
    running = pool.nap.remote(60)
    for ref in (pool.leave.remote(), running):
        with pytest.raises(nbray.ActorDied):
            nbray.get(ref, timeout=5)


def test_cancelling_calls_that_no_thread_has_begun() -> None:
    pool = Pool.remote()
    running = [pool.nap.remote(0.3) for _ in range(3)]
    queued = pool.nap.remote(60)
    nbray.cancel(queued)
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(queued, timeout=5)
    assert len(nbray.get(running)) == 3


# -------------------------------------------------------------------- resources


@nbray.remote
def five() -> int:
    return 5


@pytest.mark.parametrize("kind", [PlainMeeting, PlainPool])
def test_an_actor_that_holds_all_cpus_gives_them_back_while_it_waits(kind: type) -> None:
    actor = nbray.remote(num_cpus=2, max_concurrency=3)(kind).remote()
    assert nbray.get([actor.ask.remote(five) for _ in range(5)], timeout=10) == [5] * 5
    assert nbray.available_resources().get("CPU", 0) == 0


# -------------------------------------------------------------------- beginnings


class Broken:
    def __init__(self) -> None:
        raise LookupError("no table")

    def get(self) -> int:
        return 1


class BrokenAsync(Broken):
    async def wait(self) -> int:
        return 1


@pytest.mark.parametrize(("kind", "most"), [(Broken, 3), (BrokenAsync, 10)])
def test_an_actor_whose_init_raises(kind: type, most: int) -> None:
    broken = nbray.remote(max_concurrency=most)(kind).remote()
    for ref in [broken.get.remote() for _ in range(3)]:
        with pytest.raises(nbray.ActorDied, match="no table") as error:
            nbray.get(ref, timeout=5)
        assert isinstance(error.value.__cause__, LookupError)


def test_init_may_wait_and_start_coroutines() -> None:
    class Started:
        def __init__(self, refs: list[Any]) -> None:
            self.value = nbray.get(refs[0])
            self.done = asyncio.Event()
            self.task = asyncio.get_running_loop().create_task(self.finish())

        async def finish(self) -> None:
            self.done.set()

        async def look(self) -> int:
            await self.done.wait()
            return int(self.value)

    ref = nbray.apply_async(slowly, (3,))
    assert nbray.get(nbray.remote(Started).remote([ref]).look.remote(), timeout=10) == 3


@pytest.mark.parametrize("end", ["handles", "terminate", "leave"])
def test_the_hook_of_an_actor_with_coroutines(tmp_path: Any, end: str) -> None:
    class Tidy:
        def __init__(self, path: Any) -> None:
            self.path = path

        async def leave(self) -> None:
            nbray.exit_actor()

        def __ray_shutdown__(self) -> None:
            self.path.write_text(str(nbray.get(nbray.put("tidied"))))

    path = tmp_path / "note"
    actor = nbray.remote(Tidy).remote(path)
    nbray.get(actor.__ray_ready__.remote())
    if end == "terminate":
        actor.__ray_terminate__.remote()
    elif end == "leave":
        actor.leave.remote()
    del actor
    assert until(lambda: path.exists() and path.read_text() == "tidied")


def test_an_actor_that_leaves_in_the_midst_of_other_calls_has_left_on_purpose(tmp_path: Any) -> None:
    """Those are cut off and may tidy up, one after the other; the first one's end is not the end of the others."""

    class Crowd:
        async def stay(self, path: Any, steps: int) -> None:
            (path / "began").touch()
            try:
                await asyncio.sleep(300)
            finally:
                for _ in range(steps):
                    await asyncio.sleep(0.01)
                (path / "tidied").touch()

        async def leave(self) -> None:
            nbray.exit_actor()

    folders = [tmp_path / str(number) for number in range(3)]
    crowd = nbray.remote(Crowd).remote()
    for folder in folders:
        folder.mkdir()
    refs = [crowd.stay.remote(folder, 5 * number) for number, folder in enumerate(folders)]
    assert until(lambda: all((folder / "began").exists() for folder in folders), 20)
    for ref in [crowd.leave.remote(), *refs, crowd.stay.remote(tmp_path, 0)]:
        with pytest.raises(nbray.ActorDied, match=r"by its own wish|exited on purpose"):
            nbray.get(ref, timeout=20)
    assert until(lambda: all((folder / "tidied").exists() for folder in folders))
