"""What an experiment is after: a metric, and whether more or less of it is better."""

from __future__ import annotations

from typing import NamedTuple

from nbray.errors import UsageError, WrongType

MODES = ("max", "min")


class Objective(NamedTuple):
    """A metric and its direction; either may be open still."""

    metric: str | None
    mode: str | None


def check_metric(metric: object, owner: str) -> None:
    """Raises WrongType for a metric that is neither open (None) nor a name; `owner` is who was given it."""
    if metric is not None and not isinstance(metric, str):
        raise WrongType(f'{owner} got metric={metric!r}. It is the name of one value that trials report: metric="loss".')


def check_mode(mode: object, owner: str) -> None:
    """Raises UsageError for a mode that is neither open (None) nor one of the two; `owner` is who was given it."""
    if mode is not None and mode not in MODES:
        raise UsageError(f'{owner} got mode={mode!r}. It is "max" (more is better) or "min" (less is better): write mode="max".')


def agree(owner: str, own: Objective, experiment: Objective) -> Objective:
    """The objective of a searcher or scheduler: its own where given, else the experiment's.

    `owner` is how an error calls it. Raises UsageError if the two differ.

    >>> agree("ASHAScheduler", Objective("loss", None), Objective("loss", "min"))
    Objective(metric='loss', mode='min')
    """
    for objective, holder in ((own, owner), (experiment, "TuneConfig")):
        check_metric(objective.metric, holder)
        check_mode(objective.mode, holder)
    return Objective(_one(owner, "metric", own.metric, experiment.metric), _one(owner, "mode", own.mode, experiment.mode))


def _one(owner: str, what: str, own: str | None, experiment: str | None) -> str | None:
    if own is not None and experiment is not None and own != experiment:
        raise UsageError(
            f"{owner} has {what}={own!r} and the experiment (TuneConfig, search_space) has {what}={experiment!r}. "
            f"They have to be the same: name it once, and leave it out of {owner}."
        )
    return experiment if own is None else own
