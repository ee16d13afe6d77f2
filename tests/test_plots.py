"""`nbray.plot` in a script and in tasks: what it gives back, what it tells of, how often, what it refuses."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from IPython.lib.pretty import pretty

import nbray
from nbray import plots, session
from nbray.engine import task_context
from nbray.engine.task_context import TaskContext
from nbray.ids import CellRunId, TaskId
from nbray.plot_items import PlotOrder
from nbray.plot_points import Plot, Points, decode
from nbray.plots import BURST, RATE, Feed, plot, show_again, why_ended


@pytest.fixture
def cluster() -> Iterator[None]:
    """What a test starts ends with it."""
    yield
    nbray.shutdown()


@pytest.fixture
def told() -> Iterator[list[Points]]:
    """What plots of this process tell, as a notebook hears it."""
    heard: list[Points] = []
    plots.show_with(lambda cell_run, points: heard.append(points))
    yield heard
    plots.show_with(None)


def gathered(told: list[Points]) -> Plot:
    plot = Plot()
    for points in told:
        plot.take(points)
    return plot


def shown(value: Any) -> str:
    """As a notebook shows it."""
    return str(pretty(value))  # type: ignore[no-untyped-call]


def losses(count: int, pause: float = 0.0) -> Iterator[dict[str, float]]:
    for step in range(count):
        yield {"loss": 1 / (step + 1), "acc": step / count}
        time.sleep(pause)


def test_all_items_come_back_and_all_are_told(told: list[Points]) -> None:
    items = plot(losses(50), "loss,acc")
    assert items == list(losses(50))
    drawn = gathered(told)
    assert drawn.names == ("loss", "acc")
    assert drawn.closed
    assert drawn.items == 50
    series = drawn.series("", "loss")
    assert series is not None
    assert series.count == 50
    assert len({points.plot for points in told}) == 1


def test_slow_items_are_told_at_once_and_fast_ones_together(told: list[Points]) -> None:
    feed = Feed(PlotOrder())
    for number in range(5):
        feed.take(number)
        assert told[-1].items == number + 1
    for number in range(20_000):
        feed.take(number)
    assert len(told) <= BURST + RATE * 2
    feed.close()
    assert gathered(told).items == 20_005
    assert max(len(points.rows) for points in told) <= 100


def test_what_came_fast_is_told_although_nothing_follows(told: list[Points]) -> None:
    feed = Feed(PlotOrder())
    for number in range(int(BURST) + 5):
        feed.take(number)
    assert told[-1].items < BURST + 5
    deadline = time.monotonic() + 10
    while told[-1].items < BURST + 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    feed.close()
    feed.close()
    assert [points.closed for points in told].count(True) == 1


def test_closing_leaves_no_thread(told: list[Points]) -> None:
    before = set(threading.enumerate())
    feed = Feed(PlotOrder())
    for number in range(100):
        feed.take(number)
    feed.close()
    assert set(threading.enumerate()) <= before


def test_what_ends_a_generator_is_raised_and_told(told: list[Points]) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("no more data")

    with pytest.raises(ValueError, match="no more data"):
        plot(broken())
    assert told[-1].closed
    assert told[-1].why == "failed: ValueError: no more data"
    assert why_ended(KeyboardInterrupt()) == "stopped"
    assert why_ended(None) == ""
    assert why_ended(StopIteration()) == "failed: StopIteration"


def test_several_generators_are_lines_of_one_plot(told: list[Points]) -> None:
    found = plot({"a": losses(3), 2: iter([1.0, 2.0])}, "loss")
    assert found == {"a": list(losses(3)), 2: [1.0, 2.0]}
    drawn = gathered(told)
    assert drawn.runs == ("a", "2")
    assert drawn.closed
    assert drawn.items == 5


def test_items_are_a_list_that_is_shown_in_a_line(told: list[Points]) -> None:
    items = plot(losses(100))
    assert isinstance(items, list)
    assert shown(items).startswith("[{'loss': 1.0, 'acc': 0.0}, {'loss': 0.5, 'acc': 0.01}, {'loss': 0.3333333333333333")
    assert shown(items).endswith(", ... 96 more ..., {'loss': 0.01, 'acc': 0.99}]")
    assert len(shown(plot(iter(["x" * 1000] * 100)))) < 300
    assert shown(plot({"a": iter([1, 2]), "b": iter([])})) == "{'a': [1, 2], 'b': []}"
    assert pickle.loads(pickle.dumps(items)) == items


def test_one_that_fails_does_not_end_the_others(told: list[Points]) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("no more data")

    with pytest.raises(ValueError, match="no more data"):
        plot({"well": iter(range(9)), "broken": broken()})
    drawn = gathered(told)
    assert drawn.why == ("broken: failed: ValueError: no more data",)
    series = drawn.series("well", "value")
    assert series is not None
    assert series.count == 9


def test_a_script_gets_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert plot([3, 2, 1], title="countdown") == [3, 2, 1]
    assert capsys.readouterr().out == "countdown: plot of 3 items\n  value  █▅▁  3 → 1\n"


def test_a_script_gets_one_text_of_several_generators(capsys: pytest.CaptureFixture[str]) -> None:
    plot({"a": iter([3, 2, 1]), "b": iter([1, 2])}, "n")
    assert capsys.readouterr().out == "plot of 5 items\n  n a  █▅▁  3 → 1\n  n b  ▁█  1 → 2\n"


def test_what_was_kept_is_shown_again(told: list[Points]) -> None:
    show_again(Points(plot=3, names=("loss",), rows=((1.0, 2.0),), items=1, closed=True).encode())
    show_again(b"nothing of the kind")
    [points] = told
    assert points.plot == -3
    assert points.rows == ((1.0, 2.0),)


async def endless() -> AsyncIterator[int]:
    yield 1


@nbray.remote
def remote_losses(count: int) -> Iterator[dict[str, float]]:
    yield from losses(count)


@nbray.remote
def not_a_generator() -> int:
    return 1


@pytest.mark.parametrize(("source", "message"), [
    (remote_losses, "nbray.plot(remote_losses): expected what a call of it gives, as "
                    "nbray.plot(remote_losses.remote(...), 'loss')"),
    (losses, "nbray.plot(losses): expected what a call of it gives, as nbray.plot(losses(...), 'loss')"),
    (3, "nbray.plot(3): expected what gives numbers one after the other: train.remote(...) of a function that yields, a "
        "generator, or a list"),
    ("loss", "nbray.plot('loss'): expected what gives numbers one after the other: train.remote(...) of a function that yields, "
             "a generator, or a list"),
    (endless(), "nbray.plot(endless): expected a plain generator; `async for` items cannot be waited for here"),
    ({"a": 3}, "nbray.plot(3): expected what gives numbers one after the other: train.remote(...) of a function that yields, a "
               "generator, or a list"),
    ({str(index): [1] for index in range(13)}, "nbray.plot draws 12 generators at once, and these are 13: take some of them"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused(source: Any, message: str) -> None:
    with pytest.raises(nbray.WrongType) as caught:
        plot(source)
    assert str(caught.value) == message


@pytest.mark.usefixtures("cluster")
def test_a_ref_is_one_value() -> None:
    nbray.init("serial")
    ref = not_a_generator.remote()
    with pytest.raises(nbray.WrongType, match=r"it is one value, no generator; nbray\.plot\(nbray\.get\(ref\), \.\.\.\)"):
        plot(ref)


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_remote_generators_are_drawn_as_they_come(told: list[Points]) -> None:
    nbray.init(num_workers=2)
    assert plot(remote_losses.remote(5), "loss") == list(losses(5))
    assert plot([remote_losses.remote(3), remote_losses.remote(4)], "loss") == [list(losses(3)), list(losses(4))]
    assert gathered(told[-9:]).runs == ("1", "2")


def test_in_a_task_a_whole_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Points] = []

    def emit(task_id: TaskId, stream: str, data: bytes) -> None:
        points = decode(data)
        assert points is not None
        sent.append(points)

    monkeypatch.setattr(plots, "BURST", 1e9)
    monkeypatch.setattr(plots, "RATE", 1e9)
    task_context.enter(TaskContext(TaskId(7), "t", CellRunId("c"), 1, "w", emit))
    try:
        plot(losses(200), "loss")
    finally:
        task_context.enter(None)
    wholes = [points for points in sent if points.whole]
    assert len(wholes) == 3
    late = gathered(sent[sent.index(wholes[-1]) :])
    series = late.series("", "loss")
    assert series is not None
    assert (series.first, series.last, late.items) == ((1.0, 1.0), (200.0, 1 / 200), 200)


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_a_task_tells_the_cell_that_submitted_it() -> None:
    nbray.init(num_workers=1)
    heard: list[Points] = []
    session.current_backend().on_output(lambda event: heard.append(points) if (points := decode(event.data)) else None)

    @nbray.remote
    def task() -> int:
        return len(plot(losses(4), "acc"))

    assert nbray.get(task.remote()) == 4
    deadline = time.monotonic() + 10
    while not (heard and heard[-1].closed):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert gathered(heard).items == 4
