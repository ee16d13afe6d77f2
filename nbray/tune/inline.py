"""An experiment in this process, one trial after the other: where the backend has no processes that could lead one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from nbray.tune import registry
from nbray.tune.attempt import Assignment, Attempt, Workplace
from nbray.tune.course import Course
from nbray.tune.events import Action, Answer, Asked, Ended, Entry, Event, Noticed, Reported, Slots, Start, Tick
from nbray.tune.execution import Execution
from nbray.tune.plan import Plan
from nbray.tune.schedulers.scheduler import Decision, Rung


class Inline:
    """Runs an experiment on the calling thread; `told` is called with what is new whenever something has happened."""

    def __init__(self, plan: Plan, course: Course, workplace: Workplace, told: Callable[[list[Entry], list[Rung]], None]) -> None:
        self._plan = plan
        self._course = course
        self._workplace = workplace
        self._told = told
        self._number = len(course.entries)
        """The last entry that was told; those of earlier, where it is taken up again, are not."""
        self._assignments: deque[Assignment] = deque()
        self._answer: Answer | None = None

    def run(self) -> None:
        """Run it to its end; an interrupt ends it, too, and passes."""
        registry.adopt(self._plan.environments)
        execution = Execution(self._plan.trainable)
        try:
            self.take(Slots(1))
            while not self._course.closed:
                if self._assignments:
                    self.take(execution.run(Attempt(self._assignments.popleft(), self._workplace, self._send)))
                else:
                    self._wait()
        except KeyboardInterrupt:
            self._break_off()
            raise
        finally:
            execution.close()
            self._course.close()

    def take(self, event: Event) -> None:
        """Something has happened: what a trial reports, or what a callback asks for."""
        if self._course.closed:
            return
        for action in self._course.take(event):
            self._act(action)
        new = self._course.entries[self._number :]
        self._number += len(new)
        if new:
            self._told(new, list(self._course.experiment.rungs()))

    def _act(self, action: Action) -> None:
        match action:
            case Start(trial_id):
                trial = self._course.experiment.trials[trial_id]
                self._assignments.append(Assignment(action, self._plan.name_of(trial), self._plan.directory_of(trial_id)))
            case Answer():
                self._answer = action
            case _:  # on the disk, where the course has done it, or for those who watch
                pass

    def _send(self, message: Reported) -> Answer:
        self.take(message)
        answer, self._answer = self._answer, None
        return answer or Answer(message.trial_id, Decision.STOP, "the experiment is over")

    def _wait(self) -> None:
        """No trial can run: let the time pass that the experiment waits for, or give up where nobody could change that."""
        wakes_at = self._course.experiment.wakes_at()
        if wakes_at is None:
            self.take(Noticed("All trials that are left are paused, and here nobody can resume them meanwhile: it ends."))
            self.take(Asked("interrupt"))
        else:
            time.sleep(max(0.0, wakes_at - self._course.now))
            self.take(Tick())

    def _break_off(self) -> None:
        """Somebody has interrupted the trial that runs, or the waiting."""
        self.take(Asked("interrupt"))
        for trial in list(self._course.experiment.trials.values()):
            if trial.at_work:
                self.take(Ended(trial.trial_id, trial.attempt, obeyed=True))
