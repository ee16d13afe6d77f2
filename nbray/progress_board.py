"""What progress bars say, and how those of many tasks become one line each: by their description, with sums over all.

Pure: states and times go in, lines come out; who draws them stands above.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

import msgspec

from nbray.unreadable import UNREADABLE

STREAM = "progress"
"""The stream of a task's output on which its bars travel, as JSON."""

MOST_LINES = 20
"""Lines that are shown; of the others only their number."""
MOST_GROUPS = 500
"""Groups that are kept; the oldest that have ended go first."""
BAR_WIDTH = 12
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class BarState(msgspec.Struct, frozen=True, kw_only=True):
    """One bar at one moment."""

    bar: int
    """Tells the bars of a process apart."""
    key: str
    """The description that it began with: by this bars of several tasks belong together."""
    desc: str
    n: float
    total: float | None = None
    unit: str = "it"
    postfix: str = ""
    elapsed: float = 0.0
    closed: bool = False
    leave: bool = True
    """Whether it stays to be seen once it is closed."""

    def encode(self) -> bytes:
        """As it travels."""
        return msgspec.json.encode(self)


def decode(data: bytes) -> BarState | None:
    """The state that `encode` made; None for anything else.

    >>> decode(BarState(bar=1, key="fit", desc="fit", n=3).encode()).n, decode(b"[]")
    (3.0, None)
    """
    try:
        return msgspec.json.decode(data, type=BarState)
    except UNREADABLE:
        return None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of all bars of one description."""

    label: str
    bars: int
    open: int
    n: float
    total: float | None
    unit: str
    postfix: str
    elapsed: float

    @property
    def fraction(self) -> float | None:
        """How much is done, from 0 to 1; None where nobody knows."""
        return None if not self.total else min(1.0, max(0.0, self.n / self.total))

    @property
    def rate(self) -> float:
        """Items a second, 0 when nothing is known."""
        return self.n / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Expected seconds to the end."""
        if not self.total or not self.rate or not self.open:
            return None
        return max(0.0, self.total - self.n) / self.rate

    @property
    def counts(self) -> str:
        """ "42/100", "1,234 it", and of several bars how many have ended."""
        of = f" {self.unit}" if self.total is None else f"/{_number(self.total)}"
        several = f", {self.bars - self.open:,} of {self.bars:,} bars" if self.bars > 1 else ""
        return f"{_number(self.n)}{of}{several}"

    @property
    def times(self) -> str:
        """ "00:12<00:17, 3.4it/s": time since the beginning, expected time to the end, rate."""
        left = "" if self.left is None else f"<{clock(self.left)}"
        rate = f"{self.rate:.1f}{self.unit}/s" if self.rate >= 1 or not self.rate else f"{1 / self.rate:.1f}s/{self.unit}"
        return f"{clock(self.elapsed)}{left}, {rate}"


class _Group:
    """All bars of one description: those that are open one by one, the others as sums."""

    def __init__(self, label: str, now: float, elapsed: float) -> None:
        self.label = label
        self.began = now - elapsed
        self.heard = now
        self.open: dict[Hashable, BarState] = {}
        self.bars = 0
        self.n = 0.0
        self.total: float | None = 0.0
        self.last: BarState | None = None

    def take(self, name: Hashable, state: BarState, now: float) -> None:
        self.heard, self.last = now, state
        if not state.closed:
            self.open[name] = state
            return
        self.open.pop(name, None)
        if state.leave:
            self.bars += 1
            self.n += state.n
            self.total = None if self.total is None or state.total is None else self.total + state.total

    def line(self) -> Line:
        states, last = list(self.open.values()), self.last
        assert last is not None
        totals = [self.total if self.bars else 0.0, *(state.total for state in states)]
        single = self.bars + len(states) == 1
        return Line(
            label=(last.desc or self.label) if single else self.label,
            bars=self.bars + len(states),
            open=len(states),
            n=self.n + sum(state.n for state in states),
            total=math.fsum(total for total in totals if total) if None not in totals else None,
            unit=last.unit,
            postfix=last.postfix if single else "",
            elapsed=last.elapsed if single else self.heard - self.began,
        )


class Board:
    """The bars of one cell or script, together."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}

    def handle(self, task: Hashable, task_name: str, state: BarState, now: float) -> str:
        """Take in a state; returns the key of the line that has changed."""
        key = state.key or task_name
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(key, now, state.elapsed)
            self._forget_some()
        group.take((task, state.bar), state, now)
        if not group.open and not group.bars:  # it did not want to stay
            del self._groups[key]
        return key

    def line(self, key: str) -> Line | None:
        """One line; None when its bars are gone."""
        group = self._groups.get(key)
        return None if group is None else group.line()

    def lines(self) -> tuple[list[Line], int]:
        """The lines to show, in the order of their beginnings, and how many more there are."""
        groups = list(self._groups.values())
        shown = groups
        if len(groups) > MOST_LINES:  # those that move tell more than those that have ended
            busiest = sorted(groups, key=lambda group: (bool(group.open), group.heard))[-MOST_LINES:]
            shown = [group for group in groups if group in busiest]
        return [group.line() for group in shown], len(groups) - len(shown)

    def _forget_some(self) -> None:
        ended = [key for key, group in self._groups.items() if not group.open and group.last is not None]
        for key in ended[: max(0, len(self._groups) - MOST_GROUPS)]:
            del self._groups[key]


def text(line: Line) -> str:
    """A line as plain text.

    >>> text(Line(label="fit", bars=1, open=1, n=42, total=100, unit="it", postfix="loss=0.3", elapsed=12))
    'fit:  42%|█████       | 42/100 [00:12<00:16, 3.5it/s] loss=0.3'
    >>> text(Line(label="", bars=1, open=0, n=1234, total=None, unit="row", postfix="", elapsed=2))
    '1,234 row [00:02, 617.0row/s]'
    """
    fraction = line.fraction
    bar = "" if fraction is None else f"{int(100 * fraction):3d}%|{_drawn(fraction)}| "
    label = f"{line.label}: " if line.label else ""
    return f"{label}{bar}{line.counts} [{line.times}] {line.postfix}".rstrip()


def clock(seconds: float) -> str:
    """A span of time as tqdm writes it.

    >>> clock(75), clock(4000)
    ('01:15', '1:06:40')
    """
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes:02d}:{whole % 60:02d}"


def _drawn(fraction: float) -> str:
    eighths = int(fraction * BAR_WIDTH * 8)
    whole, part = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[part] if part else "")).ljust(BAR_WIDTH)


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.1f}"
