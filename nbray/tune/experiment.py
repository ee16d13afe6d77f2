"""The loop of an experiment: what follows from what happens to its trials. No clock, no files, no processes.

Its answers depend on the events and their times alone, so that a journal of them, handled again, leads to the same state.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbray.tune.ending import Ending
from nbray.tune.events import (
    Action,
    Added,
    Answer,
    Asked,
    Close,
    CloseReason,
    Discard,
    Ended,
    Event,
    Failed,
    Noticed,
    Reopened,
    Reported,
    Slots,
    Tick,
)
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.judge import Judge, Verdict
from nbray.tune.ledger import Ledger
from nbray.tune.places import Places
from nbray.tune.recorded import Recorded
from nbray.tune.reopening import reopen
from nbray.tune.schedulers.scheduler import Decision, Rung
from nbray.tune.steering import Steering
from nbray.tune.trial import Trial, TrialState

if TYPE_CHECKING:
    from nbray.tune.plan import Plan


class Experiment:
    """Takes events, says actions; holds the trials.

    What must stay true: each Reported gets exactly one Answer, no more trials are at work than there are places when one
    is started, each trial ends once, and Close comes last.
    """

    def __init__(self, config: ExperimentConfig) -> None:
        self.config = config
        scheduler, searcher = config.scheduler, config.searcher
        scheduler.set_search_properties(config.metric, config.mode, config.seed)
        searcher.set_search_properties(config.metric, config.mode, config.space, config.num_samples, config.seed)
        self.metric = config.metric or scheduler.metric or searcher.metric
        self.mode = config.mode or scheduler.mode or searcher.mode
        self._ledger = Ledger(config)
        self._ending = Ending(self._ledger)
        self._steering = Steering(self._ledger, self._ending)
        self._judge = Judge(config, self.metric)
        self._places = Places(config, self._ledger, self._ending, self._judge)
        self._recorded: Recorded | None = None

    @classmethod
    def of(cls, plan: Plan) -> Experiment:
        """The experiment of a plan, before its first event."""
        return cls(ExperimentConfig.of(plan))

    @property
    def trials(self) -> Mapping[str, Trial]:
        """The trials by their ids, oldest first."""
        return self._ledger.trials

    @property
    def closed(self) -> Close | None:
        """Why it is over; None while it is not."""
        return self._ending.closed

    def rungs(self) -> Sequence[Rung]:
        """Where the scheduler compares trials."""
        return self.config.scheduler.rungs()

    def total(self) -> int | None:
        """How many trials the searcher will have suggested in the end; None if nobody knows."""
        return self._ledger.agenda.total()

    def most_at_once(self) -> int | None:
        """More places than these would never be used; None: any number would."""
        limits = [limit for limit in (self.config.max_concurrent, self.total()) if limit is not None]
        return min(limits, default=None)

    def wakes_at(self) -> float | None:
        """When it wants a Tick, in seconds of the experiment; None: at no time."""
        if self.closed is not None:
            return None
        times = [self._ending.wakes_at()]
        if self._ending.wanted is None:
            times += [self.config.time_budget_s, None if self.config.stopper is None else self.config.stopper.wakes_at()]
        return min((time for time in times if time is not None), default=None)

    def handle(self, event: Event, now: float, recorded: Recorded | None = None) -> list[Action]:
        """What follows from an event; `now` is in seconds of the experiment, and `recorded` what followed the first time.

        It does not raise for what searcher, scheduler or stopper raise: such an error ends the experiment, and Close tells
        it.
        """
        self._ledger.now = max(now, self._ledger.now)
        self._ledger.actions = []
        self._recorded = self._ending.recorded = recorded
        if self.closed is not None and not isinstance(event, Reopened):
            return self._after_the_end(event)
        for step in (Experiment._tell_time, _HANDLERS[type(event)], *_AFTER_EACH):
            try:
                step(self, event)
            except Exception:  # noqa: BLE001 - code of the user: every run is still answered and ended, and the traceback told
                self._ending.want(CloseReason.ERROR, traceback.format_exc())
        self._answer_in_any_case(event)
        self._ledger.actions.extend(Discard(path) for path in self._ledger.shelf.take_superfluous())
        self._ending.follow_the_journal()
        self._ending.interrupt_late_ones()
        self._ending.close_if_over()
        return self._ledger.actions

    def _after_the_end(self, event: Event) -> list[Action]:
        over = Answer(event.trial_id, Decision.STOP, "the experiment is over") if isinstance(event, Reported) else None
        return [] if over is None else [over]

    def _tell_time(self, event: Event) -> None:
        if self.config.stopper is not None:
            self.config.stopper.on_time(self._ledger.now)

    def _look_at_the_end(self, event: Event) -> None:
        stopper, budget = self.config.stopper, self.config.time_budget_s
        if budget is not None and self._ledger.now >= budget:
            self._ending.want(CloseReason.TIME_BUDGET, f"the time budget of {budget:g} s is used up")
        elif stopper is not None and stopper.stop_all():
            self._ending.want(CloseReason.STOPPER, stopper.why())

    def _fill(self, event: Event) -> None:
        if not isinstance(event, Tick):  # a Tick of which nothing follows is not written down, so it may not ask anybody
            self._places.fill(self._recorded)

    def _tell_lines(self, event: Event) -> None:
        for line in self.config.scheduler.take_lines():
            self._ledger.tell(line)
        self._places.find_why_idle()

    def _answer_in_any_case(self, event: Event) -> None:
        """A trial whose report made somebody raise is told to stop."""
        if isinstance(event, Reported) and not any(isinstance(action, Answer) for action in self._ledger.actions):
            self._ledger.actions.append(Answer(event.trial_id, Decision.STOP, self._ledger.trials[event.trial_id].why))

    # events

    def _on_slots(self, event: Slots) -> None:
        self._places.slots = event.count

    def _on_noticed(self, event: Noticed) -> None:
        self._ledger.tell(event.text)

    def _on_tick(self, event: Tick) -> None:
        """The time is looked at after every event."""

    def _on_asked(self, event: Asked) -> None:
        self._steering.ask(event)

    def _on_added(self, event: Added) -> None:
        self._ledger.queue(event.config, "added by hand")

    def _on_reported(self, event: Reported) -> None:
        trial = self._ledger.at_work(event.trial_id, event.attempt)
        if trial is None:
            self._ledger.actions.append(Answer(event.trial_id, Decision.STOP, "this run is over"))
            return
        result = trial.take_report(event.metrics, self._ledger.now)
        self._note_names(trial, result)
        if event.checkpoint is not None:
            self._ledger.put_checkpoint(trial, event.checkpoint)
        if trial.state is TrialState.STOPPING:
            self._ledger.actions.append(Answer(trial.trial_id, Decision.STOP, trial.why))
            return
        repeated = self._judge.is_repeated(trial)
        verdict = self._verdict(trial, result, event.resumable or event.checkpoint is not None)
        self._obey(trial, verdict)
        if verdict.decision is not Decision.STOP and not repeated:
            self.config.searcher.on_trial_result(trial.trial_id, result)

    def _note_names(self, trial: Trial, result: Mapping[str, Any]) -> None:
        self._judge.note(result)
        if not self._judge.metric_seen:
            text = f"trial {trial.trial_id} is the first to report, and so far {self._judge.what_was_reported()}"
            self._ledger.say(text, about="first report")

    def _verdict(self, trial: Trial, result: Mapping[str, Any], resumable: bool) -> Verdict:
        verdict = self._judge.judge(trial, result, resumable)
        decision = self._steering.pauses(trial, resumable, verdict.decision)
        if decision is not verdict.decision:
            verdict = Verdict(decision, "paused by hand")
        if self._recorded is not None:
            decision, why = self._recorded.answer(trial.trial_id, decision, trial.iteration)
            if decision is not verdict.decision:
                verdict = Verdict(decision, why)
        return verdict

    def _obey(self, trial: Trial, verdict: Verdict) -> None:
        self._ledger.actions.append(Answer(trial.trial_id, verdict.decision, verdict.why))
        if verdict.decision is Decision.CONTINUE:
            return
        trial.why = verdict.why
        trial.move(TrialState.PAUSING if verdict.decision is Decision.PAUSE else TrialState.STOPPING)
        if verdict.done:
            self._ledger.found_done.add(trial.trial_id)

    def _on_ended(self, event: Ended) -> None:
        trial = self._ledger.at_work(event.trial_id, event.attempt)
        if trial is None:
            return
        if event.metrics is not None:
            self._judge.saw_last(trial, trial.take_report(event.metrics, self._ledger.now, done=True))
        if event.checkpoint is not None:
            self._ledger.put_checkpoint(trial, event.checkpoint)
        if trial.state is TrialState.STOPPING:
            self._end_stopped(trial)
        elif trial.state is TrialState.PAUSING and event.obeyed:
            self._ledger.pause(trial, trial.why)
        elif event.obeyed:
            self._ledger.finish(trial, TrialState.TERMINATED, "cancelled")
        else:
            self._end_by_itself(trial)

    def _end_stopped(self, trial: Trial) -> None:
        if self._ending.spares(trial):
            self._ledger.wait_again(trial, trial.why)
        else:
            self._ledger.finish(trial, TrialState.TERMINATED, trial.why)

    def _end_by_itself(self, trial: Trial) -> None:
        if not trial.last_result and self.metric is not None:
            self._judge.reported_nothing = True
            what_to_do = f"return a dict or call tune.report with {self.metric!r} in it"
            self._ledger.say(f"trial {trial.trial_id} has ended without a report: {what_to_do}", about="no report")
        if self._judge.metric_seen or not trial.last_result:
            self._ledger.finish(trial, TrialState.TERMINATED, "" if trial.last_result else "it reported nothing", complete=True)
            return
        trial.error = f"trial {trial.trial_id} has ended, and {self._judge.what_was_reported()}"
        self._ledger.finish(trial, TrialState.ERROR, trial.error)
        self._ending.want(CloseReason.METRIC_MISSING, trial.error)

    def _on_failed(self, event: Failed) -> None:
        trial = self._ledger.at_work(event.trial_id, event.attempt)
        if trial is None:
            return
        trial.failures += 1
        trial.error = event.error
        limit, last_line = self.config.max_failures, event.error.strip().rpartition("\n")[2]
        if trial.state is TrialState.STOPPING:
            if self._ending.spares(trial):
                self._ledger.wait_again(trial, trial.why)
            else:
                self._ledger.finish(trial, TrialState.ERROR, last_line)
        elif limit < 0 or trial.failures <= limit:
            self._ledger.wait_again(trial, f"failed{f' ({trial.failures} of {limit} allowed)' if limit > 0 else ''}: {last_line}")
        else:
            self._ledger.finish(trial, TrialState.ERROR, last_line)
            if self.config.fail_fast:
                self._ending.want(CloseReason.TRIAL_FAILED, f"trial {trial.trial_id} failed: {last_line}")

    def _on_reopened(self, event: Reopened) -> None:
        self._places.slots = 0
        reopen(self._ledger, self._ending, event)


_HANDLERS: dict[type[Event], Callable[[Experiment, Any], None]] = {
    Slots: Experiment._on_slots,
    Reported: Experiment._on_reported,
    Ended: Experiment._on_ended,
    Failed: Experiment._on_failed,
    Asked: Experiment._on_asked,
    Added: Experiment._on_added,
    Noticed: Experiment._on_noticed,
    Reopened: Experiment._on_reopened,
    Tick: Experiment._on_tick,
}
_AFTER_EACH = (Experiment._look_at_the_end, Experiment._fill, Experiment._tell_lines)
