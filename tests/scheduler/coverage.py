"""Which states met which events."""

from __future__ import annotations

from nbray.scheduler.events import Event
from nbray.scheduler.scheduler import Scheduler


class Coverage:
    """Counts pairs."""

    def watch(self, scheduler: Scheduler) -> None:
        """Look at this scheduler from now on."""

    def event(self, event: Event) -> None:
        """Note what the event meets, before it is handled."""
