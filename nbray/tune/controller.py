"""The controller: the actor that leads an experiment, whether the notebook's kernel is there or not.

    driver                       controller (async actor, detached)             runners (actors, one trial at a time)

    TuneRun -- watch(since) -->  Course: Experiment, journal, loggers   <-- next_job(outcome) --  Runner.run
            <-- entries ---      Pool: who runs what                    --- Job ------------->    the user's function
            -- ask, add ----->                                          <-- report(metrics) --    tune.report
                                                                        --- Answer ---------->

The runners do the asking, so a report is one call, and a trial's end and the next start are one. All methods run on one event
loop, between whose `await`s nothing else happens: every event is decided, written down and acted upon in one piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from nbray import introspection, resources
from nbray.actor_handles import ActorHandle
from nbray.actors import ActorClass, kill
from nbray.errors import NbrayError, TaskCancelledError
from nbray.objects import ObjectRef, cancel
from nbray.runtime_context import get_runtime_context
from nbray.tune.attempt import Job, Workplace
from nbray.tune.configs import ResumeConfig
from nbray.tune.course import Course
from nbray.tune.events import (
    Action,
    Added,
    Answer,
    Asked,
    Ended,
    Entry,
    Event,
    Failed,
    Interrupt,
    Noticed,
    Reported,
    Slots,
    Start,
    Tick,
)
from nbray.tune.plan import Plan
from nbray.tune.pool import Pool, RunnerState
from nbray.tune.runner import Equipment, Runner
from nbray.tune.schedulers.scheduler import Decision, Rung

GRACE_SECONDS = 0.7
"""From the interrupt of a trial to the end of its process."""
LINGER_SECONDS = 60.0
"""How long an experiment that is over waits for somebody who wants to hear of it."""
GATHER_SECONDS = 0.02
"""How long news waits for more of it before it is told."""
MOST_TOLD = 2000
"""Entries told at once."""
MOST_STILLBORN = 3
"""So many runners in a row that die before they have spoken end the experiment."""


@dataclass(frozen=True)
class Crew:
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
    """Leads one experiment; its methods are called by the driver and by the runners."""

    def __init__(self, plan: Plan, resume: ResumeConfig | None, crew: Crew) -> None:
        """`plan` comes without what only runners need: its trainable and environments."""
        self._plan = plan
        self._resume = resume
        self._crew = crew
        self._pool = Pool()
        self._handles: dict[int, ActorHandle] = {}
        self._calls: dict[int, ObjectRef] = {}
        """The run in progress of each runner."""
        self._asking: dict[int, asyncio.Future[Job | None]] = {}
        """Runners that wait for a job."""
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        """Trials that wait for an answer."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._departure: asyncio.TimerHandle | None = None
        self._stillborn = 0
        self._broken: Exception | None = None
        """What kept an event from being taken, such as a full disk."""
        self._course: Course

    @property
    def _is_over(self) -> bool:
        return self._course.closed or self._broken is not None

    # ---------------------------------------------------------------- the driver's calls

    async def begin(self) -> Opening:
        """Start. Raises UsageError where the journal cannot be written or taken up, or settings contradict each other."""
        self._own = get_runtime_context().current_actor
        self._loop = asyncio.get_running_loop()
        self._course = Course(self._plan, self._resume)
        experiment = self._course.experiment
        self._equipment = Equipment(self._crew.code, Workplace.of(self._plan, self._crew.resources, experiment.metric))
        if not self._is_over:
            self._set_timer()
            self._say_what_fits()
            self._staff()
            self._loop.call_later(self._crew.patience, self._look_for_hindrance)
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
        if len(entries) <= since and not self._is_over:
            self._news.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                pass
            if not self._is_over:
                await asyncio.sleep(GATHER_SECONDS)
        if len(entries) <= since and self._broken is not None:
            raise self._broken
        return News(entries[since : since + MOST_TOLD], list(self._course.experiment.rungs()))

    async def ask(self, what: str, trial_id: str = "") -> None:
        """Stop, pause, resume or clone a trial, or without an id all of them; see `events.Asked`."""
        self._take(Asked(what, trial_id))
        self._staff()

    async def add(self, config: dict[str, Any]) -> None:
        """Try this configuration, too."""
        self._take(Added(config))
        self._staff()

    async def leave(self) -> None:
        """Everything was told: returns when the runners are gone, and the actor can be killed."""
        if not self._is_over:
            self._take(Asked("interrupt"))
        await asyncio.gather(*self._tasks)
        self._course.close()

    # ---------------------------------------------------------------- the runners' calls

    async def next_job(self, number: int, outcome: Ended | Failed | None) -> Job | None:
        """A runner has ended its trial, or is new: the next one; None when there will be none for it."""
        runner = self._pool.runners.get(number)
        if runner is None:
            return None
        if runner.state is RunnerState.INTERRUPTED or (not self._crew.reuse and runner.runs):
            self._away(number, outcome)  # the signal that was sent may still come, and must not hit another trial
            return None
        if self._is_over:
            return None
        is_new = runner.state is RunnerState.COMING
        self._pool.is_free(number)
        self._stillborn = 0
        waiting: asyncio.Future[Job | None] = self._loop.create_future()
        self._asking[number] = waiting
        if is_new:
            self._take(Slots(self._pool.slots))
        if outcome is not None:
            self._take(outcome)
        self._match()
        return await waiting

    async def report(self, message: Reported) -> Answer:
        """A trial has reported: how it goes on."""
        runner = self._pool.runner_of(message.trial_id)
        if self._is_over or runner is None or runner.job is None or runner.job.start.attempt != message.attempt:
            return Answer(message.trial_id, Decision.STOP, "this run of it is over")
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answers[message.trial_id] = answer
        self._take(message)
        return await answer

    # ---------------------------------------------------------------- events and actions

    def _take(self, event: Event) -> None:
        """Something has happened: decide, write down, act."""
        if self._is_over:
            return
        try:
            actions = self._course.take(event)
        except Exception as error:  # noqa: BLE001 - whoever watches shall have it; nobody else could do anything about it
            self._broken = error
            actions = []
        for action in actions:
            self._act(action)
        self._news.set()
        self._match()
        self._set_timer()
        if self._is_over:
            self._dismiss()

    def _act(self, action: Action) -> None:
        match action:
            case Start(trial_id):
                trial = self._course.experiment.trials[trial_id]
                self._pool.queue(Job(action, self._plan.name_of(trial), self._plan.directory_of(trial_id)))
            case Answer(trial_id):
                self._answers.pop(trial_id).set_result(action)
            case Interrupt(trial_id):
                self._loop.call_soon(self._interrupt, trial_id)
            case _:  # on the disk, where the course has done it, or for those who watch
                pass

    def _match(self) -> None:
        """Give waiting trials to waiting runners."""
        for number, job in self._pool.take_matches():
            self._asking.pop(number).set_result(job)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = None if self._is_over else self._course.experiment.wakes_at()
        if at is not None:
            self._timer = self._loop.call_later(max(0.0, at - self._course.now), self._take, Tick())

    def _interrupt(self, trial_id: str) -> None:
        """End a trial that nobody can answer: by a signal, and soon after with its process."""
        job = self._pool.withdraw(trial_id)
        runner = self._pool.runner_of(trial_id)
        if job is not None:
            self._take(Ended(trial_id, job.start.attempt, obeyed=True))
        elif runner is not None and runner.state is not RunnerState.INTERRUPTED:
            self._pool.interrupt(runner.number)
            self._end_call(runner.number)

    def _end_call(self, number: int) -> None:
        cancel(self._calls[number])
        self._loop.call_later(GRACE_SECONDS, self._kill, number, self._calls[number])

    def _kill(self, number: int, call: ObjectRef) -> None:
        if self._calls.get(number) is call:
            kill(self._handles[number])

    # ---------------------------------------------------------------- runners

    def _staff(self) -> None:
        """Ask for the runners that are missing."""
        experiment = self._course.experiment
        most = experiment.most_at_once()
        left = sum(not trial.ended for trial in experiment.trials.values())  # with those that were added by hand
        wanted = self._crew.fits if most is None else min(max(most, left), self._crew.fits)
        wanted = min(wanted, self._plan.tune.max_concurrent_trials or wanted)
        while len(self._pool.runners) < wanted and not self._is_over:
            number = self._pool.add()
            actor = ActorClass(Runner, dict(self._crew.options))
            self._handles[number] = actor.remote(number, self._equipment, self._own)
            self._start(self._lead(number))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, number: int) -> None:
        """Call a runner again and again, until it is gone or there is nothing left to do."""
        job: Job | None = None
        while number in self._pool.runners:
            call = self._calls[number] = self._handles[number].run.remote(job)
            try:
                job = await call
                if self._pool.runners[number].state is RunnerState.INTERRUPTED:  # between two calls
                    raise TaskCancelledError
            except TaskCancelledError:
                job = None
                self._was_cut(number)
            except Exception as error:  # noqa: BLE001 - it died, or a trainable's cleanup raised: the runner is lost anyway
                self._is_lost(number, error)
            if job is None and self._is_over:
                self._pool.runners.pop(number, None)
        self._calls.pop(number, None)
        self._handles.pop(number, None)
        self._staff()

    def _away(self, number: int, outcome: Event | None) -> None:
        """A runner does nothing for a while; it is there again when it asks for work."""
        runner = self._pool.runners[number]
        runner.state, runner.job = RunnerState.COMING, None
        if not self._crew.reuse:
            self._pool.drop(number)
        self._take(Slots(self._pool.slots))
        if outcome is not None:
            self._take(outcome)

    def _was_cut(self, number: int) -> None:
        """A runner's call was cancelled: by an Interrupt, or by somebody who stopped the cell that the experiment is of."""
        runner = self._pool.runners[number]
        job = runner.job
        if runner.state is not RunnerState.INTERRUPTED:
            self._take(Asked("interrupt"))
        self._away(number, None if job is None else Ended(job.start.trial_id, job.start.attempt, obeyed=True))

    def _is_lost(self, number: int, error: Exception) -> None:
        runner = self._pool.runners.get(number)
        if runner is None:
            return
        told = runner.state is RunnerState.INTERRUPTED
        self._stillborn += runner.state is RunnerState.COMING and not runner.runs
        job = self._pool.drop(number)
        self._asking.pop(number, None)
        self._take(Slots(self._pool.slots))
        if job is not None:
            start = job.start
            self._answers.pop(start.trial_id, None)
            over = Ended(start.trial_id, start.attempt, obeyed=True)
            self._take(over if told else Failed(start.trial_id, start.attempt, f"{type(error).__name__}: {error}"))
        if self._stillborn >= MOST_STILLBORN:
            self._take(Noticed(f"no process for trials could be started: {error}"))
            self._take(Asked("interrupt"))

    def _dismiss(self) -> None:
        """The experiment is over: no runner gets another trial, and one that has one ends it."""
        for waiting in self._asking.values():
            waiting.set_result(None)
        self._asking.clear()
        for trial_id, answer in self._answers.items():
            answer.set_result(Answer(trial_id, Decision.STOP, "the experiment is over"))
        self._answers.clear()
        for number, runner in list(self._pool.runners.items()):
            if runner.state is not RunnerState.IDLE and number in self._calls:
                self._end_call(number)
        self._stay()

    # ---------------------------------------------------------------- what the user should know

    def _say_what_fits(self) -> None:
        asked = self._plan.tune.max_concurrent_trials
        if asked is not None and asked > self._crew.fits:
            each = _in_words(self._crew.resources)
            fits = self._crew.fits
            self._take(Noticed(f"{asked} trials at a time were asked for, and {fits} fit, each with {each}: so many run."))

    def _look_for_hindrance(self) -> None:
        if not self._pool.slots and not self._is_over:
            self._start(self._tell_hindrance())

    async def _tell_hindrance(self) -> None:
        available = await asyncio.to_thread(introspection.available_resources)
        each = _in_words(self._crew.resources)
        self._take(Noticed(
            f"No trial could begin so far: each needs {each}, and what other tasks and actors leave is {_in_words(available)}. "
            "The trials begin when they end."
        ))  # fmt: skip

    def _stay(self) -> None:
        """Somebody watches: be there for a while longer."""
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None
        if self._is_over:
            self._departure = self._loop.call_later(LINGER_SECONDS, self._depart)

    def _depart(self) -> None:
        try:
            kill(self._own)
        except NbrayError:  # the cluster ends meanwhile
            pass


def _in_words(amounts: Mapping[str, float]) -> str:
    """For example "2 CPU, 0.5 GPU".

    >>> _in_words({"CPU": 2.0, "GPU": 0.0})
    '2 CPU'
    """
    shown = {name: value for name, value in amounts.items() if value and name != resources.MEMORY} or {resources.CPU: 0}
    return ", ".join(f"{value:g} {name}" for name, value in shown.items())
