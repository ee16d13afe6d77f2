"""`nbray.plot`: numbers that come one after the other, drawn while they come.

    generator ---items---> Feed ---rows, at most ten messages a second---> the cell: a task's own, or the driver's
"""

from __future__ import annotations

import inspect
import itertools
import sys
import threading
import time
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import msgspec

from nbray import session
from nbray.engine import task_context
from nbray.errors import WrongType
from nbray.ids import CellRunId, Reference
from nbray.objects import Stream, get
from nbray.plot_items import ItemReader, PlotOrder
from nbray.plot_points import STREAM, Plot, Points, Row, decode, thinned
from nbray.plot_text import plot_text
from nbray.waiting import wait
from nbray.wording import one_line

BURST = 10.0
"""Messages that go at once after a pause."""
RATE = 8.0
"""Messages a second, after that."""
WHOLE_EVERY = 64
"""After so many messages one says all that has come so far: a kernel that is restarted meanwhile needs no earlier ones."""
FAILED = "failed"
STOPPED = "stopped"
MOST_RUNS = 12
SHOWN_ITEMS = 4
LONGEST_ITEM = 60

_numbers = itertools.count(1)

Show = Callable[[CellRunId, Points], None]
_shown_by: Show | None = None


def show_with(show: Show | None) -> None:
    """From now on the driver's own plots go there, with their cell runs; None: to the terminal. A notebook calls this."""
    global _shown_by
    _shown_by = show


def show_again(data: bytes) -> None:
    """Draw what a plot said earlier, as a kept result has it."""
    points = decode(data)
    if points is not None and _shown_by is not None:
        _shown_by(session.current_cell_run(), msgspec.structs.replace(points, plot=-points.plot))


class Feed:
    """One run of a plot: takes items, and tells the page of them where the thread that made it belongs.

    Used by one thread. What comes fast is told together; what is left then follows by itself a moment later.
    """

    def __init__(
        self, order: PlotOrder, plot: int | None = None, run: str = "", title: str = "", so_far: Plot | None = None
    ) -> None:  # fmt: skip
        """`so_far` is shared by the runs of one plot, whose number is `plot`."""
        self._reader = ItemReader(order)
        self._order = order
        self._plot = next(_numbers) if plot is None else plot
        self._run, self._title = run, title
        self._context = task_context.current()
        self._cell_run = session.current_cell_run()
        self._is_shown = self._context is not None or _shown_by is not None
        self._so_far = so_far or Plot()
        self._lock = threading.Lock()
        """Guards what follows: the timer tells what is left."""
        self._rows: list[Row] = []
        self._credit, self._told_at = BURST, time.monotonic()
        self._timer: threading.Timer | None = None
        self._closed = False
        self._told = 0
        if self._context is None:
            sys.stdout.flush()  # what was printed before belongs above it
        self._tell()  # so that it is seen that it waits, and which lines there will be

    def take(self, item: Any) -> None:
        """The next item."""
        row = self._reader.read(item)
        with self._lock:
            if row is not None:
                self._rows.append(row)
            now = time.monotonic()
            self._credit = min(BURST, self._credit + (now - self._told_at) * RATE)
            self._told_at = now
            if self._credit >= 1:
                self._credit -= 1
                self._tell()
            elif self._timer is None:
                self._timer = threading.Timer(1 / RATE, self._tell_the_rest)
                self._timer.daemon = True
                self._timer.start()

    def close(self, why: str = "") -> None:
        """No more comes; `why` it ended before its end. Idempotent."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            timer.join()
        if not self._closed:
            self._closed = True
            with self._lock:
                self._tell(why)

    def _tell_the_rest(self) -> None:
        with self._lock:
            self._timer = None
            if not self._closed:
                self._tell()

    def _tell(self, why: str = "") -> None:
        points = Points(
            plot=self._plot, run=self._run, title=self._title, x_name=self._order.x, names=self._reader.names,
            rows=thinned(self._rows), items=self._reader.items, said=self._reader.said(), closed=self._closed, why=why,
        )  # fmt: skip
        self._rows = []
        self._so_far.take(points)
        self._told += 1
        if self._context is not None:
            self._context.emit(STREAM, points.encode())
            if self._told % WHOLE_EVERY == 0 and not self._closed:
                [whole] = [each for each in self._so_far.whole() if each.run == self._run]
                self._context.emit(STREAM, whole.encode())
        elif self._is_shown and _shown_by is not None:
            _shown_by(self._cell_run, points)
        elif self._so_far.closed:
            sys.stdout.write(f"{plot_text(self._so_far)}\n")


class Items(list[Any]):
    """The items of a plot: a list that a notebook shows in a line, since the chart stands above it."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        shown: list[Any] = list(self) if len(self) <= SHOWN_ITEMS else [*self[: SHOWN_ITEMS - 1], self[-1]]
        texts = [one_line(repr(item), LONGEST_ITEM) for item in shown]
        left = len(self) - len(shown)
        if left:
            texts.insert(-1, f"... {left:,} more ...")
        printer.text(f"[{', '.join(texts)}]")


