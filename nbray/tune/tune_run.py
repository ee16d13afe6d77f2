"""TuneRun: an experiment that goes on somewhere, as this process follows and steers it."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nbray import session
from nbray.errors import ActorDied, GetTimeoutError, TuneError, UsageError, WrongType
from nbray.objects import check_timeout
from nbray.tune import observers, terminal
from nbray.tune.events import Close, CloseReason, Entry
from nbray.tune.observers import Observer
from nbray.tune.plan import Plan
from nbray.tune.result_grid import ResultGrid
from nbray.tune.schedulers.scheduler import Rung
from nbray.tune.trial import TrialState
from nbray.tune.view import View

SLICE_SECONDS = 0.25
"""The longest time without a look at whether somebody has interrupted."""
SHOW_SECONDS = 0.5
"""Observers are told so often, also without news."""
STOP_SECONDS = 10.0
"""An experiment that was interrupted gets so long to end its trials."""


class Follower(Protocol):
    """Hears of everything that happens in an experiment: the user's callbacks."""

    def tell(self, entry: Entry, view: View) -> object:
        """An entry has been folded into the view. What it raises stops the experiment."""

    def close(self, view: View) -> None:
        """There will be no other."""


class Lead(Protocol):
    """What leads the experiment, wherever it is."""

    def news(self, since: int, timeout: float) -> tuple[Sequence[Entry], Sequence[Rung]] | None:
        """The entries behind number `since`; None if none came in `timeout` seconds. Raises what has ended it."""

    def ask(self, what: str, trial_id: str) -> None:
        """See `events.Asked`."""

    def add(self, config: dict[str, Any]) -> None:
        """See `events.Added`."""

    def leave(self) -> None:
        """Everything is known."""


