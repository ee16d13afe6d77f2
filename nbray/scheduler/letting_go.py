"""Asks the processes that may know where objects are to forget it, and hears which of them are being read.

Processes read stored objects without asking, so before an extent is used again, every holder of the object must have answered.
One that does not answer in time, since C code holds it, is taken to read what it was asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from nbray.ids import ObjectId, ProcessId
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.messages import LetGo
from nbray.scheduler.places import Place
from nbray.scheduler.processes import Outbox, Process

STUCK_SECONDS = 0.5

OnPlace = Callable[[Place], None]


class LettingGo:
    """The questions that are not answered; each place in one of them is LEAVING, or has lost interest in the answer."""

    def __init__(
        self, processes: dict[ProcessId, Process], outbox: Outbox, deadlines: Deadlines, on_left: OnPlace, on_read: OnPlace
    ) -> None:  # fmt: skip
        self._processes = processes
        self._outbox = outbox
        self._deadlines = deadlines
        self._on_left = on_left
        self._on_read = on_read
        self._asked: dict[int, tuple[ProcessId, list[Place]]] = {}
        """By number: who was asked, and about what."""
        self._last = 0

    def ask(self, places: Iterable[Place]) -> None:
        """Nobody is told any more where these are; who may know is asked to forget it."""
        self._outbox.send_ready()  # where they are may be about to be told: that comes before the news that they go
        asked: dict[ProcessId, list[Place]] = {}
        unknown: list[Place] = []
        for place in places:
            holders = [process_id for process_id, process in self._processes.items() if place.object_id in process.held]
            for process_id in holders:
                asked.setdefault(process_id, []).append(place)
            if not holders:
                unknown.append(place)
        for process_id, theirs in asked.items():
            self._ask(process_id, theirs)
        for place in unknown:
            self._on_left(place)

    def _ask(self, process_id: ProcessId, places: list[Place]) -> None:
        self._last += 1
        self._asked[self._last] = process_id, places
        for place in places:
            place.asked.add(self._last)
        self._outbox.send(process_id, LetGo(self._last, [place.object_id for place in places]))
        self._deadlines.after(STUCK_SECONDS, partial(self._give_up, process_id, self._last))

    def answered(self, process_id: ProcessId, number: int, in_use: Collection[ObjectId]) -> None:
        """A process has let go of what it was asked to, but for what it reads."""
        asked, places = self._asked.get(number, (None, []))
        if asked != process_id:
            return
        del self._asked[number]
        reads = set(in_use)
        for place in places:
            if number not in place.asked:  # it was wanted meanwhile, or is gone
                continue
            place.asked.remove(number)
            if place.object_id in reads:
                self._on_read(place)
            elif not place.asked:
                self._on_left(place)

    def forget(self, process_id: ProcessId) -> None:
        """The process is gone, and reads nothing."""
        for number, (asked, _) in list(self._asked.items()):
            if asked == process_id:
                self.answered(process_id, number, ())

    def _give_up(self, process_id: ProcessId, number: int) -> None:
        """It has had its time to answer; should it let go after all, that does no harm."""
        if number in self._asked:
            self.answered(process_id, number, [place.object_id for place in self._asked[number][1]])
