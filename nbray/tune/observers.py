"""Owns who watches experiments from outside: whoever draws them registers here, and is told of each run that begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nbray.tune.tune_run import TuneRun
    from nbray.tune.view import View


class Observer(Protocol):
    """Draws one experiment. What it raises does not end the experiment: it is reported, and the observer told no more."""

    def show(self, view: View) -> None:
        """The view may have changed.

        Called on the thread that follows the experiment, after each batch of entries and at least twice a second, also
        without news, so that clocks move on. It returns within milliseconds, and keeps nothing of the view that it does
        not copy.
        """

    def close(self, view: View, why: str) -> None:
        """The run is told no more: the experiment has ended, or `why` says what keeps this process from following it."""


Factory = Callable[["TuneRun"], Observer | None]
"""Called in the thread, and so in the cell, that starts or attaches to a run; None: not this one."""

Announced = Callable[[], None]
"""Called in the thread that begins to start an experiment or to wait for one, before the first call goes to the cluster."""

_factories: list[tuple[Factory, Announced]] = []


def register(factory: Factory, announced: Announced = lambda: None) -> Callable[[], None]:
    """Observe each run from now on; returns what ends that."""
    entry = (factory, announced)
    _factories.append(entry)

    def unregister() -> None:
        if entry in _factories:
            _factories.remove(entry)

    return unregister


def announce() -> None:
    """This thread begins with an experiment: who shows other work of its cell may leave that to the experiment's observers."""
    for _, announced in list(_factories):
        announced()


def observe(run: TuneRun) -> list[Observer]:
    """The observers of a run that begins to be followed by this process."""
    observers = (factory(run) for factory, _ in list(_factories))
    return [observer for observer in observers if observer is not None]
