"""Whether it pays the scheduler process to stay awake for the message that should come next."""

from __future__ import annotations

AWAKE_SECONDS = 0.0002
"""So long at a time: waking a core that has gone to sleep takes longer than all that is to be done for one task."""
MOST_SKIPPED = 64


class Wakefulness:
    """Counts how staying awake went: after each time in vain it is left out twice as often as before.

    It is in vain where tasks take longer than that, and where another program keeps the other cores busy: there who should
    send the message waits for the very core on which this process stays awake.
    """

    def __init__(self) -> None:
        self._skips = 0
        self._skip_next = 1

    def is_worth_it(self) -> bool:
        """Whether to stay awake this time; say afterwards how it went."""
        if self._skips:
            self._skips -= 1
            return False
        return True

    def paid(self) -> None:
        """The message came meanwhile."""
        self._skip_next = 1

    def in_vain(self) -> None:
        """It did not."""
        self._skips = self._skip_next
        self._skip_next = min(2 * self._skip_next, MOST_SKIPPED)