class TuneRun:
    """An experiment that was started, or found again; it goes on whether anybody looks or not.

    Its methods may be called on any thread.
    """

    def __init__(self, plan: Plan, view: View, lead: Lead, followers: Sequence[Follower] = ()) -> None:
        self.name = plan.name
        self.plan = plan
        self.view = view
        """What is known of it so far."""
        self._lead = lead
        self._followers = list(followers)
        self._turn = threading.RLock()
        """Held by the thread that reads what is new."""
        self._background: threading.Thread | None = None
        self._relieved = threading.Event()
        """The thread in the background shall end."""
        self._error: Exception | None = None
        """What keeps this process from following it, or what a callback has raised."""
        self._is_told = False
        """Nobody is told any more."""
        self._shown = 0.0
        self._observers: list[Observer] = []

    def open(self) -> TuneRun:
        """Let observers come; called once, on the thread that starts it."""
        self._observers = observers.observe(self) or terminal.observe(self)
        _followed.append(self)
        return self

    # ---------------------------------------------------------------- what has come of it

    @property
    def done(self) -> bool:
        """Whether it has ended, as far as this process has heard."""
        return self._is_told

    def refresh(self, timeout: float = 0.0) -> list[Entry]:
        """Fold what has happened into `view`, waiting at most `timeout` seconds for something; returns what was new.

        Raises what a callback raises, and what keeps this process from following the experiment.
        """
        check_timeout(timeout)
        with self._turn:
            if self._is_told:
                return []
            news = self._news(timeout)
            entries = [] if news is None else list(news[0])
            if news is not None:
                self.hear(entries, news[1])
            self._show(always=bool(entries))
            if self.view.closed is not None:
                self._finish("")
            return entries

    def _news(self, timeout: float) -> tuple[Sequence[Entry], Sequence[Rung]] | None:
        try:
            return self._lead.news(self.view.number, timeout)
        except Exception as error:
            self._finish(f"it is not led any more: {error}")
            if not isinstance(error, ActorDied):
                self._error = error
                raise
            self._error = ActorDied(
                f"experiment {self.name!r} is not led any more, and its trials have ended: {error} To go on with it: "
                f"{self._restore}"
            )
        raise self._error

    def hear(self, entries: Sequence[Entry], rungs: Sequence[Rung]) -> None:
        """Take what is new, and pass it on."""
        self.view.rungs = rungs
        for entry in entries:
            self.view.fold(entry)
            try:
                for follower in self._followers:
                    follower.tell(entry, self.view)
            except Exception as error:  # noqa: BLE001 - a user's callback: the experiment ends, and `results` raises it
                self._followers.clear()
                self._error = self._error or error
                self._lead.ask("interrupt", "")

    def results(self, timeout: float | None = None) -> ResultGrid:
        """Wait for the end and return what came of the trials; an interrupt of this stops the experiment.

        Raises GetTimeoutError, after which it goes on; TuneError for a trial's error under `fail_fast="raise"`; UsageError after
        `detach`, and where no trial has reported the metric; and what callbacks raise.
        """
        check_timeout(timeout)
        observers.announce()
        deadline = None if timeout is None else time.monotonic() + timeout
        self._relieve()
        try:
            while not self._is_told:
                left = SLICE_SECONDS if deadline is None else min(SLICE_SECONDS, deadline - time.monotonic())
                if left < 0:
                    self._refuse_to_wait(timeout)
                self.refresh(left)
        except KeyboardInterrupt:
            if session.is_parting():
                raise  # the kernel is restarted: the experiment goes on, and `%nbray tune` finds it
            self._interrupt()
            raise KeyboardInterrupt(self.how_to_go_on()) from None
        if self._error is not None:
            raise self._error
        if self.view.closed is None:
            raise UsageError(
                f"{self!r} does not follow its experiment any more: nbray.tune.attach({self.name!r}) does as long as that goes "
                f"on, and later {self._restore} goes on with it"
            )
        self._raise_for(self.view.closed)
        return ResultGrid(self.view, self.plan)

    def _refuse_to_wait(self, timeout: float | None) -> None:
        self.follow_in_background()
        ended = sum(trial.ended for trial in self.view.trials.values())
        raise GetTimeoutError(
            f"results: after {timeout:g} s, experiment {self.name!r} has not ended ({ended} of {self.view.total or 'all'} trials "
            "have). It goes on: ask again later, or end it by stop()"
        )

    def _raise_for(self, closed: Close) -> None:
        """An end that leaves no results to be looked at without an error."""
        if closed.why is CloseReason.METRIC_MISSING:
            raise UsageError(closed.text)
        if closed.why is CloseReason.ERROR:
            raise TuneError(closed.text)
        if closed.why is CloseReason.TRIAL_FAILED and self.plan.run.failure_config.fail_fast == "raise":
            failed = next(trial for trial in self.view.trials.values() if trial.state is TrialState.ERROR)
            raise TuneError(f"trial {failed.trial_id} of {self.name!r} failed, with config {failed.config}:\n{failed.error}")

    # ---------------------------------------------------------------- steering

    def stop(self) -> None:
        """Stop it: trials that report are told so, others are interrupted. `Tuner.restore` goes on with it."""
        self._lead.ask("stop", "")

    def stop_trial(self, trial_id: str) -> None:
        """Stop one trial at its next report, or soon."""
        self._lead.ask("stop", self._known(trial_id))

    def pause(self) -> None:
        """Let all trials write their checkpoints and wait."""
        self._lead.ask("pause", "")

    def pause_trial(self, trial_id: str) -> None:
        """Let a trial write its checkpoint and leave its place to others until it is resumed."""
        self._lead.ask("pause", self._known(trial_id))

    def resume(self) -> None:
        """Let all trials that were paused by hand run on."""
        self._lead.ask("resume", "")

    def resume_trial(self, trial_id: str) -> None:
        """Let a trial that was paused run on."""
        self._lead.ask("resume", self._known(trial_id))

    def clone_trial(self, trial_id: str) -> None:
        """Try a trial's configuration once more, from its newest checkpoint."""
        self._lead.ask("clone", self._known(trial_id))

    def add(self, config: Mapping[str, Any]) -> None:
        """Try this configuration, too. Raises WrongType."""
        if not isinstance(config, Mapping):
            raise WrongType(f'add({config!r}): expected a configuration, for example run.add({{"lr": 0.01}})')
        self._lead.add(dict(config))

    def _known(self, trial_id: str) -> str:
        if trial_id not in self.view.trials:
            self.refresh()
        if trial_id not in self.view.trials:
            known = ", ".join(list(self.view.trials)[-10:]) or "none yet"
            raise UsageError(f"experiment {self.name!r} has no trial {trial_id!r}; the last ones are {known}")
        return trial_id

    # ---------------------------------------------------------------- following

    def follow_in_background(self) -> None:
        """Read what is new on a thread of its own, until somebody waits for the results, or the end."""
        if self._background is None and not self._is_told:
            self._relieved.clear()
            self._background = threading.Thread(target=self._follow, name=f"nbray-tune-{self.name}", daemon=True)
            self._background.start()

    def _follow(self) -> None:
        try:
            while not self._relieved.is_set() and not self._is_told:
                self.refresh(SLICE_SECONDS)
        except Exception:  # noqa: BLE001 - it is kept, and told to the observers; `results` raises it
            return

    def _relieve(self) -> None:
        """Take over from the thread in the background."""
        thread, self._background = self._background, None
        if thread is not None:
            self._relieved.set()
            thread.join()

    def detach(self) -> None:
        """Follow it no longer; it goes on, and `attach` finds it again."""
        self._relieve()
        with self._turn:
            self._finish("this notebook does not follow it any more", leave=False)

    def _interrupt(self) -> None:
        """Stop it for now, and hear how it ends; a second interrupt does not wait for that."""
        if self._is_told:
            return
        try:
            self._lead.ask("interrupt", "")
            until = time.monotonic() + STOP_SECONDS
            while not self._is_told and time.monotonic() < until:
                self.refresh(SLICE_SECONDS)
        finally:
            self._finish("it was interrupted, and ends without this notebook", leave=False)

    def how_to_go_on(self) -> str:
        """What is said when it was interrupted."""
        ended = sum(trial.ended for trial in self.view.trials.values())
        of = f" of {self.view.total}" if self.view.total is not None else ""
        return f"experiment {self.name!r} was stopped: {ended}{of} trials have ended. To go on with it: {self._restore}"

    @property
    def _restore(self) -> str:
        return f"tune.Tuner.restore({self.plan.path!r}, {self.plan.trainable_name}).fit()"

    def look(self) -> None:
        """Tell the observers, if it is time to."""
        self._show(always=False)

    def _show(self, *, always: bool) -> None:
        """Tell the observers; one that raises is told no more."""
        now = time.monotonic()
        if not always and now - self._shown < SHOW_SECONDS:
            return
        self._shown = now
        for observer in list(self._observers):
            try:
                observer.show(self.view)
            except Exception:  # noqa: BLE001 - a picture must not end the experiment that it shows
                traceback.print_exc()
                self._observers.remove(observer)

    def _finish(self, why: str, *, leave: bool = True) -> None:
        """The end, as far as this process is concerned."""
        if self._is_told:
            return
        self._is_told = True
        if self in _followed:
            _followed.remove(self)
        for observer in self._observers:
            try:
                observer.close(self.view, why)
            except Exception:  # noqa: BLE001 - as above
                traceback.print_exc()
        for follower in self._followers:
            follower.close(self.view)
        if leave:
            self._lead.leave()

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {state.lower()}" for state, count in self.view.counts().items())
        return f"TuneRun({self.name!r}, {counts or 'no trials yet'}{', ended' if self._is_told else ''})"


_followed: list[TuneRun] = []


def followed() -> list[TuneRun]:
    """The experiments that this process follows and that have not ended, oldest first."""
    return list(_followed)
