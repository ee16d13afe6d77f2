"""Where the time of a cell run went: the moments at which its parts passed from one hand to the next, made into stages.

    asked    ready    sent            began     unpacked  ran    packed         came        ended
      |  start |  ship  |    queue      |  ship   |  run    | back  |    back     |   back     |
    notebook -----------> scheduler --> worker ---------------------> notebook

Pure. Times are seconds of one machine's monotonic clock. A worker on another machine has another clock: then only what passed
between its own moments is used, and the rest of the wait counts as queue.
"""

from __future__ import annotations

from typing import NamedTuple

from nbray.notebook.manifest import Stages


class OnWorker(NamedTuple):
    """The moments on the worker."""

    began: float
    unpacked: float
    ran: float
    packed: float


class Errand(NamedTuple):
    """One task that ran a cell's code, as the notebook saw it."""

    asked: float
    ready: float
    """There is a cluster."""
    sent: float
    came: float
    there: OnWorker | None = None
    """None where the worker has not told: it died, goes on, or the task never began."""


def split(errands: list[Errand], began: float, ended: float, waited: float = 0.0, queued: float = 0.0) -> Stages:
    """The stages of a cell run from its first moment to its last.

    `waited` is how long it waited for others before it was sent; `queued` how long it was seen not to run behind that; it
    counts only where its worker has not told. Of tasks that ran side by side that one counts which ended last; `here` is what is
    left.

    >>> one = Errand(0.0, 1.0, 1.5, 5.0, OnWorker(2.0, 2.25, 4.25, 4.5))
    >>> split([one], 0.0, 5.25)
    Stages(start=1.0, ship=0.75, queue=0.5, run=2.0, back=1.0, here=0.0)
    """
    if not errands:
        return Stages(here=ended - began)
    last = max(errands, key=lambda errand: errand.came)
    known = _of_worker(last, queued)
    back = known.back + max(0.0, ended - last.came)
    here = max(0.0, ended - began - (known.start + known.ship + known.queue + known.run + back))
    waited = min(waited, here)
    return Stages(known.start, known.ship, known.queue + waited, known.run, back, here - waited)


def _of_worker(errand: Errand, queued: float) -> Stages:
    """All but what follows when the outcome has come."""
    start, pack = errand.ready - errand.asked, errand.sent - errand.ready
    waited = max(0.0, errand.came - errand.sent)
    there = errand.there
    if there is None:
        queue = min(waited, queued)
        return Stages(start, pack, queue, run=waited - queue)
    unpack, run, packing = there.unpacked - there.began, there.ran - there.unpacked, there.packed - there.ran
    left = max(0.0, waited - unpack - run - packing)
    before = there.began - errand.sent
    queue = before if 0.0 <= before <= left else left
    return Stages(start, pack + unpack, queue, run, packing + left - queue)
