"""Owns what a card of an experiment says at one moment: pure, from a View to lines, curves and rungs that can be drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from nbray.tune.events import Close, CloseReason
from nbray.tune.schedulers.scheduler import Rung
from nbray.tune.scores import figure, names_in
from nbray.tune.trial import ADDED, TrialState
from nbray.widgets.settings import spoken

if TYPE_CHECKING:
    from nbray.tune.view import TrialRecord, View

MOST_LINES = 100
"""Trials in the table."""
MOST_CURVES = 60
MOST_RESULTS = 150
"""Points, where no trial has a curve, besides those that were the best so far."""
MOST_POINTS = 60
"""Of one curve."""
MOST_SETTINGS = 8
"""Parameters in the table and in the parallel coordinates."""

Point = tuple[float, float]


class TrialLine(NamedTuple):
    """One trial, as the table has it."""

    trial_id: str
    number: int
    state: TrialState
    settings: Mapping[str, Any]
    """Its configuration, nested names joined by "/"."""
    value: float | None
    """The metric of its last report; None before the first, and where it is not a number."""
    iteration: int
    seconds: float
    why: str
    cut: bool = False
    """Whether it was stopped before its end."""

    @property
    def is_open(self) -> bool:
        """Whether more may come of it."""
        return self.state not in (TrialState.TERMINATED, TrialState.ERROR)


class Curve(NamedTuple):
    """The reports of one trial."""

    line: TrialLine
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Picture:
    """Everything that a card of an experiment shows."""

    name: str
    metric: str
    mode: str
    elapsed: float
    total: int | None
    """How many trials there will be, where that is known."""
    counts: Mapping[TrialState, int]
    lines: Sequence[TrialLine]
    """Best first, then those without a value; at most MOST_LINES."""
    hidden: int
    """Trials that are not among them."""
    best: TrialLine | None
    varied: Sequence[str]
    """Parameters that differ between trials."""
    fixed: Mapping[str, Any]
    """Parameters that all trials share."""
    curves: Sequence[Curve]
    single: bool
    """Whether no trial has reported more than once: there are no curves then, only results."""
    rungs: Sequence[Rung]
    numbers: Mapping[str, int]
    """Of every trial in `rungs`."""
    said: Sequence[str]
    over: bool
    """Whether the experiment has ended."""
    why: str
    """Why it has ended, or is not followed any more."""

    @property
    def trials(self) -> int:
        """Trials so far."""
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """Trials of which no more will come."""
        return self.counts.get(TrialState.TERMINATED, 0) + self.counts.get(TrialState.ERROR, 0)



def picture_of(name: str, view: View, elapsed: float | None = None, left: str = "") -> Picture:
    """The picture of a view. `elapsed`: where the clock is now, else where it was at the last entry; `left`: why this
    process does not follow the experiment any more."""
    metric = view.metric or _some_metric(view)
    clock = view.now if elapsed is None else elapsed
    records = _best_first(view, metric)
    longest = max((record.iteration for record in records), default=0)
    lines = [_line(record, metric, longest, clock) for record in records]
    varied, fixed = _settings([line.settings for line in lines])
    ranked = [line for line in lines if line.value is not None]
    single = all(len(record.history) < 2 for record in records)
    drawn = _results(ranked, view.mode or "max") if single else _curves(lines)
    return Picture(
        name=name, metric=metric, mode=view.mode or "max", elapsed=clock, total=view.total,
        counts=view.counts(), lines=lines[:MOST_LINES], hidden=max(0, len(lines) - MOST_LINES),
        best=ranked[0] if ranked and view.metric else None, varied=varied, fixed=fixed,
        curves=[Curve(line, _thinned(_curve(view, view.trials[line.trial_id], metric))) for line in drawn],
        single=single, rungs=tuple(view.rungs), numbers={line.trial_id: line.number for line in lines} if view.rungs else {},
        said=tuple(view.lines), over=view.closed is not None, why=left or _why(view.closed),
    )  # fmt: skip


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A configuration without nesting.

    >>> flat({"model": {"depth": 3}, "lr": 0.1})
    {'model/depth': 3, 'lr': 0.1}
    """
    found: dict[str, Any] = {}
    for name, value in config.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{path}/"))
        else:
            found[path] = value
    return found


