"""Progress of an experiment where there is no card: a line that is rewritten in a terminal, or one now and then in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from nbray.tune.loggers.plain_values import number, own
from nbray.tune.plan import Plan
from nbray.tune.trial import TrialState
from nbray.tune.view import TrialRecord, View

if TYPE_CHECKING:
    from nbray.tune.observers import Observer
    from nbray.tune.tune_run import TuneRun

REDRAW_SECONDS = 0.25
LOG_SECONDS = 5.0
"""A log gets the line of progress at most so often."""
WIDEST = 118
"""Of a terminal that does not say how wide it is."""


class Wording:
    """What is to be said of an experiment, each line once; pure."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._verbose = plan.run.verbose
        self._begun = False
        self._lines = 0
        self._ended: set[str] = set()
        self._told: dict[str, int] = {}

    def news(self, view: View) -> list[str]:
        """The lines that are new since the last time."""
        found = [] if self._begun else [f"{self._plan.name}: {_count(view)} in {self._plan.path}"]
        self._begun = True
        found += view.lines[self._lines :]
        self._lines = len(view.lines)
        if self._verbose >= 2:
            for trial in view.trials.values():
                found += self._of_trial(trial, view)
        return found

    def _of_trial(self, trial: TrialRecord, view: View) -> Iterator[str]:
        if trial.trial_id in self._ended:
            return
        told = min(self._told.get(trial.trial_id, 0), len(trial.history))
        self._told[trial.trial_id] = len(trial.history)
        if self._verbose >= 3:
            for report in trial.history[told:]:
                yield f"{self._plan.name_of(trial)}: report {report['training_iteration']}: {_figures(report)}"
        if trial.ended:
            self._ended.add(trial.trial_id)
            yield f"{self._plan.name_of(trial)} {self._end_of(trial)}, with {trial.config}"

    def _end_of(self, trial: TrialRecord) -> str:
        if trial.state is TrialState.ERROR:
            last_words = trial.error.strip().splitlines()[-1:] or ["no message"]
            return f"failed after {trial.iteration} reports: {last_words[0]}"
        figures = _figures(trial.last_result) or "it reported nothing"
        return f"ended after {trial.iteration} reports and {trial.seconds:.1f} s: {figures}"

    def status(self, view: View, seconds: float) -> str:
        """Where the experiment is, in one line."""
        counts = view.counts()
        ended = counts.get(TrialState.TERMINATED, 0) + counts.get(TrialState.ERROR, 0)
        total = f" of {view.total}" if view.total is not None else ""
        parts = [f"{ended}{total} trials ended", f"{sum(trial.at_work for trial in view.trials.values())} running"]
        for state, word in ((TrialState.PAUSED, "paused"), (TrialState.ERROR, "failed")):
            if counts.get(state):
                parts.append(f"{counts[state]} {word}")
        best = view.best
        if best is not None and view.metric is not None:
            parts.append(f"best {view.metric} {number(best.last_result[view.metric]):.6g}")
        return f"{', '.join(parts)}; {seconds:.1f} s"

    def end(self, view: View, why: str) -> list[str]:
        """The last lines."""
        reason = why or (f": {view.closed.text}" if view.closed is not None and view.closed.text else "")
        lines = [f"{self._plan.name}: {self.status(view, view.now)}{reason if not why else f' ({why})'}"]
        best = view.best
        if best is not None:
            lines.append(f"best configuration: {best.config} ({self._plan.name_of(best)})")
        return lines


class TerminalProgress:
    """Says it on a stream; an Observer."""

    def __init__(self, plan: Plan, stream: Callable[[], TextIO], clock: Callable[[], float] = time.monotonic) -> None:
        self._wording = Wording(plan)
        self._stream = stream
        self._clock = clock
        self._drawn_at = self._began = clock()
        self._on_line = 0
        """Characters of the line that is on the screen without its end."""

    def show(self, view: View) -> None:
        """Say what is new, and where the experiment is if that was not said just now."""
        self._print(self._wording.news(view))
        now = self._clock()
        rewrites = self._stream().isatty()
        if now - self._drawn_at >= (REDRAW_SECONDS if rewrites else LOG_SECONDS):
            self._drawn_at = now
            status = self._wording.status(view, now - self._began)
            if rewrites:
                self._rewrite(status[: shutil.get_terminal_size((WIDEST, 24)).columns - 1])
            else:
                self._print([status])

    def close(self, view: View, why: str) -> None:
        """Say how it ended."""
        self._print([*self._wording.news(view), *self._wording.end(view, why)])

    def _rewrite(self, text: str) -> None:
        self._stream().write("\r" + text.ljust(self._on_line))
        self._stream().flush()
        self._on_line = len(text)

    def _print(self, lines: list[str]) -> None:
        if not lines:
            return
        if self._on_line:
            self._rewrite("")
            self._stream().write("\r")
            self._on_line = 0
        self._stream().write("".join(f"{line}\n" for line in lines))
        self._stream().flush()


def observe(run: TuneRun) -> list[Observer]:
    """Who says in this process how an experiment goes; nobody where `verbose` is 0."""
    return [TerminalProgress(run.plan, _stream)] if run.plan.run.verbose else []


def _stream() -> TextIO:
    """Where progress belongs: beside what the program prints, but not red in a notebook's cell."""
    return sys.stdout if type(sys.stdout).__module__.startswith("ipykernel") else sys.stderr


def _count(view: View) -> str:
    if view.total is None:
        return "trials"
    return f"{view.total} trial{'s' if view.total != 1 else ''}"


def _figures(report: Any) -> str:
    """The numbers of a report that are its own."""
    found = {name: number(value) for name, value in own(report).items()}
    return ", ".join(f"{name} {value:.6g}" for name, value in found.items() if value is not None)
