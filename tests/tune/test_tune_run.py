"""How a process follows an experiment that something else leads."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nbray.errors import ActorDied, GetTimeoutError, TuneError, UsageError, WrongType
from nbray.tune import observers, tune_run
from nbray.tune.configs import FailureConfig
from nbray.tune.events import Close, CloseReason, Ended, Entry, Failed, Moved, Reported, Say, Slots, Start
from nbray.tune.schedulers.scheduler import Rung
from nbray.tune.tune_run import TuneRun
from nbray.tune.view import View
from tests.contract.conftest import until
from tests.tune.plans import make_plan
from tests.tune.test_trainables import train

BEGIN = [
    Entry(1, 0.0, Slots(1), [Start("00000", 1, {"x": 1})]),
    Entry(2, 1.0, Reported("00000", 1, {"loss": 2.0}), [Say("it is two")]),
]
END = [Entry(3, 2.0, Ended("00000", 1), [Moved("00000", "TERMINATED"), Close(CloseReason.DONE, "all trials have ended")])]


class Told:
    """A lead that tells what it was given, once."""

    def __init__(self, *batches: Any) -> None:
        self.batches = list(batches)
        self.asked: list[Any] = []
        self.left = 0
        self.on_ask: list[list[Entry]] = []

    def news(self, since: int, timeout: float) -> tuple[Sequence[Entry], Sequence[Rung]] | None:
        if not self.batches:
            threading.Event().wait(min(timeout, 0.01))
            return None
        batch = self.batches.pop(0)
        if isinstance(batch, BaseException):
            raise batch
        return batch, [Rung(0, 1.0, {}, frozenset())]

    def ask(self, what: str, trial_id: str) -> None:
        self.asked.append((what, trial_id))
        self.batches += self.on_ask

    def add(self, config: dict[str, Any]) -> None:
        self.asked.append(("add", config))

    def leave(self) -> None:
        self.left += 1


class Seen:
    """An observer and a follower."""

    def __init__(self) -> None:
        self.entries: list[int] = []
        self.shown = 0
        self.threads: set[str] = set()
        self.closed: list[str] = []

    def tell(self, entry: Entry, view: View) -> None:
        assert view.number == entry.number
        self.entries.append(entry.number)

    def show(self, view: View) -> None:
        self.shown += 1
        self.threads.add(threading.current_thread().name)

    def close(self, view: View, why: str = "none given") -> None:
        self.closed.append(why)


@pytest.fixture
def seen() -> Iterator[Seen]:
    seen = Seen()
    unregister = observers.register(lambda run: seen)
    yield seen
    unregister()


def make(directory: Path, lead: Told, *followers: Any, **config: Any) -> TuneRun:
    return TuneRun(make_plan(train, directory / "e", **config), View("loss", "min", 1), lead, followers).open()


# -------------------------------------------------------------------- following


def test_all_is_told_in_order_and_once(tmp_path: Path, seen: Seen) -> None:
    lead, heard = Told(BEGIN, END), Seen()
    run = make(tmp_path, lead, heard)
    assert tune_run.followed() == [run]
    assert run.refresh(1.0) == BEGIN
    assert (run.view.trials["00000"].iteration, run.view.lines, len(run.view.rungs), run.done) == (1, ["it is two"], 1, False)
    assert len(run.results()) == 1
    assert (run.done, heard.entries, heard.closed, seen.closed, lead.left) == (True, [1, 2, 3], ["none given"], [""], 1)
    assert run.refresh() == []
    assert len(run.results()) == 1
    assert (lead.left, tune_run.followed()) == (1, [])


def test_observers_are_told_without_news_too(tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune_run, "SHOW_SECONDS", 0.0)
    run = make(tmp_path, Told())
    run.refresh(0.0)
    run.refresh(0.0)
    assert seen.shown == 2
    run.detach()


def test_in_the_background_until_somebody_waits(tmp_path: Path, seen: Seen) -> None:
    lead = Told(BEGIN)
    run = make(tmp_path, lead)
    run.follow_in_background()
    assert until(lambda: run.view.number == 2)
    assert seen.threads == {"nbray-tune-e"}
    lead.batches.append(END)
    assert len(run.results()) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "nbray-tune-e"]


def test_who_detaches_is_told_no_more_and_the_experiment_goes_on(tmp_path: Path, seen: Seen) -> None:
    lead = Told(BEGIN)
    run = make(tmp_path, lead)
    run.follow_in_background()
    run.detach()
    assert (run.done, lead.left, lead.asked, seen.closed) == (True, 0, [], ["this notebook does not follow it any more"])
    with pytest.raises(UsageError, match=r"does not follow its experiment any more: nbray\.tune\.attach\('e'\)"):
        run.results()


# -------------------------------------------------------------------- ends


def ending(close: Close) -> list[Entry]:
    failed = Failed("00000", 1, "ValueError: no")
    return [Entry(3, 2.0, failed, [Moved("00000", "ERROR"), close])]


@pytest.mark.parametrize(
    ("why", "error", "message"),
    [
        (CloseReason.METRIC_MISSING, UsageError, "no trial has reported"),
        (CloseReason.ERROR, TuneError, "no trial has reported"),
        (CloseReason.TRIAL_FAILED, TuneError, r"trial 00000 of 'e' failed, with config \{'x': 1\}:\nValueError: no"),
    ],
)
def test_ends_that_are_errors(why: CloseReason, error: type[Exception], message: str, tmp_path: Path, seen: Seen) -> None:
    lead = Told(BEGIN, ending(Close(why, "no trial has reported")))
    run = make(tmp_path, lead, failures=FailureConfig(fail_fast="raise"))
    with pytest.raises(error, match=message):
        run.results()
    assert lead.left == 1


def test_a_trial_that_failed_is_in_the_results_unless_it_shall_be_raised(tmp_path: Path, seen: Seen) -> None:
    lead = Told(BEGIN, ending(Close(CloseReason.TRIAL_FAILED)))
    assert make(tmp_path, lead, failures=FailureConfig(fail_fast=True)).results().num_errors == 1


def test_what_a_callback_raises_stops_it_and_comes_out(tmp_path: Path, seen: Seen) -> None:
    class Bad(Seen):
        def tell(self, entry: Entry, view: View) -> None:
            super().tell(entry, view)
            raise ZeroDivisionError("in the callback")

    lead, bad = Told(BEGIN), Bad()
    lead.on_ask = [END]
    with pytest.raises(ZeroDivisionError, match="in the callback"):
        make(tmp_path, lead, bad).results()
    assert (lead.asked, bad.entries) == ([("interrupt", "")], [1])


def test_an_observer_that_raises_ends_nothing(tmp_path: Path, seen: Seen, capfd: pytest.CaptureFixture[str]) -> None:
    def show(view: View) -> None:
        raise ZeroDivisionError("in the picture")

    seen.show = show  # type: ignore[method-assign]
    assert len(make(tmp_path, Told(BEGIN, END)).results()) == 1
    assert capfd.readouterr().err.count("ZeroDivisionError: in the picture") == 1


def test_a_lead_that_dies(tmp_path: Path, seen: Seen) -> None:
    run = make(tmp_path, Told(BEGIN, ActorDied("it was killed.")))
    for _ in range(2):
        with pytest.raises(ActorDied, match=r"is not led any more.*it was killed\. To go on with it: tune\.Tuner\.restore\('/"):
            run.results()
    assert seen.closed == ["it is not led any more: it was killed."]


def test_an_interrupt_stops_it_and_says_how_to_go_on(tmp_path: Path, seen: Seen) -> None:
    lead = Told(BEGIN, KeyboardInterrupt())
    lead.on_ask = [END]
    run = make(tmp_path, lead)
    with pytest.raises(KeyboardInterrupt, match=r"experiment 'e' was stopped: 1 of 1 trials have ended\. To go on"):
        run.results()
    assert (lead.asked, lead.left) == ([("interrupt", "")], 1)


@pytest.mark.parametrize("patient", [True, False])
def test_an_interrupt_that_does_not_end_it_in_time(
    patient: bool, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune_run, "STOP_SECONDS", 0.05)
    lead = Told(BEGIN, KeyboardInterrupt(), *([] if patient else [KeyboardInterrupt("again")]))
    run = make(tmp_path, lead)
    with pytest.raises(KeyboardInterrupt, match="was stopped" if patient else "again"):
        run.results()
    assert (lead.asked, lead.left, run.done) == ([("interrupt", "")], 0, True)
    assert seen.closed == ["it was interrupted, and ends without this notebook"]


def test_results_in_time(tmp_path: Path, seen: Seen) -> None:
    lead = Told(BEGIN)
    run = make(tmp_path, lead)
    with pytest.raises(GetTimeoutError, match=r"after 0 s, experiment 'e' has not ended \(0 of 1 trials have\)"):
        run.results(timeout=0)
    lead.batches.append(END)
    assert until(lambda: run.done)
    with pytest.raises(UsageError, match="timeout=-1"):
        run.results(timeout=-1)


# -------------------------------------------------------------------- steering


def test_what_can_be_asked(tmp_path: Path, seen: Seen) -> None:
    lead = Told(BEGIN)
    run = make(tmp_path, lead)
    run.stop_trial("00000")  # it looks for news, where the trial is
    run.pause_trial("00000")
    run.resume_trial("00000")
    run.clone_trial("00000")
    run.pause()
    run.resume()
    run.stop()
    run.add({"x": 3})
    assert lead.asked == [
        ("stop", "00000"), ("pause", "00000"), ("resume", "00000"), ("clone", "00000"), ("pause", ""), ("resume", ""),
        ("stop", ""), ("add", {"x": 3}),
    ]  # fmt: skip
    run.detach()


def test_what_cannot_be_asked(tmp_path: Path, seen: Seen) -> None:
    run = make(tmp_path, Told(BEGIN))
    with pytest.raises(UsageError, match=r"experiment 'e' has no trial '7'; the last ones are 00000"):
        run.stop_trial("7")
    with pytest.raises(WrongType, match=r"add\(3\): expected a configuration"):
        run.add(3)  # type: ignore[arg-type]
    assert repr(run) == "TuneRun('e', 1 running)"
    run.detach()
