"""The course of an experiment: its pure loop, and around it the clock, the journal, the loggers and the disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from nbray import checkpoints
from nbray.tune import dispatch, replay
from nbray.tune.configs import ResumeConfig
from nbray.tune.events import Action, Close, Discard, Entry, Event, Failed, Noticed, Reopened, Tick
from nbray.tune.experiment import Experiment
from nbray.tune.journal import Header, Journal
from nbray.tune.plan import Plan
from nbray.tune.view import View

JOURNAL = "journal.jsonl"


class Course:
    """An experiment that goes on in this process: each event is decided, written down, told to the loggers, in that order.

    `take` returns what is to be done about trials; what is to be done on the disk has been.
    """

    def __init__(self, plan: Plan, resume: ResumeConfig | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Blocks on the disk. Raises UsageError where the experiment is led by another process, or cannot go on."""
        self._plan = plan
        self._directory = Path(plan.path)
        self._clock = clock
        self.entries: list[Entry] = []
        """All that has happened, from the very first."""
        self._loggers = dispatch.in_controller(plan)
        self._began = clock()
        self._is_open = True
        if resume is None:
            self.experiment = Experiment.of(plan)
            self.view = self._fresh_view()
            self._journal = Journal.create(self._directory / JOURNAL, header_of(plan, self.experiment))
        else:
            self._reopen(resume)

    def _reopen(self, resume: ResumeConfig) -> None:
        """Live through what the journal tells, and go on behind it."""
        for each in [self._directory, *self._directory.glob("trial_*")]:
            checkpoints.sweep(each)
        self._journal, _header, entries = Journal.open(self._directory / JOURNAL)
        try:
            self.experiment, differences = replay.resume(self._plan, entries)
        except BaseException:
            self._journal.close()
            raise
        self.view = self._fresh_view()
        for entry in entries:
            self._tell(entry, past=True)
        self._began -= entries[-1].now if entries else 0.0
        self.take(Reopened(resume.unfinished, resume.errored, resume.restart_errored))
        if differences:
            self.take(Noticed("\n".join(["Decisions differ from those that the journal tells, which stand:", *differences])))

    def _fresh_view(self) -> View:
        return View(self.experiment.metric, self.experiment.mode, self.experiment.total())

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self.experiment.closed is not None

    @property
    def now(self) -> float:
        """Seconds of the experiment."""
        return self._clock() - self._began

    def take(self, event: Event) -> list[Action]:
        """Something has happened: what is to be done about it. A Tick of which nothing follows is not written down."""
        actions = self.experiment.handle(event, now := self.now)
        if isinstance(event, Tick) and not actions:
            return actions
        entry = Entry(len(self.entries) + 1, now, event, actions)
        self._journal.append(entry)
        self._keep_error(event)
        noticed = self._tell(entry, past=False)
        for action in actions:
            if isinstance(action, Discard):
                checkpoints.discard(self._directory / action.path)
        if any(isinstance(action, Close) for action in actions):
            self.close()
        elif noticed:
            return [*actions, *self.take(Noticed("\n".join(noticed)))]
        return actions

    def _tell(self, entry: Entry, *, past: bool) -> list[str]:
        self.entries.append(entry)
        self.view.fold(entry)
        return self._loggers.tell(entry, self.view, past)

    def _keep_error(self, event: Event) -> None:
        """A trial's error is a file in its directory, too, to be read when nobody has the journal's view at hand."""
        if isinstance(event, Failed):
            directory = Path(self._plan.directory_of(event.trial_id))
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "error.txt").write_text(event.error, encoding="utf-8")

    def close(self) -> None:
        """Nothing more will be taken; called by itself at the end, and by whoever breaks off."""
        if not self._is_open:
            return
        self._is_open = False
        self._loggers.close(self.view)
        self._journal.close()


def header_of(plan: Plan, experiment: Experiment) -> Header:
    """What stands at the top of the journal."""
    return Header(
        name=plan.name, metric=experiment.metric, mode=experiment.mode, seed=plan.tune.seed, num_samples=plan.tune.num_samples,
        total=experiment.total(), began=time.time(),
    )  # fmt: skip
