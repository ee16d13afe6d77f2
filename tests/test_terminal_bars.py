"""Progress bars on a terminal and in a log."""

from __future__ import annotations

import io

from nbray.progress_board import BarState
from nbray.terminal_bars import LOG_SECONDS, TerminalBars


class Screen(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    @property
    def rows(self) -> list[str]:
        """What is to be seen."""
        return [row.split("\r")[-1].replace("\x1b[K", "").rstrip() for row in self.getvalue().split("\n")]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def bars(*, tty: bool) -> tuple[TerminalBars, Screen, Clock]:
    screen, clock = Screen(tty), Clock()
    return TerminalBars(lambda: screen, clock), screen, clock


def state(n: int, key: str = "fit", *, closed: bool = False) -> BarState:
    return BarState(bar=1, key=key, desc=key, n=n, total=10, closed=closed)


def test_a_terminal_shows_one_line_that_moves() -> None:
    drawn, screen, clock = bars(tty=True)
    for n in range(1, 11):
        clock.now += 0.05
        drawn.show(None, "", state(n, closed=n == 10))
    assert screen.getvalue().count("\r") <= 7
    assert screen.rows == ["fit: 100%|████████████| 10/10 [00:00, 0.0it/s]", ""]


def test_a_print_makes_room() -> None:
    drawn, screen, clock = bars(tty=True)
    drawn.show(1, "task", state(1))
    drawn.interrupt()
    screen.write("printed\n")
    clock.now += 1
    drawn.show(1, "task", state(2))
    assert screen.rows[0] == "printed"
    assert screen.rows[1].startswith("fit:  20%")
    drawn.finish()
    assert screen.rows[-1] == ""


def test_lines_of_several_descriptions_do_not_mix() -> None:
    drawn, screen, _ = bars(tty=True)
    drawn.show(1, "task", state(10, "load", closed=True))
    drawn.show(2, "task", state(1, "fit"))
    assert [row.partition(":")[0] for row in screen.rows] == ["load", "fit"]


def test_a_log_gets_a_line_now_and_then_and_the_last_ones() -> None:
    drawn, screen, clock = bars(tty=False)
    for n in range(1, 101):
        clock.now += LOG_SECONDS / 40
        drawn.show(n, "task", state(10, closed=True))
    drawn.show(1, "task", state(1, "short"))
    assert len(screen.rows) == 3
    drawn.finish()
    assert screen.rows[-3].startswith("fit: 100%|████████████| 1,000/1,000, 100 of 100 bars")
    assert screen.rows[-2].startswith("short:  10%")
    assert "\r" not in screen.getvalue()


def test_the_end_of_a_drivers_own_bar_is_logged_at_once() -> None:
    drawn, screen, _ = bars(tty=False)
    drawn.show(None, "", state(3))
    drawn.show(None, "", state(10, closed=True))
    assert screen.rows == ["fit: 100%|████████████| 10/10 [00:00, 0.0it/s]", ""]
