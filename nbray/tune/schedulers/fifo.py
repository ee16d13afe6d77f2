"""FIFOScheduler: every trial runs to its end, first come, first served."""

from __future__ import annotations

from nbray.tune.schedulers.scheduler import TrialScheduler


class FIFOScheduler(TrialScheduler):
    """Runs every trial to its end, in the order of their birth; what an experiment has if no scheduler is given.

    >>> from nbray.tune.schedulers import FIFOScheduler
    >>> FIFOScheduler()
    FIFOScheduler()
    """

    def __init__(self) -> None:
        super().__init__()

    def __repr__(self) -> str:
        return "FIFOScheduler()"
