"""nbray.progress: tqdm's interface, and what it tells when."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import tqdm

import nbray
from nbray import progress_bars
from nbray.backends.backend import OutputEvent
from nbray.errors import UsageError, WrongType
from nbray.progress_board import STREAM, BarState, decode
from tests.fakes import fake_session


@pytest.fixture
def told() -> Iterator[list[BarState]]:
    states: list[BarState] = []
    progress_bars.show_with(lambda cell_run, state: states.append(state))
    yield states
    progress_bars.show_with(None)


@pytest.fixture
def every_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bars, "INTERVAL", 0.0)


def test_a_loop_tells_its_end_and_little_else(told: list[BarState]) -> None:
    assert list(nbray.progress([1, 2, 3], desc="three")) == [1, 2, 3]
    (last,) = told
    assert (last.desc, last.n, last.total, last.closed) == ("three", 3, 3, True)
    for _ in nbray.progress(range(100_000)):
        pass
    assert len(told) < 10


@pytest.mark.usefixtures("every_state")
def test_updates_by_hand(told: list[BarState]) -> None:
    with nbray.progress(total=10, unit="row", postfix={"loss": 1}) as bar:
        bar.update(3)
        bar.set_description("fitting")
        bar.set_postfix(loss=0.123456, epoch=2)
        bar.set_postfix_str("done", refresh=False)
        bar.refresh()
    assert [(state.n, state.desc, state.postfix) for state in told] == [
        (3, "", "loss=1"), (3, "fitting", "loss=1"), (3, "fitting", "loss=0.123, epoch=2"), (3, "fitting", "done"),
        (3, "fitting", "done"),
    ]  # fmt: skip
    assert [state.closed for state in told] == [False] * 4 + [True]
    bar.close()
    assert len(told) == 5
    bar.reset(total=20)
    assert (told[-1].n, told[-1].total, told[-1].closed) == (0, 20, False)
    bar.close()


def test_what_is_broken_off_is_closed(told: list[BarState]) -> None:
    with pytest.raises(ZeroDivisionError):
        sum(map(lambda n: 1 / (n - 2), nbray.progress(range(10))))  # noqa: C417
    assert (told[-1].n, told[-1].closed) == (2, True)
    bar = nbray.progress(total=3)
    del bar
    assert told[-1].closed


def test_disabled_it_tells_nothing(told: list[BarState]) -> None:
    assert list(nbray.progress(range(5), disable=True)) == list(range(5))
    assert told == []


def test_lengths() -> None:
    assert len(nbray.progress(range(5), disable=True)) == 5
    with pytest.raises(TypeError, match="give it total="):
        len(nbray.progress(itertools.count(), disable=True))
    assert repr(nbray.progress(range(5), desc="x", disable=True)) == "progress('x', 0 of 5)"


def test_it_takes_all_that_tqdm_takes() -> None:
    takes = set(inspect.signature(tqdm.tqdm.__init__).parameters) - {"self", "kwargs"}
    known = set(inspect.signature(nbray.progress.__init__).parameters) | set(progress_bars._COSMETIC)
    assert takes - known == set()
    methods = {"update", "set_description", "set_description_str", "set_postfix", "set_postfix_str", "reset", "refresh", "close"}
    assert {name for name in (*methods, "clear", "write") if not hasattr(nbray.progress, name)} == set()


def test_inside_tasks_it_goes_to_the_cell() -> None:
    def work(n: int) -> int:
        return sum(nbray.progress(range(n), desc="work"))

    events: list[OutputEvent] = []
    with fake_session() as backend:
        backend.on_output(events.append)
        assert list(nbray.map(work, [3, 4], chunksize=1)) == [3, 6]
    states = [decode(event.data) for event in events if event.stream == STREAM]
    assert [(state.desc, state.n, state.closed) for state in states if state] == [("work", 3, True), ("work", 4, True)]


def test_over_a_map() -> None:
    with fake_session():
        assert list(nbray.progress(nbray.map(abs, [-1, -2]), disable=True)) == [1, 2]
        assert nbray.progress(nbray.map(abs, iter([-1])), disable=True).total is None


def test_in_a_script_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in nbray.progress(range(3), desc="own"):
        nbray.progress.write("between")
    out, err = capsys.readouterr()
    assert out == "between\n" * 3
    assert err.startswith("own: 100%|████████████| 3/3 [00:00")


@pytest.mark.parametrize(
    ("misuse", "error", "message"),
    [
        (lambda: nbray.progress(10), WrongType, r"nbray.progress\(10\): expected something to go through, or total=10"),  # type: ignore[arg-type]
        (lambda: nbray.progress(total="x"), UsageError, "total='x': expected how many items will come"),  # type: ignore[arg-type]
        (lambda: nbray.progress([], descr="x"), UsageError, "has no argument descr=: did you mean desc=?"),
        (lambda: list(nbray.progress(total=3, disable=True)), WrongType, "goes through nothing"),
    ],
)
def test_misuse(misuse: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        misuse()
