"""The controller: the actor that leads an experiment, whether the notebook's kernel is there or not.

    driver                      controller (async actor, detached)         runners (actors, one trial at a time)

    TuneRun -- watch(since) --> Course: Experiment, journal, loggers  <-- next_assignment(outcome) --  Runner.run
            <-- entries ---     Crew, Pool: who runs what             --- Assignment ------------->    the user's function
            -- ask, add ---->                                         <-- report(metrics) ---------    tune.report
                                                                      --- Answer ----------------->

The runners do the asking, so a report is one call, and a trial's end and the next start are one. All methods run on one event
loop, between whose `await`s nothing else happens: every event is decided, written down and acted upon in one piece.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbray import introspection, resources
from nbray.actor_handles import ActorHandle
from nbray.actors import ActorClass, kill
from nbray.errors import NbrayError
from nbray.objects import ObjectRef
from nbray.runtime_context import get_runtime_context
from nbray.tune.attempt import Assignment, Workplace
from nbray.tune.configs import ResumeConfig
from nbray.tune.course import Course
from nbray.tune.crew import Crew
from nbray.tune.events import Action, Added, Answer, Asked, Ended, Entry, Event, Failed, Interrupt, Noticed, Reported, Start, Tick
from nbray.tune.plan import Plan
from nbray.tune.runner import Equipment, Runner
from nbray.tune.schedulers.scheduler import Decision, Rung

GATHER_SECONDS = 0.02
"""How long news waits for more of it before it is told."""
MOST_TOLD = 2000
"""Entries told at once."""


@dataclass(frozen=True)
class Staffing:
    """What runners there can be."""

    fits: int
    """So many fit the cluster."""
    options: Mapping[str, Any]
    """Of each runner's actor: what it reserves."""
    resources: Mapping[str, float]
    """The same in words that users know."""
    reuse: bool
    """Whether a runner runs more than one trial."""
    code: ObjectRef
    """See `Equipment.code`."""
    patience: float
    """Seconds after which it is said that no trial could begin."""
    linger: float
    """Seconds that an experiment which is over waits for somebody who wants to hear of it."""


@dataclass(frozen=True)
class Opening:
    """What the experiment knows of itself before its first trial."""

    metric: str | None
    mode: str | None
    total: int | None
    """How many trials there will be, where that is known."""


@dataclass(frozen=True)
class News:
    """What has happened, for those who watch."""

    entries: list[Entry]
    rungs: list[Rung]


