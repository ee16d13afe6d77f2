"""Kinds of faults that can be tried on a cluster (`nbray.chaos`): what each does from its beginning to its end.

What is chosen by chance is `Dice`, which knows no clock; the rest says to the session's backend what shall be done.
"""

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from nbray import session
from nbray.backends.backend import Backend
from nbray.engine.injection import CalmDisk, EndScheduler, Injection, Strike, TroubleDisk
from nbray.errors import ClusterDied
from nbray.snapshot import WorkerSnapshot
from nbray.wording import size_text

LOOK_SECONDS = 0.02
"""How often it is looked whether there is something to hit, when there was nothing."""
LARGEST_PIECE = 1 << 28
SMALLEST_PIECE = 1 << 16
"""Whole numbers of it are taken, so that no request fails for want of the rest of a page."""
_AT_WORK = ("busy", "blocked")

Note = Callable[[str, str], None]
"""Takes down what was done, and what the worker ran that it was done to; any thread."""
Blow = Callable[[Backend, WorkerSnapshot], str]
"""Does something to a worker; says what, or nothing where the worker was gone."""


class Mischief(ABC):
    """One kind of fault, from `begin` to `end`; knows nothing of who asked for it."""

    @abstractmethod
    def begin(self, note: Note) -> None:
        """Start; `note` hears of each thing that is done."""

    @abstractmethod
    def end(self) -> None:
        """Let it be over, and undo what can be undone; raises what went wrong meanwhile."""


class Dice:
    """The choices of one block: when, and whom; the same for the same seed. `times` of them, None for any number.

    One that lasts some `seconds` is over before the pause until the next one begins: with several at a time all workers could
    stand still for ever.
    """

    def __init__(self, name: str, every: float, seed: int, times: int | None, seconds: float = 0.0) -> None:
        self._every = every
        self._seconds = seconds
        self._before = 0.0
        self._draws = random.Random(f"{name} {seed}")
        self._left = float("inf") if times is None else times
        self._aim = 0.0

    def pause(self) -> float | None:
        """Seconds until the next one; None when there have been enough."""
        if self._left <= 0:
            return None
        self._left -= 1
        pause, self._aim = self._draws.random(), self._draws.random()
        before, self._before = self._before, self._seconds
        return before + self._every * (0.5 + pause)

    def order(self, workers: Sequence[WorkerSnapshot]) -> list[WorkerSnapshot]:
        """The workers, the one that is to be hit now first; the same answer until the next pause."""
        ranks = sorted(workers, key=lambda worker: worker.slot)
        first = int(self._aim * len(ranks))
        return ranks[first:] + ranks[:first]


class OnWorkers(Mischief):
    """Hits a worker now and then, on a thread of its own."""

    def __init__(self, dice: Dice, blow: Blow, task: str, idle: bool, undo: Sequence[tuple[str, Strike]] = ()) -> None:
        self._dice = dice
        self._blow = blow
        self._task = task
        self._idle = idle
        self._undo = undo
        """What is said to clusters, by their epochs, at the end."""
        self._over = threading.Event()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def begin(self, note: Note) -> None:
        """See `Mischief.begin`."""
        self._thread = threading.Thread(target=self._run, args=(note,), name="nbray-chaos", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """See `Mischief.end`."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        for epoch, strike in self._undo:
            _tell(epoch, strike)
        if self._error is not None:
            raise self._error

    def _run(self, note: Note) -> None:
        try:
            while (pause := self._dice.pause()) is not None and not self._over.wait(pause):
                while not self._hit(note):
                    if self._over.wait(LOOK_SECONDS):
                        return
        except Exception as error:  # noqa: BLE001 - told by `end`, on the thread of the block
            self._error = error

    def _hit(self, note: Note) -> bool:
        """Hit one of the workers that are there; False when there is none."""
        backend = session.current.backend
        if backend is None:
            return False
        try:
            workers = [worker for worker in backend.snapshot().workers if self._suits(worker)]
            for worker in self._dice.order(workers):
                what = self._blow(backend, worker)
                if what:
                    note(what, worker.task or worker.actor)
                    return True
        except ClusterDied:  # another fault's work: the next cluster has workers too
            pass
        return False

    def _suits(self, worker: WorkerSnapshot) -> bool:
        fits = not self._task or self._task in (worker.task, worker.actor.partition(" ")[0])
        return fits and worker.pid > 0 and (worker.state in _AT_WORK or (self._idle and worker.state == "idle"))


class OnScheduler(Mischief):
    """Ends the scheduler process, once."""

    def __init__(self, after: float) -> None:
        self._timer = threading.Timer(after, self._kill)
        self._timer.name, self._timer.daemon = "nbray-chaos", True
        self._note: Note = lambda what, task: None
        self._epoch = ""

    def begin(self, note: Note) -> None:
        """See `Mischief.begin`."""
        self._note, self._epoch = note, session.current_backend().epoch
        self._timer.start()

    def end(self) -> None:
        """See `Mischief.end`."""
        self._timer.cancel()
        if self._timer.ident is not None:
            self._timer.join()

    def _kill(self) -> None:
        if _tell(self._epoch, EndScheduler()) is None:
            self._note(f"killed the scheduler process of cluster {self._epoch}", "")


class OnDisk(Mischief):
    """Trouble that stands until the end."""

    def __init__(self, trouble: TroubleDisk, what: str) -> None:
        self._trouble = trouble
        self._what = what
        self._epoch = ""

    def begin(self, note: Note) -> None:
        """See `Mischief.begin`."""
        backend = session.current_backend()
        self._epoch = backend.epoch
        backend.inject(self._trouble)
        note(f"the disk of cluster {backend.epoch}: {self._what}", "")

    def end(self) -> None:
        """See `Mischief.end`."""
        _tell(self._epoch, CalmDisk(self._trouble.key))


class OnStore(Mischief):
    """Room that is taken, in pieces as large as there are."""

    def __init__(self, leaving: int) -> None:
        self._leaving = leaving
        self._taken: list[Callable[[], None]] = []

    def begin(self, note: Note) -> None:
        """See `Mischief.begin`."""
        backend = session.current_backend()
        store = backend.snapshot().store
        wanted, taken, piece = store.limit - store.used - self._leaving, 0, LARGEST_PIECE
        while (size := min(piece, wanted - taken) // SMALLEST_PIECE * SMALLEST_PIECE) > 0:
            give_back = backend.occupy(size)
            if give_back is None:  # which takes a second: the scheduler waits whether room comes
                piece = size // 2
            else:
                self._taken.append(give_back)
                taken += size
        note(f"took {size_text(taken)} of the store's {size_text(store.limit)}", "")

    def end(self) -> None:
        """See `Mischief.end`."""
        while self._taken:
            self._taken.pop()()


def _tell(epoch: str, injection: Injection) -> bool | None:
    """Say it to the cluster of this epoch, if this session has it still; None when it has gone, or goes of it."""
    backend = session.current.backend
    if backend is None or backend.lost or backend.epoch != epoch:
        return False
    try:
        return backend.inject(injection)
    except ClusterDied:
        return None