def number(value: object) -> float | None:
    """The value as a number that can be drawn, or None.

    >>> number(3), number(float("nan")), number("3")
    (3.0, None, None)
    """
    try:
        found = float(value) if not isinstance(value, str | bytes) else math.nan  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _curves(lines: Sequence[TrialLine]) -> list[TrialLine]:
    """The trials whose curves are drawn: those at work, and the best."""
    at_work = [line for line in lines if line.is_open and line.iteration][:MOST_CURVES]
    known = {line.trial_id for line in at_work}
    best = [line for line in lines if line.value is not None and line.trial_id not in known]
    return at_work + best[: MOST_CURVES - len(at_work)]


def _results(ranked: Sequence[TrialLine], mode: str) -> list[TrialLine]:
    """The trials that are drawn as points: each that was the best so far, and of the others some, in their order."""
    better = max if mode == "max" else min
    leaders, others, best = list[TrialLine](), list[TrialLine](), None
    for line in sorted(ranked, key=lambda line: line.number):
        value = line.value or 0.0
        leads = best is None or (value != best and better(value, best) == value)
        best = value if leads else best
        (leaders if leads else others).append(line)
    step = max(1, -(-len(others) // MOST_RESULTS))
    return leaders + others[::step]


def _some_metric(view: View) -> str:
    """What to show of an experiment that has no metric: the first number that its trials report."""
    for record in view.trials.values():
        for name in names_in(record.last_result):
            if name not in ADDED and number(figure(record.last_result, name)) is not None:
                return name
    return ""


def _best_first(view: View, metric: str) -> list[TrialRecord]:
    """Ranked trials, then those without a value: at work before paused before waiting before ended."""
    order = {TrialState.PAUSED: 1, TrialState.PENDING: 2, TrialState.TERMINATED: 3, TrialState.ERROR: 4}
    ranked = view.ranked()
    first = [record for record in ranked if number(figure(record.last_result, metric)) is not None]
    others = [record for record in ranked if number(figure(record.last_result, metric)) is None]
    return first + sorted(others, key=lambda record: (order.get(record.state, 0), record.number))


def _curve(view: View, record: TrialRecord, metric: str) -> Sequence[tuple[int, float | None]]:
    if metric == view.metric:
        return record.curve
    return [(int(result["training_iteration"]), figure(result, metric)) for result in record.history]


def _line(record: TrialRecord, metric: str, longest: int, clock: float) -> TrialLine:
    why = _last_line(record.error) if record.state is TrialState.ERROR and record.error else record.why
    cut = record.state is TrialState.TERMINATED and bool(record.why) and record.iteration < longest
    return TrialLine(
        record.trial_id, record.number, record.state, flat(record.config), number(figure(record.last_result, metric)),
        record.iteration, record.seconds_until(clock), why, cut,
    )  # fmt: skip


def _why(closed: Close | None) -> str:
    """Why it is over, where that is not what one expects."""
    return "" if closed is None or closed.why is CloseReason.DONE else closed.text


def _last_line(error: str) -> str:
    """Where a traceback says what it is about."""
    return next((line.strip() for line in reversed(error.splitlines()) if line.strip()), "")


def _settings(configs: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """The parameters that differ, in the order of their first appearance, and those that all share."""
    varied: list[str] = []
    fixed: dict[str, Any] = {}
    for name in dict.fromkeys(name for config in configs for name in config):
        said = {spoken(config[name]) for config in configs if name in config}
        if len(said) > 1 or any(name not in config for config in configs):
            varied.append(name)
        else:
            fixed[name] = next(config[name] for config in configs if name in config)
    if len(configs) == 1:
        return list(fixed), {}
    return varied, fixed


def _thinned(points: Sequence[tuple[float, Any]]) -> tuple[Point, ...]:
    """At most so many points that a curve needs, the last among them; those that are no numbers left out."""
    known = [(float(x), y) for x, value in points if (y := number(value)) is not None]
    if len(known) <= MOST_POINTS:
        return tuple(known)
    step = (len(known) - 1) / (MOST_POINTS - 1)
    return tuple(known[round(index * step)] for index in range(MOST_POINTS))