def why_ended(error: BaseException | None) -> str:
    """What a plot says of the error that ended it."""
    if error is None:
        return ""
    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    name, said = type(error).__name__, str(error)
    return f"{FAILED}: {name}: {said}" if said else f"{FAILED}: {name}"


def plot(source: Any, *names: str, x: str | None = None, title: str = "") -> Any:
    """Draw the numbers that a generator yields while they come, and return all its items as a list.

    `source` is what `f.remote()` of a generator function gives, a generator or another iterable here; of several, in a list of
    remote ones or a dict with their labels, each is a line, and a list or dict of lists comes back. `names` say what is drawn of
    items that are dicts ("loss,acc", or one by one; all numbers without) and how numbers in tuples are called; `x` what it is
    drawn against, unless it is the number of the item. Blocks until all have ended; raises what a generator raises. In a cell
    that runs on the cluster, and in tasks, it draws in the cell of the notebook; in a terminal it prints one line for each name.

    >>> import nbray
    >>> @nbray.remote
    ... def train(steps):
    ...     for step in range(steps):
    ...         yield {"loss": 1 / (step + 1)}
    >>> items = nbray.plot(train.remote(4), "loss")  # doctest: +ELLIPSIS
    plot of 4 items
      loss  █▃▁▁  1 → 0.25
    >>> items[-1]
    {'loss': 0.25}
    """
    order = PlotOrder.of(names, x)
    if isinstance(source, Mapping):
        found = _several(order, {str(label): each for label, each in source.items()}, title)
        return dict(zip(source, found, strict=True))
    if isinstance(source, (list, tuple)) and source and all(isinstance(each, Stream) for each in source):
        return _several(order, {str(number): each for number, each in enumerate(source, 1)}, title)
    _check(source)
    if isinstance(source, Stream):
        [items] = _several(order, {"": source}, title)
        return items
    feed, items = Feed(order, title=title), Items()
    with _closing([feed]):
        for item in source:
            items.append(item)
            feed.take(item)
    return items


class _closing:  # noqa: N801 - used as a function
    """Closes feeds at the end of a block, and says what ended it."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds = feeds

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, frames: object) -> None:
        for feed in self._feeds:
            feed.close(why_ended(error))


def _several(order: PlotOrder, sources: Mapping[str, Any], title: str) -> list[list[Any]]:
    """The items of each, which come in whatever order they come in."""
    if len(sources) > MOST_RUNS:
        raise WrongType(f"nbray.plot draws {MOST_RUNS} generators at once, and these are {len(sources)}: take some of them")
    for each in sources.values():
        _check(each)
    number, so_far = next(_numbers), Plot()
    feeds = {run: Feed(order, number, run, title, so_far) for run in sources}
    items: dict[str, list[Any]] = {run: Items() for run in sources}
    with _closing(feeds.values()):
        for run, item in _as_they_come(sources, feeds):
            items[run].append(item)
            feeds[run].take(item)
    return list(items.values())


def _as_they_come(sources: Mapping[str, Any], feeds: Mapping[str, Feed]) -> Iterator[tuple[str, Any]]:
    """The next item of whichever has one. A generator that fails does not end the others: it raises when these have ended."""
    waiting: dict[str, Any] = {run: source if isinstance(source, Stream) else iter(source) for run, source in sources.items()}
    first_error: Exception | None = None
    while waiting:
        for run in _ready(waiting):
            try:
                item = next(waiting[run])
                value = get(item) if isinstance(waiting[run], Stream) else item
            except StopIteration:
                del waiting[run]
                feeds[run].close()
            except Exception as error:  # noqa: BLE001 - what the generator raises, which is raised again
                del waiting[run]
                feeds[run].close(why_ended(error))
                first_error = first_error or error
            else:
                yield run, value
    if first_error is not None:
        raise first_error


def _ready(waiting: Mapping[str, Any]) -> list[str]:
    """Those that have an item or have ended; waits for one. Generators of this process are asked in turn."""
    if not all(isinstance(source, Stream) for source in waiting.values()):
        return list(waiting)
    ready = {id(source) for source in wait(list(waiting.values()), 1)[0]}
    return [run for run, source in waiting.items() if id(source) in ready]


def _check(source: Any) -> None:
    if isinstance(source, Reference):
        raise WrongType(f"nbray.plot({source!r}): it is one value, no generator; nbray.plot(nbray.get(ref), ...) draws a list")
    if isinstance(source, AsyncIterable) and not isinstance(source, Stream):
        raise WrongType(f"nbray.plot({_named(source)}): expected a plain generator; `async for` items cannot be waited for here")
    if hasattr(source, "remote") or inspect.isgeneratorfunction(source):
        name = _named(source)
        call = f"{name}.remote(...)" if hasattr(source, "remote") else f"{name}(...)"
        raise WrongType(f"nbray.plot({name}): expected what a call of it gives, as nbray.plot({call}, 'loss')")
    if isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
        _refuse(source)


def _refuse(source: Any) -> NoReturn:
    raise WrongType(
        f"nbray.plot({source!r:.60}): expected what gives numbers one after the other: train.remote(...) of a function that "
        "yields, a generator, or a list"
    )


def _named(source: Any) -> str:
    return str(getattr(source, "__name__", None) or type(source).__name__)
