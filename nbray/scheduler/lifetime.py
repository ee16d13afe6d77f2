"""When the cluster ends: its last driver has gone, its tasks have ended, and nobody has come back for a while."""

from __future__ import annotations

from functools import partial

from nbray.scheduler.cell_runs import Jobs
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.processes import Outbox

FIRST_DRIVER_SECONDS = 60.0
"""A cluster to which no driver comes ends after so long."""
LONGEST_WORK_SECONDS = 12 * 3600.0
"""Without a driver, tasks may run on for so long; then they end with the cluster."""


class Lifetime:
    """Watches the drivers come and go."""

    def __init__(self, linger: float, jobs: Jobs, outbox: Outbox, deadlines: Deadlines) -> None:
        self._linger = linger
        self._jobs = jobs
        self._outbox = outbox
        self._deadlines = deadlines
        self._absence = 0
        """Counts departures and returns, so that a deadline knows whether it is still meant."""
        self.alone = False
        """No driver is connected."""
        self._lingering = False
        self.stopped = False

    def start(self) -> None:
        """The cluster begins, without a driver."""
        self._deadlines.after(FIRST_DRIVER_SECONDS, partial(self._end, self._absence, "no driver came"))

    def starter_left(self) -> None:
        """Who started the cluster has ended; when no driver has ever come, none will."""
        if not self._absence:
            self._end(self._absence, "who started it ended before it came")

    def driver_joined(self, linger: float) -> None:
        """A driver is there; the longest linger that any driver asked for counts."""
        self._absence += 1
        self.alone = self._lingering = False
        self._linger = max(self._linger, linger)

    def driver_left(self) -> None:
        """A driver has gone; if it was the last, the end begins."""
        if self._jobs.drivers():
            return
        self._absence += 1
        self.alone = True
        if self._linger <= 0:
            self._end(self._absence, "its last driver has gone")
            return
        hours = LONGEST_WORK_SECONDS / 3600
        reason = f"its tasks ran on for {hours:g} hours after its last driver had gone"
        self._deadlines.after(LONGEST_WORK_SECONDS, partial(self._end, self._absence, reason))

    def look(self) -> None:
        """Called after every event while no driver is there: the linger starts when the last task has ended.

        Tasks that are accepted later by a lingering cluster do not occur: only tasks submit then, and none run.
        """
        if not self._lingering and not self._jobs.live():
            self._lingering = True
            reason = f"nobody came back within {self._linger:g} s after its last driver had gone"
            self._deadlines.after(self._linger, partial(self._end, self._absence, reason))

    def end(self, reason: str) -> None:
        """End the cluster now."""
        if not self.stopped:
            self.stopped = True
            self._outbox.stop(reason)

    def _end(self, absence: int, reason: str) -> None:
        if absence == self._absence:
            self.end(reason)
