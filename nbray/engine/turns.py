"""How long each turn of the scheduler process's loop takes: whoever comes meanwhile waits for its end."""

from __future__ import annotations

import time

STEP_SECONDS = 0.01
MOST_STEPS = 100


class Turns:
    """Turns counted by their length in hundredths of a second, of the clock and of the CPU; the last place is for longer ones.

    The two differ where the machine is busy with others, or where the turn has waited for something, which none should.

    >>> turns = Turns()
    >>> turns.begin()
    >>> turns.end()
    >>> sum(turns.by_clock), sum(turns.by_cpu)
    (1, 1)
    """

    def __init__(self) -> None:
        self.by_clock = [0] * (MOST_STEPS + 1)
        self.by_cpu = [0] * (MOST_STEPS + 1)
        self._clock = self._cpu = 0.0

    def begin(self) -> None:
        """Something has come."""
        self._clock, self._cpu = time.monotonic(), time.thread_time()

    def end(self) -> None:
        """All that had come is done."""
        self.by_clock[_place(time.monotonic() - self._clock)] += 1
        self.by_cpu[_place(time.thread_time() - self._cpu)] += 1

    def table(self) -> dict[str, list[int]]:
        """Both counts, since the process began."""
        return {"clock": list(self.by_clock), "cpu": list(self.by_cpu)}


def _place(seconds: float) -> int:
    return min(MOST_STEPS, int(seconds / STEP_SECONDS))
