"""The places of an experiment, each of which can hold one trial at work: who gets the free ones, and who waits in vain."""

from __future__ import annotations

from nbray.tune.agenda import Turn
from nbray.tune.ending import Ending
from nbray.tune.events import CloseReason, Start
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.judge import Judge
from nbray.tune.ledger import Ledger
from nbray.tune.recorded import Recorded
from nbray.tune.trial import Trial, TrialState


class Places:
    """Starts trials in free places. In a replay it starts, and ends, those that the journal names."""

    def __init__(self, config: ExperimentConfig, ledger: Ledger, ending: Ending, judge: Judge) -> None:
        self._config = config
        self._ledger = ledger
        self._agenda = ledger.agenda
        self._ending = ending
        self._judge = judge
        self._recorded: Recorded | None = None
        self.slots = 0
        """How many trials fit into the cluster at once."""

    @property
    def has_free(self) -> bool:
        """Whether another trial could run."""
        most = self._config.max_concurrent
        return len(self._ledger.working) < (self.slots if most is None else min(self.slots, most))

    def fill(self, recorded: Recorded | None) -> None:
        """Give free places to trials; paused ones that wait in vain, since nothing else can be started, are ended."""
        self._recorded = recorded
        self._start_trials()
        while not self._ledger.working and self.has_free and self._ending.wanted is None and self._waits_in_vain():
            self._config.scheduler.on_stall()
            self._start_trials()
            if self._ledger.working:
                break
            given_up = [self._give_up(trial) for trial in self._waits_in_vain()]
            if not any(given_up):
                break
            self._start_trials()
        self._follow_ends()
        if recorded is not None:
            self._start_trials(asked_all=True)

    def find_why_idle(self) -> None:
        """Where nothing is at work: want the end if nothing is left to do, and say so if everything waits for a person."""
        if self._ledger.working or self._ending.wanted is not None or not self._is_idle():
            return
        left = list(self._ledger.unfinished)
        if left or self._agenda.halted:
            which = f"what is left ({', '.join(left)})" if left else "it"
            self._ledger.say(f"the experiment waits: {which} was paused by hand; resume it or stop it")
        elif self._agenda.silent:
            self._ending.want(
                CloseReason.ERROR,
                f"{type(self._config.searcher).__name__} suggested nothing, although no trial was running; it has to return "
                "FINISHED when nothing is left to try",
            )
        elif self._judge.reported_nothing and not self._judge.metric_seen:
            self._ending.want(CloseReason.METRIC_MISSING, f"all trials have ended, and {self._judge.what_was_reported()}")
        else:
            for name in () if self._config.stopper is None else self._config.stopper.unseen():
                self._ledger.say(f"stop= looks for {name!r}, which no trial has reported")
            self._ending.want(CloseReason.DONE, "all trials have ended")

    def _is_idle(self) -> bool:
        """Whether there are places, or no need for any, and yet nothing to start."""
        return self.has_free or (self._agenda.exhausted and not self._ledger.unfinished)

    def _waits_in_vain(self) -> list[Trial]:
        """Trials that the scheduler has paused and lets wait; not those that a person holds."""
        if self._agenda.halted:
            return []
        waiting = (self._ledger.trials[trial_id] for trial_id in self._ledger.unfinished)
        return [trial for trial in waiting if trial.state is TrialState.PAUSED and not self._agenda.is_held(trial.trial_id)]

    def _give_up(self, trial: Trial) -> bool:
        """End a trial that waits; says whether it could be ended."""
        if trial.at_work or trial.ended or (self._recorded is not None and not self._recorded.may_end(trial.trial_id)):
            return False
        self._ledger.finish(trial, TrialState.TERMINATED, f"given up, {trial.why}" if trial.why else "given up")
        return True

    def _follow_ends(self) -> None:
        """In a replay: end the trials that the journal says were given up, whatever the scheduler says now."""
        if self._recorded is None:
            return
        for trial_id, then in self._recorded.ended.items():
            trial = self._ledger.trials[trial_id]
            if not trial.at_work and not trial.ended:
                self._recorded.note(f"trial {trial_id} was given up then, and would not be now")
                self._ledger.finish(trial, TrialState.TERMINATED, then.why)

    def _start_trials(self, asked_all: bool = False) -> None:
        """With `asked_all`, in a replay: start also what the journal says was started, and nobody has named now."""
        if self._ending.wanted is not None:
            return
        while True:
            dropped = self._give_up_dropped()
            turn = self._next_turn(asked_all)
            if turn is not None:
                self._begin(*turn)
            elif not dropped and not self._give_up_dropped():  # to be asked for a turn may make it drop some
                return

    def _give_up_dropped(self) -> bool:
        """End those that the scheduler has given up; says whether there were any."""
        dropped = self._config.scheduler.take_dropped()
        for trial_id in dropped:
            self._give_up(self._ledger.trials[trial_id])
        return bool(dropped)

    def _next_turn(self, asked_all: bool) -> tuple[Turn, Start | None] | None:
        """Whose turn it is, and, in a replay, how that trial was started the first time."""
        turn = self._agenda.next() if self.has_free else None
        if self._recorded is None:
            return None if turn is None else (turn, None)
        if turn is None and not asked_all:
            return None  # a stall may bring it yet
        then = self._recorded.next_start()
        own_id = None if turn is None else turn.trial_id
        id_then = None if then is None else then.trial_id
        if own_id != id_then:
            self._recorded.note_turn(own_id, id_then)
            if turn is not None:
                self._agenda.give_back(turn)
            turn = None if then is None else self._agenda.take(then.trial_id)
        return None if turn is None else (turn, then)

    def _begin(self, turn: Turn, then: Start | None) -> None:
        trial = self._ledger.trials.get(turn.trial_id) or self._ledger.draft(dict(turn.config or {}))
        if turn.config is not None:
            trial.config = dict(turn.config)
        if trial.attempt == 0:
            self._config.scheduler.on_trial_add(trial)
        source = trial if turn.checkpoint_of is None else self._ledger.trials[turn.checkpoint_of]
        iteration = self._ledger.shelf.iteration(source.checkpoint)
        start = Start(trial.trial_id, trial.attempt + 1, trial.config, source.checkpoint, iteration)
        if then is not None and self._recorded is not None:
            if not self._recorded.compare(start, then):
                self._config.searcher.on_trial_given(trial.trial_id, then.config)
            start = then
        self._judge.starts(trial, start)
        self._ledger.begin(trial, start)
