"""PopulationBasedTraining: poor trials take over the state of good ones and try configurations near theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, isnan
from typing import Any

from nbray.errors import UsageError, WrongType
from nbray.tune.schedulers.arguments import check_share, number
from nbray.tune.schedulers.mutations import Lots, check_mutations, explored, fill
from nbray.tune.schedulers.scheduler import Decision, Resumption, TrialScheduler
from nbray.tune.scores import figure, score
from nbray.tune.trial import Trial, TrialState

_NEVER = float("inf")


@dataclass(slots=True)
class Member:
    """A trial of the population."""

    trial: Trial
    t: float = 0.0
    """Its age at its last report."""
    compared_at: float = 0.0
    """Its age when it was last compared."""
    score: float | None = None
    """What it scored then."""
    checkpoint: str | None = None
    """Its newest checkpoint when it last ran on; one that it has written since is another."""
    bases: tuple[float, ...] = ()
    """After a takeover: its own age and that of the other; from which of them it goes on, its next report tells."""

    def rebase(self, t: float) -> None:
        """Take note of a report's age."""
        if self.bases:
            self.compared_at = max((base for base in self.bases if base <= t), default=t)
            self.bases = ()
        self.t = t


class PopulationBasedTraining(TrialScheduler):
    """Every `perturbation_interval` compares a trial with the population; the poorest run on as changed copies of the best.

    A trial among the lowest `quantile_fraction` takes over the newest checkpoint of one among the highest, and a configuration
    that is explored from that one's: each parameter of `hyperparam_mutations` is drawn anew with `resample_probability`, else
    multiplied by one of the `perturbation_factors` within its domain, or moved to a neighbouring value; then
    `custom_explore_fn(config)`, if given, returns the final one. Parameters that a trial's configuration lacks are drawn at its
    birth. Nobody is compared before `burn_in_period`. `time_attr` is the reported figure that tells a trial's age, in whose
    units both periods are. With `synch=True` all wait for each other and are compared at once.

    All trials of the experiment are the population, so `num_samples` is its size. With fewer places than trials they take
    turns, the youngest first. Trials have to write checkpoints. The same seed and the same reports lead to the same decisions.

    Source: Jaderberg et al., "Population Based Training of Neural Networks", 2017.

    >>> from nbray import tune
    >>> from nbray.tune.schedulers import PopulationBasedTraining
    >>> PopulationBasedTraining(time_attr="training_iteration", perturbation_interval=5,
    ...                         hyperparam_mutations={"lr": tune.loguniform(1e-4, 1e-1), "batch": [16, 32, 64]})
    PopulationBasedTraining(time_attr='training_iteration', perturbation_interval=5, hyperparam_mutations=['lr', 'batch'])
    """

    needs_checkpoints = True
    needs_metric = True

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        burn_in_period: float = 0.0,
        hyperparam_mutations: Mapping[str, Any] | None = None,
        quantile_fraction: float = 0.25,
        resample_probability: float = 0.25,
        perturbation_factors: tuple[float, float] = (1.2, 0.8),
        custom_explore_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        synch: bool = False,
        *,
        verbose: int = 0,
    ) -> None:
        super().__init__(metric, mode)
        name = "PopulationBasedTraining"
        mutations = {} if hyperparam_mutations is None else hyperparam_mutations
        check_mutations(mutations, name)
        if not mutations and custom_explore_fn is None:
            raise UsageError(f'{name} has nothing to change; type hyperparam_mutations={{"lr": tune.loguniform(1e-4, 1e-1)}}')
        if number(name, "perturbation_interval", perturbation_interval) <= 0:
            raise UsageError(f"{name} got perturbation_interval={perturbation_interval!r}; type more than 0")
        if number(name, "burn_in_period", burn_in_period) < 0:
            raise UsageError(f"{name} got burn_in_period={burn_in_period!r}; type 0 or more")
        check_share(name, "quantile_fraction", quantile_fraction, most=0.5)
        check_share(name, "resample_probability", resample_probability)
        self.time_attr = time_attr
        self.perturbation_interval = perturbation_interval
        self.burn_in_period = burn_in_period
        self.hyperparam_mutations = dict(mutations)
        self.quantile_fraction = quantile_fraction
        self.resample_probability = resample_probability
        self.perturbation_factors = _two_factors(perturbation_factors)
        self.custom_explore_fn = custom_explore_fn
        self.synch = synch
        self.verbose = int(verbose)
        self._seed = 0
        self._takeovers = 0
        self._members: dict[str, Member] = {}
        self._waiting: dict[str, Resumption] = {}
        """Paused trials that shall run on when it is their turn."""
        self._gathered: dict[str, None] = {}
        """With `synch`: trials that wait to be compared."""
        self._gather_at = max(perturbation_interval, burn_in_period)
        self._no_more_births = False
        self._told = False

    def set_search_properties(self, metric: str | None, mode: str | None, seed: int = 0) -> None:
        super().set_search_properties(metric, mode, seed)
        self._seed = seed

    def on_trial_add(self, trial: Trial) -> None:
        fill(trial.config, self.hyperparam_mutations, Lots(self._seed, "pbt fills", trial.number))
        self._members[trial.trial_id] = Member(trial)

    def on_trial_result(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        t, value = figure(result, self.time_attr), score(result, self.metric, self.mode)
        member = self._members[trial.trial_id]
        if t is None or value is None:
            return Decision.CONTINUE
        member.rebase(t)
        if t < self._due(member):
            return Decision.CONTINUE
        member.compared_at = t
        member.score = float("-inf") if isnan(value) else value
        if self.synch:
            self._gathered[trial.trial_id] = None
            self._compare_all()
            self.reason = "paused, until all are compared"
            return Decision.PAUSE
        return self._compare(member)

    def on_cannot_pause(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        """It stays what it is, and nobody waits for it."""
        self._waiting.pop(trial.trial_id, None)
        self._gathered.pop(trial.trial_id, None)
        member = self._members[trial.trial_id]
        member.compared_at, member.score = _NEVER, None
        if not self._told:
            self._told = True
            self._lines.append(f"PBT: {trial.trial_id} writes no checkpoints, so it can neither take over nor be copied")
        self._compare_all()
        return Decision.CONTINUE

    def on_trial_complete(self, trial: Trial, result: Mapping[str, Any]) -> None:
        self.on_trial_remove(trial)

    def on_trial_remove(self, trial: Trial) -> None:
        for kept in (self._members, self._waiting, self._gathered):
            kept.pop(trial.trial_id, None)
        self._compare_all()

    def on_search_finished(self) -> None:
        self._no_more_births = True
        self._compare_all()

    def on_stall(self) -> None:
        """Nobody is born while these wait: compare whom there is, and let them run."""
        self.on_search_finished()
        if self._gathered:
            self._compare_all(forced=True)

    def choose_trial_to_run(self) -> Resumption | None:
        """The youngest that waits; new trials go first."""
        if not self._no_more_births:
            return None
        for trial_id in sorted(self._waiting, key=self._turn):
            member = self._members[trial_id]
            source = self._waiting[trial_id].checkpoint_of
            other = self._members.get(source) if source else None
            if member.trial.state is not TrialState.PAUSED or (other is not None and other.trial.state is TrialState.PAUSING):
                continue  # its checkpoint, or that of the other, is being written
            member.checkpoint = member.trial.checkpoint
            return self._waiting.pop(trial_id)
        return None

    def _turn(self, trial_id: str) -> tuple[bool, float]:
        """With `synch` copies go first, before those that they are made of have moved on; else the youngest."""
        return self.synch and self._waiting[trial_id].checkpoint_of is None, self._members[trial_id].t

    def _due(self, member: Member) -> float:
        """The age at which it is compared next."""
        if member.compared_at == _NEVER:
            return _NEVER
        return self._gather_at if self.synch else max(self.burn_in_period, member.compared_at + self.perturbation_interval)

    def _quantiles(self) -> tuple[list[Member], list[Member]]:
        """The poorest and the best that were compared, lowest first."""
        ranked = sorted(
            (member for member in self._members.values() if member.score is not None), key=lambda member: member.score or 0.0
        )
        count = min(ceil(len(ranked) * self.quantile_fraction), len(ranked) // 2)
        return ranked[:count], ranked[len(ranked) - count :]

    def _compare(self, member: Member) -> Decision:
        lower, upper = self._quantiles()
        resumption = Resumption(member.trial.trial_id)
        if member in lower:
            taken_over = self._takeover(member, upper)
            if taken_over is not None:
                return self._pause(taken_over, f"paused, to run on as a copy of trial {taken_over.checkpoint_of}")
        elif member in upper and member.trial.checkpoint in (None, member.checkpoint):
            return self._pause(resumption, "paused, to write a checkpoint that others can run on from")
        if self._waiting or not self._no_more_births:
            return self._pause(resumption, "paused, so that others get their turn")
        return self._go_on(member)

    def _pause(self, resumption: Resumption, reason: str) -> Decision:
        self._waiting[resumption.trial_id] = resumption
        self.reason = reason
        return Decision.PAUSE

    def _go_on(self, member: Member) -> Decision:
        member.checkpoint = member.trial.checkpoint
        return Decision.CONTINUE

    def _compare_all(self, forced: bool = False) -> None:
        """With `synch`: once all have gathered, say how each runs on."""
        late = not self._no_more_births or any(
            each not in self._gathered for each, member in self._members.items() if member.compared_at != _NEVER
        )
        if not self._gathered or (late and not forced):
            return
        lower, upper = self._quantiles()
        for trial_id in self._gathered:
            member = self._members[trial_id]
            taken_over = self._takeover(member, upper, may_write=True) if member in lower else None
            self._waiting[trial_id] = taken_over or Resumption(trial_id)
        oldest = max(self._members[trial_id].t for trial_id in self._gathered)
        self._gather_at = max(self._gather_at + self.perturbation_interval, oldest)
        self._gathered = {}

    def _takeover(self, member: Member, upper: list[Member], may_write: bool = False) -> Resumption | None:
        """How a poor trial runs on as a changed copy of a good one; None if that has no checkpoint, nor is about to write one."""
        rng = Lots(self._seed, "pbt explores", self._takeovers)
        other = upper[int(rng.random() * len(upper))]
        if other.trial.checkpoint is None and not may_write and other.trial.state is not TrialState.PAUSING:
            return None
        self._takeovers += 1
        config = explored(
            other.trial.config, self.hyperparam_mutations, rng, self.resample_probability, self.perturbation_factors
        )
        if self.custom_explore_fn is not None:
            config = self.custom_explore_fn(config)
            if not isinstance(config, dict):
                raise WrongType(f"custom_explore_fn returned {config!r}; return the configuration, a dict")
        member.bases = (member.t, other.compared_at)
        if self.verbose:
            changes = ", ".join(f"{name}={config.get(name)!r}" for name in self.hyperparam_mutations)
            self._lines.append(f"PBT: {member.trial.trial_id} runs on as a copy of {other.trial.trial_id} with {changes}")
        return Resumption(member.trial.trial_id, config, other.trial.trial_id)

    def __repr__(self) -> str:
        return (
            f"PopulationBasedTraining(time_attr={self.time_attr!r}, perturbation_interval={self.perturbation_interval:g}, "
            f"hyperparam_mutations={list(self.hyperparam_mutations)})"
        )


def _two_factors(factors: object) -> tuple[float, float]:
    if isinstance(factors, (list, tuple)) and len(factors) == 2:
        first, second = (number("PopulationBasedTraining", "perturbation_factors", factor) for factor in factors)
        if first > 0 and second > 0:
            return first, second
    raise UsageError(f"PopulationBasedTraining got perturbation_factors={factors!r}; type two numbers, such as (1.2, 0.8)")
