"""The worker's side of `yield` in a cell: takes the items as they come, draws them where that was asked, keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nbray.notebook.yields import ITEMS, TAKE, TAKE_ALL
from nbray.plot_items import PlotOrder
from nbray.plots import Feed, why_ended
from nbray.wording import count_text

HIDDEN = "nbray: {} yielded within a magic do not come back: --plot draws and keeps them; so does the cell without that magic\n"
MOST_KEPT = 100_000
"""Items that come back; later ones are only drawn."""


class YieldedItems:
    """The items of the cell that runs now; used on the thread that runs it."""

    def __init__(self, plot: PlotOrder | None) -> None:
        self._feed = None if plot is None else Feed(plot)
        self.kept: list[Any] = []
        self.count = 0

    def take(self, item: Any) -> None:
        """The next one."""
        self.count += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append(item)
        if self._feed is not None:
            self._feed.take(item)

    def take_all(self, items: Iterable[Any]) -> None:
        """All of these, each as it comes."""
        for item in items:
            self.take(item)

    def takes(self, last: object) -> bool:
        """Whether this value of a last expression is taken apart instead of being shown: a generator in a cell that is drawn."""
        return self._feed is not None and isinstance(last, Iterator)

    def close(self, error: BaseException | None) -> None:
        """The cell has ended; `error` is what ended it."""
        if self._feed is not None:
            self._feed.close(why_ended(error))

    @property
    def lost(self) -> str:
        """What to say of those that do not come back; "" when all do."""
        left = self.count - len(self.kept)
        return f"nbray: of {count_text(self.count, 'item')} the first {MOST_KEPT:,} come back\n" if left else ""


_current: YieldedItems | None = None


def begin(plot: PlotOrder | None) -> YieldedItems:
    """A cell begins: what it yields goes here until the next one begins."""
    global _current
    _current = YieldedItems(plot)
    return _current


def takes(last: object) -> bool:
    """Whether the last expression of the cell that runs now is taken apart."""
    return _current is not None and _current.takes(last)


def take(item: Any) -> None:
    """What `yield` calls."""
    assert _current is not None, "only a cell yields here"
    _current.take(item)


def take_all(items: Iterable[Any]) -> None:
    """What `yield from` calls, and what a last expression that is a generator is given to."""
    assert _current is not None, "only a cell yields here"
    _current.take_all(items)


BUILTINS = {TAKE: take, TAKE_ALL: take_all}
"""What a cell's yields find under these names."""


def leave(namespace: dict[str, Any], items: YieldedItems, *, expected: bool) -> str:
    """Put the items where they are found when the cell brings its names; returns what to say about it.

    None are `expected` where the notebook has not seen that the cell yields.
    """
    global _current
    _current = None
    if not expected:
        return HIDDEN.format(count_text(items.count, "item")) if items.count else ""
    namespace[ITEMS] = items.kept
    return items.lost
