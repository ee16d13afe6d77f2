"""How an experiment ends: why, what becomes of trials that had not ended, and who is interrupted when."""

from __future__ import annotations

from nbray.tune.events import Close, CloseReason, Closing, Interrupt
from nbray.tune.ledger import Ledger
from nbray.tune.recorded import Recorded
from nbray.tune.trial import Trial, TrialState

GRACE = 0.7
"""Seconds that trials get to report and be told to stop when all of them shall end; then they are interrupted."""
GRACE_OF_ONE = 5.0
"""The same for a single trial that a person stops."""
RESTORABLE = frozenset({CloseReason.STOPPED, CloseReason.INTERRUPTED, CloseReason.TRIAL_FAILED, CloseReason.ERROR})
"""After these, trials that had not ended run on in a restored experiment."""


class Ending:
    """The end of an experiment, from the wish for it to the last trial's obedience."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._deadlines: dict[str, float] = {}
        self.wanted: Closing | None = None
        """Why it shall end; trials may be at work still."""
        self.closed: Close | None = None
        self.recorded: Recorded | None = None

    def spares(self, trial: Trial) -> bool:
        """Whether a trial that was told to stop may run on in a restored experiment: nobody wanted its own end."""
        return self.wanted is not None and self.wanted.why in RESTORABLE and trial.why == self.wanted.text

    def wakes_at(self) -> float | None:
        """When the first run is interrupted that was told to stop and has not; None: there is none."""
        return min(self._deadlines.values(), default=None)

    def want(self, why: CloseReason, text: str) -> None:
        """Everything shall end; the first reason counts, and in a replay that of the journal, if it has one."""
        if self.wanted is not None:
            return
        wanted = self._as_recorded(Closing(why, text))
        if wanted is None:
            return
        self.wanted = wanted
        self._ledger.actions.append(wanted)
        for trial_id in self._ledger.working:
            self.stop_run(self._ledger.trials[trial_id], wanted.text, GRACE)
        if wanted.why in RESTORABLE:
            return
        for trial_id in [each for each in self._ledger.unfinished if each not in self._ledger.working]:
            self._ledger.finish(self._ledger.trials[trial_id], TrialState.TERMINATED, wanted.text)

    def follow_the_journal(self) -> None:
        """In a replay: end where the journal says so."""
        then = None if self.recorded is None else self.recorded.closing
        if then is not None and self.recorded is not None and self.wanted is None:
            self.recorded.note(f"the experiment ended then ({then.why}), and would not now")
            self.want(then.why, then.text)

    def _as_recorded(self, now: Closing) -> Closing | None:
        """In a replay: how the experiment ended, or None if it did not."""
        if self.recorded is None:
            return now
        then = self.recorded.closing
        if then is None:
            self.recorded.note(f"the experiment would end now ({now.why}), and did not then")
        elif then.why is not now.why:
            self.recorded.note(f"the experiment ended then for another reason ({then.why}) than it would now ({now.why})")
        return then

    def stop_run(self, trial: Trial, why: str, grace: float) -> None:
        """A trial at work is told to stop at its next report, and interrupted if that does not come in time."""
        if trial.state is not TrialState.STOPPING:
            self._ledger.move(trial, TrialState.STOPPING, why)
        by = self._ledger.now + grace
        self._deadlines[trial.trial_id] = min(by, self._deadlines.get(trial.trial_id, by))

    def interrupt_late_ones(self) -> None:
        """Interrupt runs whose time to obey is over, each once."""
        for trial_id, deadline in list(self._deadlines.items()):
            if trial_id not in self._ledger.working:
                del self._deadlines[trial_id]
            elif self._ledger.now >= deadline:
                del self._deadlines[trial_id]
                self._ledger.actions.append(Interrupt(trial_id))

    def close_if_over(self) -> None:
        """Close once the end is wanted and nothing is at work any more."""
        if self.wanted is not None and self.closed is None and not self._ledger.working:
            self.closed = Close(self.wanted.why, self.wanted.text)
            self._ledger.actions.append(self.closed)

    def reopen(self) -> None:
        """The experiment goes on."""
        self._deadlines.clear()
        self.wanted = self.closed = None
