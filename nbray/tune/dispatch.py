"""How entries of the journal become calls of callbacks."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from nbray.tune.callbacks import Callback
from nbray.tune.events import Close, Ended, Entry, Failed, Moved, Reported, Start
from nbray.tune.loggers.results_table import ResultsTable
from nbray.tune.plan import Plan
from nbray.tune.trial import Trial, TrialState

if TYPE_CHECKING:
    from nbray.tune.view import View

_END = "on_experiment_end"
_HOOKS = [name for name in vars(Callback) if name.startswith("on_")]
_Call = tuple[str, dict[str, Any]]
_BY_STATE = {TrialState.TERMINATED: "on_trial_complete", TrialState.ERROR: "on_trial_error"}


class Dispatch:
    """Tells callbacks what each entry means; one that is `patient` drops a callback that raises, and says so."""

    def __init__(self, callbacks: Sequence[Callback], plan: Plan, *, patient: bool) -> None:
        self.callbacks = list(callbacks)
        """Who is told."""
        self._plan = plan
        self._patient = patient
        self._lines: list[str] = []
        self._hooks = {id(each): overridden(each) for each in callbacks}
        """The hooks that do something: most callbacks have few, and a controller has no time to call the others. By id, since
        a callback may be a dataclass, which has no hash."""
        samples = plan.tune.num_samples
        about = {"stop": plan.run.stop, "num_samples": samples, "total_num_samples": samples, "plan": plan}
        for callback in callbacks:
            self._call(callback, "setup", about)

    def tell(self, entry: Entry, view: View, past: bool = False) -> list[str]:
        """Call the hooks for an entry that the view has been folded with; returns what there is to say to the user.

        With `past` it happened before the experiment was restored, and only those who want to hear that do.
        """
        trials: list[Trial] | None = None
        for hook, arguments in _calls(entry, view, self._plan):
            listeners = [each for each in self.callbacks if hook in self._hooks[id(each)] and (each.hears_the_past or not past)]
            if listeners and not (past and hook == _END):
                trials = list(view.trials.values()) if trials is None else trials
                for callback in listeners:
                    self._call(callback, hook, {"trials": trials, **arguments})
        lines, self._lines = self._lines, []
        return lines

    def close(self, view: View) -> None:
        """Nothing more will be told."""

    def _call(self, callback: Callback, hook: str, arguments: dict[str, Any]) -> None:
        try:
            getattr(callback, hook)(**arguments)
        except Exception:
            if not self._patient:
                raise
            self.callbacks = [each for each in self.callbacks if each is not callback]
            self._lines.append(f"{type(callback).__name__} is told no more: its {hook} raised\n{traceback.format_exc()}")


def overridden(callback: Callback) -> frozenset[str]:
    """The hooks that a callback's class has of its own."""
    return frozenset(hook for hook in _HOOKS if getattr(type(callback), hook) is not getattr(Callback, hook))


def in_controller(plan: Plan) -> Dispatch:
    """Those who hear of an experiment where it is led: loggers that write files."""
    return Dispatch([*(each for each in plan.run.callbacks if each.in_controller), ResultsTable()], plan, patient=True)


def in_driver(callbacks: Sequence[Callback], plan: Plan) -> Dispatch:
    """Those who hear of it in the process that started it."""
    return Dispatch([each for each in callbacks if not each.in_controller], plan, patient=False)


def _calls(entry: Entry, view: View, plan: Plan) -> Iterator[_Call]:
    """The hooks to call, in order."""
    step = {"iteration": entry.number}
    yield "on_step_begin", step
    of_actions = (call for action in entry.actions for call in _of_action(action, view))
    for hook, arguments in chain(_of_event(entry, view, plan), of_actions):
        yield hook, {**step, **arguments}
    yield "on_step_end", step
    if any(isinstance(action, Close) for action in entry.actions):
        yield _END, {}


def _of_event(entry: Entry, view: View, plan: Plan) -> Iterator[_Call]:
    event = entry.event
    if not isinstance(event, (Reported, Ended, Failed)):
        return
    trial = view.trials[event.trial_id]
    if isinstance(event, Failed):
        if not trial.ended:
            yield "on_trial_recover", {"trial": trial}
        return
    if event.metrics is not None:
        yield "on_trial_result", {"trial": trial, "result": trial.last_result}
    if event.checkpoint is not None:
        yield "on_trial_save", {"trial": trial}
        yield "on_checkpoint", {"trial": trial, "checkpoint": plan.checkpoint_of(event.checkpoint)}


def _of_action(action: Any, view: View) -> Iterator[_Call]:
    if isinstance(action, Start):
        trial = view.trials[action.trial_id]
        if action.checkpoint is not None:
            yield "on_trial_restore", {"trial": trial}
        yield "on_trial_start", {"trial": trial}
    elif isinstance(action, Moved) and action.state in _BY_STATE:
        yield _BY_STATE[TrialState(action.state)], {"trial": view.trials[action.trial_id]}
