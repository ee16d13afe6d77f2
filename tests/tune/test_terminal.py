"""Without a card an experiment is told in lines: rewritten in a terminal, now and then in a log."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from nbray.tune import terminal
from nbray.tune.configs import RunConfig
from nbray.tune.events import Ended, Noticed, Reported, Slots
from nbray.tune.terminal import TerminalProgress, Wording
from nbray.tune.tune_run import TuneRun
from tests.tune.led_experiment import Led, plan


def led_half(path: Path, verbose: int = 1) -> Led:
    led = Led(plan(path, [1, 2], RunConfig(verbose=verbose)))
    led.tell(Slots(1))
    led.tell(Reported("00000", 1, {"loss": 0.5, "note": "text"}))
    return led


def test_the_first_line_says_what_and_where(tmp_path: Path) -> None:
    led = led_half(tmp_path)
    wording = Wording(led.plan)
    assert wording.news(led.view) == [f"forest: 2 trials in {tmp_path}"]
    assert wording.news(led.view) == []
    led.tell(Noticed("2 trials at a time fit"))
    assert wording.news(led.view) == ["2 trials at a time fit"]
    assert wording.news(led.view) == []


def test_the_status_counts_and_has_the_best(tmp_path: Path) -> None:
    led = led_half(tmp_path)
    wording = Wording(led.plan)
    assert wording.status(led.view, 2.5) == "0 of 2 trials ended, 1 running, best loss 0.5; 2.5 s"
    led.tell(Ended("00000", 1))
    assert wording.status(led.view, 3) == "1 of 2 trials ended, 1 running, best loss 0.5; 3.0 s"


def test_failures_are_counted(tmp_path: Path) -> None:
    def reports(config: dict[str, Any]) -> Any:
        yield {"loss": 1.0}
        raise ValueError("no luck")

    led = Led(plan(tmp_path, [1], RunConfig(verbose=2))).run(reports)
    wording = Wording(led.plan)
    assert "1 of 1 trials ended, 0 running, 1 failed" in wording.status(led.view, 1.0)
    assert wording.news(led.view)[-1] == "train_00000 failed after 1 reports: ValueError: no luck, with {'x': 1}"


def test_more_is_said_at_each_level(tmp_path: Path) -> None:
    said = {}
    for verbose in (1, 2, 3):
        led = Led(plan(tmp_path, [1], RunConfig(verbose=verbose))).run(lambda config: [{"loss": 2.0}, {"loss": 1.0}])
        wording = Wording(led.plan)
        said[verbose] = [line for line in wording.news(led.view) if line.startswith("train")]
        assert wording.news(led.view) == [], "each line is said once"
    end = "train_00000 ended after 2 reports and 2.0 s: loss 1, with {'x': 1}"
    assert said == {1: [], 2: [end], 3: ["train_00000: report 1: loss 2", "train_00000: report 2: loss 1", end]}


def test_each_report_is_said_once(tmp_path: Path) -> None:
    led = led_half(tmp_path, verbose=3)
    wording = Wording(led.plan)
    assert wording.news(led.view)[1:] == ["train_00000: report 1: loss 0.5"]
    led.tell(Reported("00000", 1, {"loss": 0.4}))
    assert wording.news(led.view) == ["train_00000: report 2: loss 0.4"]


def test_the_end_says_why_and_what_is_best(tmp_path: Path) -> None:
    led = Led(plan(tmp_path, [1, 2])).run(lambda config: [{"loss": config["x"]}])
    first, second = Wording(led.plan).end(led.view, "")
    assert first.startswith("forest: 2 of 2 trials ended, 0 running, best loss 1; ")
    assert second == "best configuration: {'x': 1} (train_00000)"
    half = led_half(tmp_path)
    assert Wording(half.plan).end(half.view, "it goes on in the cluster")[0].endswith("(it goes on in the cluster)")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_now_and_then(tmp_path: Path) -> None:
    led, log, clock = led_half(tmp_path), io.StringIO(), Clock()
    progress = TerminalProgress(led.plan, lambda: log, clock)
    for clock.now in (0.1, 4.9, 5.1, 5.2, 9.9):
        progress.show(led.view)
    progress.close(led.view, "")
    lines = log.getvalue().splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == ["forest", "0 of 2 trials ended, 1 running, best loss 0.5; 5.1 s"]
    assert len(lines) == 4


def test_a_terminal_rewrites_its_line(tmp_path: Path) -> None:
    led, screen, clock = led_half(tmp_path), Screen(), Clock()
    progress = TerminalProgress(led.plan, lambda: screen, clock)
    progress.show(led.view)
    clock.now = 1.0
    progress.show(led.view)
    clock.now = 2.0
    led.tell(Noticed("something"))
    progress.show(led.view)
    progress.close(led.view, "")
    text = screen.getvalue()
    assert "\r0 of 2 trials ended, 1 running, best loss 0.5; 1.0 s" in text
    assert text.index("something") < text.index("2.0 s") < text.rindex("forest:")
    assert text.endswith("\n")


def test_verbose_0_is_silence(tmp_path: Path) -> None:
    def observers(verbose: int) -> int:
        given = replace(plan(tmp_path), run=RunConfig(verbose=verbose))
        return len(terminal.observe(cast(TuneRun, SimpleNamespace(plan=given))))

    assert [observers(verbose) for verbose in range(4)] == [0, 1, 1, 1]
