"""Stop, and user code that forks, at any moment of a connection's life."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from nbray.errors import ClusterDied
from nbray.ids import ObjectId
from nbray.scheduler.messages import Goodbye, Ready
from tests.engine.pretended_scheduler import Ends


class TestInterrupts:
    def test_stop_ends_a_wait_at_once_and_nothing_is_lost(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        timer = threading.Timer(0.02, signal.raise_signal, [signal.SIGINT])
        timer.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            ends.link.wait([mine], 1, None)
        assert time.monotonic() - started < 1
        timer.join()
        assert not ends.link._values._waiters
        ends.scheduler.say(Ready([(mine, b"mine")]))
        assert ends.link.wait([mine], 1, 5)

    def test_interrupts_at_any_moment_lose_and_double_nothing(self, ends: Ends) -> None:
        """Submissions under a hail of interrupts: what the scheduler hears is what was submitted, each once, in order."""
        hail = Hail()
        submitted: list[ObjectId] = []

        def submit() -> None:
            (number,) = ends.submit()
            ends.link.flush()
            submitted.append(number)

        with hail:
            while hail.interrupts < 200:
                hail.fall_on(submit)
        ends.submit()
        heard: list[ObjectId] = []
        while not heard or heard[-1] <= submitted[-1]:
            heard += [task.task_id for task in getattr(ends.scheduler.hear(), "tasks", ())]
        assert heard == sorted(set(heard)), "each once, in order"
        assert set(submitted) <= set(heard), "each one that returned was sent"


class Interrupted(BaseException):
    """What the test's SIGINT handler raises."""


class Hail:
    """Interrupts the main thread at random moments, inside `fall_on` only."""

    def __init__(self) -> None:
        self.interrupts = 0
        self._inside = False

    def __enter__(self) -> None:
        self._alarm = signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT))
        self._previous = signal.signal(signal.SIGINT, self._on_interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)

    def __exit__(self, *exc_info: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._alarm)
        signal.signal(signal.SIGINT, self._previous)

    def _on_interrupt(self, number: int, frame: object) -> None:
        if self._inside:
            self._inside = False
            raise Interrupted

    def fall_on(self, call: Callable[[], None]) -> None:
        try:
            self._inside = True
            call()
            self._inside = False
        except Interrupted:
            self.interrupts += 1


@pytest.mark.local
def test_a_forked_child_lets_go_of_the_connection(ends: Ends) -> None:
    """It says so when it is used there, sends nothing, and does not keep the scheduler from seeing the parent's end."""
    (mine,) = ends.submit()
    ends.scheduler.hear()
    pid = os.fork()
    if not pid:
        os._exit(check_child(ends, mine))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ends.scheduler.hears_nothing(0.01)
    ends.scheduler.say(Ready([(mine, b"still there")]))
    assert ends.link.wait([mine], 1, 5)


def check_child(ends: Ends, mine: ObjectId) -> int:
    ends.link.release(mine)
    ends.link.references.hold(mine)
    ends.link.close(Goodbye(stop=True))
    for call in (ends.submit, lambda: ends.link.wait([mine], 1, 0.1), lambda: ends.link.allocate(5)):
        try:
            call()
        except ClusterDied as error:
            if "forked" not in str(error):
                return 2
        else:
            return 3
    return 0
