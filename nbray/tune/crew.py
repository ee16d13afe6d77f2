"""The crew: the runners of an experiment, as the controller's event loop leads, interrupts and replaces them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from nbray.actors import kill
from nbray.errors import TaskCancelledError
from nbray.objects import ObjectRef, cancel
from nbray.tune.attempt import Assignment
from nbray.tune.events import Asked, Ended, Event, Failed, Noticed, Slots
from nbray.tune.pool import Pool, RunnerRecord, RunnerState

GRACE_SECONDS = 0.7
"""From the interrupt of a trial to the end of its process."""
SHORT_SECONDS = 0.05
"""A runner whose trials take less runs several in one call, which costs some milliseconds."""
MOST_STILLBORN = 3
"""So many runners in a row that die before they have spoken end the experiment."""


class Boss(Protocol):
    """Whom the crew works for."""

    @property
    def is_over(self) -> bool:
        """Whether there will be no more trials."""

    def take(self, event: Event) -> None:
        """Something has happened to a trial, or to the number of runners."""

    def staff(self) -> None:
        """A runner is gone: ask for others by `fill` if there shall be any."""


class Crew:
    """Leads runners; all of it runs on one event loop. `hire` makes a runner's actor.

    What a trial prints is marked with the name of the call that runs it: its own, or the experiment's where short ones share it.
    """

    def __init__(self, boss: Boss, name: str, hire: Callable[[int], Any], *, reuse: bool) -> None:
        self._boss = boss
        self._name = name
        self._hire = hire
        self._reuse = reuse
        self._pool = Pool()
        self._handles: dict[int, Any] = {}
        self._calls: dict[int, ObjectRef] = {}
        """The run in progress of each runner."""
        self._asking: dict[int, asyncio.Future[Assignment | None]] = {}
        """Runners that wait for an assignment."""
        self._leading: set[asyncio.Task[None]] = set()
        self._stillborn = 0

    @property
    def slots(self) -> int:
        """How many trials can run at once."""
        return self._pool.slots

    def fill(self, wanted: int) -> None:
        """Ask for the runners that are missing to so many."""
        while len(self._pool.runners) < wanted and not self._boss.is_over:
            number = self._pool.add()
            self._handles[number] = self._hire(number)
            task = asyncio.get_running_loop().create_task(self._lead(number))
            self._leading.add(task)
            task.add_done_callback(self._leading.discard)

    def queue(self, assignment: Assignment) -> None:
        """A trial shall run; `match` gives it to a runner."""
        self._pool.queue(assignment)

    def match(self) -> None:
        """Give waiting trials to waiting runners."""
        for number, assignment in self._pool.take_matches():
            self._asking.pop(number).set_result(assignment)

    def runs(self, trial_id: str, attempt: int) -> bool:
        """Whether a runner has this run of a trial, and not one that came after it."""
        runner = self._pool.runner_of(trial_id)
        return runner is not None and runner.assignment is not None and runner.assignment.start.attempt == attempt

    def interrupt(self, trial_id: str) -> None:
        """End a trial that nobody can answer: by a signal, and soon after with its process."""
        assignment = self._pool.withdraw(trial_id)
        runner = self._pool.runner_of(trial_id)
        if assignment is not None:
            self._boss.take(_obeyed(assignment))
        elif runner is not None and runner.state is not RunnerState.INTERRUPTED:
            self._pool.interrupt(runner.number)
            self._end_call(runner.number)

    def dismiss(self) -> None:
        """The experiment is over: no runner gets another trial, and one that has one ends it."""
        for waiting in self._asking.values():
            waiting.set_result(None)
        self._asking.clear()
        for number, runner in self._pool.runners.items():
            if runner.state is not RunnerState.IDLE and number in self._calls:
                self._end_call(number)

    async def gone(self) -> None:
        """Wait until no runner is left."""
        await asyncio.gather(*self._leading)

    # ---------------------------------------------------------------- what runners say

    async def next_assignment(self, number: int, outcome: Ended | Failed | None) -> Assignment | None:
        """A runner has ended its trial, or is new: the next one; None when its call shall end."""
        runner = self._pool.runners.get(number)
        if runner is None:
            return None
        if runner.state is RunnerState.INTERRUPTED or (runner.runs and not self._reuse):
            self._away(runner, outcome)  # a signal that was sent may still come, and must not hit another trial
            return None
        if self._boss.is_over:
            return None
        waiting = self._welcome(runner)
        if outcome is not None:
            self._boss.take(outcome)
        self.match()
        try:
            return await waiting
        except asyncio.CancelledError:  # with the cell that the experiment is of
            if self._asking.pop(number, None) is not None:
                self._away(runner, None)
            raise

    def _welcome(self, runner: RunnerRecord) -> asyncio.Future[Assignment | None]:
        """It waits for an assignment from now on."""
        is_new = runner.state is RunnerState.COMING
        self._stillborn = 0
        self._pool.is_free(runner.number)
        waiting: asyncio.Future[Assignment | None] = asyncio.get_running_loop().create_future()
        self._asking[runner.number] = waiting
        if is_new:
            self._boss.take(Slots(self.slots))
        return waiting

    # ---------------------------------------------------------------- their calls

    async def _lead(self, number: int) -> None:
        """Call a runner again and again, until it is gone or there is nothing left to do."""
        assignment: Assignment | None = None
        alone = True
        while number in self._pool.runners:
            name = assignment.name if assignment is not None and alone else self._name
            began = time.monotonic()
            call = self._calls[number] = self._handles[number].run.options(name=name).remote(assignment, alone)
            try:
                assignment, alone = await call, assignment is None or time.monotonic() - began >= SHORT_SECONDS
            except (TaskCancelledError, KeyboardInterrupt) as error:
                assignment = None
                self._was_cut(number, error)
            except Exception as error:  # noqa: BLE001 - it died, or a trainable's cleanup raised: the runner is lost anyway
                self._is_lost(number, error)
            else:
                assignment = self._checked(number, assignment)
            if assignment is None and self._boss.is_over:
                self._pool.runners.pop(number, None)
        self._calls.pop(number, None)
        self._handles.pop(number, None)
        self._boss.staff()

    def _checked(self, number: int, assignment: Assignment | None) -> Assignment | None:
        """The assignment that a call has handed back to the next one, unless that was interrupted between the two."""
        runner = self._pool.runners.get(number)
        if runner is None or runner.assignment is None:
            return None
        if assignment is None or runner.state is RunnerState.INTERRUPTED:
            self._was_cut(number, None)
            return None
        return assignment

    def _was_cut(self, number: int, error: BaseException | None) -> None:
        """A runner's call ended in the middle: by an Interrupt, or by somebody who stopped the cell of the experiment."""
        runner = self._pool.runners.get(number)
        if runner is None:
            return
        assignment, told = runner.assignment, runner.state is RunnerState.INTERRUPTED
        if not told and not isinstance(error, KeyboardInterrupt):
            self._boss.take(Asked("interrupt"))
        outcome: Event | None = None if assignment is None else _obeyed(assignment)
        if assignment is not None and not told and isinstance(error, KeyboardInterrupt):  # the user's own code has raised it
            outcome = Failed(assignment.start.trial_id, assignment.start.attempt, f"KeyboardInterrupt: {error}")
        self._away(runner, outcome)

    def _is_lost(self, number: int, error: Exception) -> None:
        """A runner has died."""
        runner = self._pool.runners.get(number)
        if runner is None:
            return
        told = runner.state is RunnerState.INTERRUPTED
        self._stillborn += runner.state is RunnerState.COMING and not runner.runs
        assignment = self._pool.drop(number)
        self._asking.pop(number, None)
        self._boss.take(Slots(self.slots))
        if assignment is not None:
            start = assignment.start
            died = Failed(start.trial_id, start.attempt, f"{type(error).__name__}: {error}")
            self._boss.take(_obeyed(assignment) if told else died)
        if self._stillborn >= MOST_STILLBORN:
            self._boss.take(Noticed(f"No process for trials can be started: {error}"))
            self._boss.take(Asked("interrupt"))

    def _away(self, runner: RunnerRecord, outcome: Event | None) -> None:
        """A runner has no trial and waits for none; it is there again when it asks for one."""
        runner.state, runner.assignment = RunnerState.COMING, None
        if runner.runs and not self._reuse:
            self._pool.drop(runner.number)
        self._boss.take(Slots(self.slots))
        if outcome is not None:
            self._boss.take(outcome)

    def _end_call(self, number: int) -> None:
        call = self._calls[number]
        cancel(call)
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._kill, number, call)

    def _kill(self, number: int, call: ObjectRef) -> None:
        if self._calls.get(number) is call:
            kill(self._handles[number])


def _obeyed(assignment: Assignment) -> Ended:
    return Ended(assignment.start.trial_id, assignment.start.attempt, obeyed=True)