class Controller:
    """Leads one experiment; its public coroutines are called by the driver and by the runners, the rest by its crew."""

    def __init__(self, plan: Plan, resume: ResumeConfig | None, staffing: Staffing) -> None:
        """`plan` comes without what only runners need: its trainable and environments."""
        self._plan = plan
        self._resume = resume
        self._staffing = staffing
        self._crew = Crew(self, plan.name, self._hire, reuse=staffing.reuse)
        self._answers: dict[str, Answer] = {}
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._departure: asyncio.TimerHandle | None = None
        self._hindrance: asyncio.Task[None] | None = None
        self._broken: Exception | None = None
        """What kept an event from being taken, such as a full disk."""
        self._course: Course
        self._equipment: Equipment
        self._own: ActorHandle
        self._loop: asyncio.AbstractEventLoop

    @property
    def is_over(self) -> bool:
        """Whether there will be no more trials."""
        return self._course.closed or self._broken is not None

    # ---------------------------------------------------------------- the driver's calls

    async def begin(self) -> Opening:
        """Start. Raises UsageError where the journal cannot be written or taken up, or settings contradict each other."""
        self._own = get_runtime_context().current_actor
        self._loop = asyncio.get_running_loop()
        self._course = Course(self._plan, self._resume)
        metric = self._course.experiment.metric
        self._equipment = Equipment(self._staffing.code, Workplace.of(self._plan, self._staffing.resources, metric))
        if not self.is_over:
            self._set_timer()
            self._say_what_fits()
            self.staff()
            self._loop.call_later(self._staffing.patience, self._look_for_hindrance)
        return self._opening()

    async def describe(self) -> tuple[Plan, Opening]:
        """The plan, without its trainable, and what is known from the beginning: for those who come later."""
        return self._plan, self._opening()

    def _opening(self) -> Opening:
        experiment = self._course.experiment
        return Opening(experiment.metric, experiment.mode, experiment.total())

    async def watch(self, since: int, seconds: float) -> News:
        """The entries behind number `since`; waits up to `seconds` for the first. Raises what has broken the experiment."""
        self._stay()
        entries = self._course.entries
        if len(entries) <= since and not self.is_over:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            if not self.is_over:
                await asyncio.sleep(GATHER_SECONDS)
        if len(entries) <= since and self._broken is not None:
            raise self._broken
        return News(entries[since : since + MOST_TOLD], list(self._course.experiment.rungs()))

    async def ask(self, what: str, trial_id: str = "") -> None:
        """Stop, pause, resume or clone a trial, or without an id all of them; see `events.Asked`."""
        self.take(Asked(what, trial_id))
        self.staff()

    async def add(self, config: dict[str, Any]) -> None:
        """Try this configuration, too."""
        self.take(Added(config))
        self.staff()

    async def leave(self) -> None:
        """Everything was told: returns when the runners are gone, and the actor can be killed."""
        if not self.is_over:
            self.take(Asked("interrupt"))
        await self._crew.gone()
        self._course.close()

    # ---------------------------------------------------------------- the runners' calls

    async def next_assignment(self, number: int, outcome: Ended | Failed | None) -> Assignment | None:
        """A runner has ended its trial, or is new: the next one; None when its call shall end."""
        return await self._crew.next_assignment(number, outcome)

    async def report(self, message: Reported) -> Answer:
        """A trial has reported: how it goes on."""
        trial_id = message.trial_id
        if self._crew.runs(trial_id, message.attempt):
            self.take(message)
        return self._answers.pop(trial_id, None) or Answer(trial_id, Decision.STOP, "this run of it is over")

    # ---------------------------------------------------------------- events and actions

    def take(self, event: Event) -> None:
        """Something has happened: decide, write down, act."""
        if self.is_over:
            return
        try:
            actions = self._course.take(event)
        except Exception as error:  # noqa: BLE001 - whoever watches shall have it; nobody else could do anything about it
            self._broken = error
            actions = []
        for action in actions:
            self._act(action)
        self._news.set()
        self._crew.match()
        self._set_timer()
        if self.is_over:
            self._crew.dismiss()
            self._stay()

    def _act(self, action: Action) -> None:
        match action:
            case Start(trial_id):
                trial = self._course.experiment.trials[trial_id]
                self._crew.queue(Assignment(action, self._plan.name_of(trial), self._plan.directory_of(trial_id)))
            case Answer(trial_id):
                self._answers[trial_id] = action
            case Interrupt(trial_id):
                self._loop.call_soon(self._crew.interrupt, trial_id)
            case _:  # on the disk, where the course has done it, or for those who watch
                pass

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = None if self.is_over else self._course.experiment.wakes_at()
        if at is not None:
            self._timer = self._loop.call_later(max(0.0, at - self._course.now), self.take, Tick())

    # ---------------------------------------------------------------- runners

    def staff(self) -> None:
        """Let there be as many runners as can be of use."""
        experiment = self._course.experiment
        total, trials = experiment.total(), experiment.trials.values()
        ended = sum(trial.ended for trial in trials)
        limits = [self._staffing.fits, self._plan.tune.max_concurrent_trials]
        if total is not None:  # some trials are added by hand; one place is needed to find out that nothing is left to be tried
            limits.append(max(total, len(trials), ended + 1) - ended)
        self._crew.fill(min(limit for limit in limits if limit is not None))

    def _hire(self, number: int) -> ActorHandle:
        return ActorClass(Runner, dict(self._staffing.options)).remote(number, self._equipment, self._own)

    # ---------------------------------------------------------------- what the user should know

    def _say_what_fits(self) -> None:
        asked, fits = self._plan.tune.max_concurrent_trials, self._staffing.fits
        if asked is not None and asked > fits:
            each = in_words(self._staffing.resources)
            self.take(Noticed(f"{asked} trials at a time were asked for, and {fits} fit, each with {each}: so many run."))

    def _look_for_hindrance(self) -> None:
        if not self._crew.slots and not self.is_over:
            self._hindrance = self._loop.create_task(self._tell_hindrance())

    async def _tell_hindrance(self) -> None:
        available = await asyncio.to_thread(introspection.available_resources)
        each = in_words(self._staffing.resources)
        self.take(Noticed(
            f"No trial could begin so far: each needs {each}, and what other tasks and actors leave is {in_words(available)}. "
            "The trials begin when they end."
        ))  # fmt: skip

    # ---------------------------------------------------------------- its own end

    def _stay(self) -> None:
        """Somebody watches, or could: be there for a while longer."""
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None
        if self.is_over:
            self._departure = self._loop.call_later(self._staffing.linger, self._depart)

    def _depart(self) -> None:
        with contextlib.suppress(NbrayError):  # the cluster may be ending meanwhile
            kill(self._own)


def in_words(amounts: Mapping[str, float]) -> str:
    """Resources as one says them.

    >>> in_words({"CPU": 2.0, "GPU": 0.0})
    '2 CPU'
    """
    shown = {name: value for name, value in amounts.items() if value and name != resources.MEMORY} or {resources.CPU: 0}
    return ", ".join(f"{value:g} {name}" for name, value in shown.items())
