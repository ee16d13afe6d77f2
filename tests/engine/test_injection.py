"""Faults that drivers ask for: who is meant, what goes on, and what is over."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from nbray.engine import injection
from nbray.engine.injection import CalmDisk, Injection, Injections, Strike, Trouble, TroubleDisk
from nbray.ids import ProcessId
from nbray.store.spill_files import Damaged

DRIVER, OTHER = ProcessId(1), ProcessId(2)
WORKER = Strike(slot=3, pid=4711, number=signal.SIGKILL)


class FakeDisk:
    troubles: tuple[Trouble, ...] = ()


class Scene:
    """Injections over one worker, and what was sent to it."""

    def __init__(self) -> None:
        self.pids = {3: 4711}
        self.sent: list[tuple[int, int]] = []
        self.disk = FakeDisk()
        self.injections = Injections(self.pids, lambda slot, number: self.sent.append((slot, number)), self.disk)

    def ask(self, asked: Injection, process: ProcessId = DRIVER, now: float = 0.0) -> bool:
        return bool(self.injections.carry_out(process, injection.encode(asked), now)["done"])


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_worker_is_struck_if_it_is_still_the_same_process(scene: Scene) -> None:
    assert scene.ask(WORKER)
    assert scene.sent == [(3, signal.SIGKILL)]
    assert not scene.ask(Strike(3, 4712, signal.SIGKILL))
    assert not scene.ask(Strike(4, 4711, signal.SIGKILL))
    assert len(scene.sent) == 1


def test_who_is_stopped_goes_on_after_the_time(scene: Scene) -> None:
    scene.ask(Strike(3, 4711, signal.SIGSTOP, seconds=2.0), now=10.0)
    assert scene.injections.due == 12.0
    scene.injections.run_due(11.9)
    assert scene.sent == [(3, signal.SIGSTOP)]
    scene.injections.run_due(12.0)
    assert scene.sent[1:] == [(3, signal.SIGCONT)]
    assert scene.injections.due == injection.NEVER


@pytest.mark.parametrize("how", ["asked", "driver gone"])
def test_it_goes_on_at_once_when_its_driver_says_so_or_goes(scene: Scene, how: str) -> None:
    scene.ask(Strike(3, 4711, signal.SIGSTOP, seconds=60.0))
    if how == "asked":
        assert scene.ask(Strike(3, 4711, signal.SIGCONT))
    else:
        scene.injections.forget(DRIVER)
    assert scene.sent[1:] == [(3, signal.SIGCONT)]


def test_whom_two_have_stopped_goes_on_with_the_last(scene: Scene) -> None:
    scene.ask(Strike(3, 4711, signal.SIGSTOP, seconds=5.0))
    scene.ask(Strike(3, 4711, signal.SIGSTOP, seconds=9.0), OTHER)
    scene.injections.run_due(5.0)
    assert (3, signal.SIGCONT) not in scene.sent
    scene.injections.run_due(9.0)
    assert scene.sent[-1] == (3, signal.SIGCONT)


def test_a_successor_in_the_slot_is_not_meant(scene: Scene) -> None:
    scene.ask(Strike(3, 4711, signal.SIGSTOP, seconds=5.0))
    scene.pids[3] = 4800
    scene.injections.run_due(5.0)
    assert scene.sent == [(3, signal.SIGSTOP)]


def test_trouble_stands_until_it_is_over_or_its_driver_has_gone(scene: Scene) -> None:
    for key, driver in ((1, DRIVER), (2, DRIVER), (1, OTHER)):
        scene.ask(TroubleDisk(key, writes=1.0), driver)
    assert len(scene.disk.troubles) == 3
    scene.ask(CalmDisk(1))
    scene.ask(CalmDisk(77))
    assert len(scene.disk.troubles) == 2
    scene.injections.forget(DRIVER)
    assert len(scene.disk.troubles) == 1


@pytest.mark.parametrize("text", [
    "", "{", "[]", '{"type": "strike"}', '{"type": "strike", "slot": 3, "pid": 4711, "number": 12345}',
    '{"type": "format_disk"}', '{"type": "trouble_disk", "key": 1, "reason": "errorcode"}',
    '{"type": "trouble_disk", "key": 1, "seconds": -1}', '{"type": "trouble_disk", "key": 1, "seconds": 1e300}',
])  # fmt: skip
def test_what_makes_no_sense_is_answered_and_does_nothing(scene: Scene, text: str) -> None:
    answer = scene.injections.carry_out(DRIVER, text, 0.0)
    assert not answer["done"]
    assert answer["error"]
    assert scene.sent == []
    assert scene.disk.troubles == ()


def succeeds(step: Callable[[], None]) -> bool:
    try:
        step()
    except (OSError, Damaged):
        return False
    return True


def written(trouble: Trouble) -> bool:
    return succeeds(trouble.write)


def read(trouble: Trouble) -> bool:
    return succeeds(trouble.read)


def test_the_reason_is_told_and_where_it_comes_from() -> None:
    trouble = Trouble(TroubleDisk(1, writes=1.0, reads=1.0))
    with pytest.raises(OSError, match=r"No space left on device \(nbray\.chaos\)"):
        trouble.write()
    with pytest.raises(Damaged, match=r"cannot be read .*nbray\.chaos"):
        trouble.read()


def test_the_same_seed_fails_the_same_objects_whatever_the_other_thread_does() -> None:
    one, same, other = (Trouble(TroubleDisk(1, seed, writes=0.3, reads=0.3, reason="EIO")) for seed in (5, 5, 6))
    writes = [written(one) for _ in range(100)]
    reads = [read(one) for _ in range(100)]
    mixed = [(written(same), read(same)) for _ in range(100)]
    assert [each for each, _ in mixed] == writes
    assert [each for _, each in mixed] == reads
    assert [written(other) for _ in range(100)] != writes
    assert 15 < writes.count(False) < 45


def test_a_disk_that_is_only_slow_fails_nothing() -> None:
    trouble = Trouble(TroubleDisk(1, seconds=0.001))
    assert all(written(trouble) and read(trouble) for _ in range(5))
