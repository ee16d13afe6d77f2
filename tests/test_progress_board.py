"""What progress bars say, one by one and many together."""

from __future__ import annotations

from typing import Any

from nbray.progress_board import MOST_GROUPS, MOST_LINES, BarState, Board, clock, decode, text


def state(n: float, bar: int = 1, total: float | None = 10, key: str = "fit", **facts: Any) -> BarState:
    return BarState(bar=bar, key=key, n=n, total=total, **{"desc": key, **facts})


def said(board: Board) -> list[str]:
    return [text(line) for line in board.lines()[0]]


def test_it_travels() -> None:
    one = state(3, postfix="loss=1", unit="row", leave=False)
    assert decode(one.encode()) == one
    assert [decode(data) for data in (b"", b"{", b"[1]", b'{"bar": "x"}', b"\xff")] == [None] * 5


def test_one_bar() -> None:
    board = Board()
    board.handle(7, "task", state(4, elapsed=2.0, postfix="loss=1"), 100.0)
    assert said(board) == ["fit:  40%|████▊       | 4/10 [00:02<00:03, 2.0it/s] loss=1"]
    board.handle(7, "task", state(10, elapsed=5.0, closed=True), 103.0)
    assert said(board) == ["fit: 100%|████████████| 10/10 [00:05, 2.0it/s]"]


def test_bars_of_many_tasks_are_one_line() -> None:
    board = Board()
    for task in range(100):
        board.handle(task, "task", state(5, elapsed=1.0), 10.0)
    assert said(board) == ["fit:  50%|██████      | 500/1,000, 0 of 100 bars [00:01<00:01, 500.0it/s]"]
    for task in range(100):
        board.handle(task, "task", state(10, elapsed=2.0, closed=True), 11.0)
    assert said(board) == ["fit: 100%|████████████| 1,000/1,000, 100 of 100 bars [00:02, 500.0it/s]"]


def test_descriptions_that_change_stay_with_their_bar() -> None:
    board = Board()
    board.handle(1, "task", state(1, desc="loss 3"), 1.0)
    board.handle(1, "task", state(2, desc="loss 2"), 2.0)
    assert [line.label for line in board.lines()[0]] == ["loss 2"]
    board.handle(2, "task", state(2, desc="loss 7"), 2.0)
    assert [line.label for line in board.lines()[0]] == ["fit"], "what they have in common"


def test_without_a_description_or_a_total() -> None:
    board = Board()
    board.handle(1, "train", state(1234, total=None, key="", elapsed=4.0, unit="row"), 1.0)
    assert said(board) == ["train: 1,234 row [00:04, 308.5row/s]"]
    board.handle(2, "train", state(1, total=5, key="", elapsed=4.0, unit="row"), 1.0)
    assert board.lines()[0][0].total is None, "a sum of which a part is unknown"
    board.handle(1, "", state(0, total=0, key="nothing"), 1.0)
    assert said(board)[-1] == "nothing: 0/0 [00:00, 0.0it/s]"


def test_bars_that_do_not_stay_leave_no_line() -> None:
    board = Board()
    board.handle(1, "task", state(1, leave=False), 1.0)
    board.handle(1, "task", state(10, leave=False, closed=True), 2.0)
    assert board.lines() == ([], 0)
    assert board.line("fit") is None


def test_a_retried_task_counts_once() -> None:
    board = Board()
    board.handle(1, "task", state(8), 1.0)
    board.handle(1, "task", state(1), 2.0)
    assert [line.n for line in board.lines()[0]] == [1]


def test_many_descriptions() -> None:
    board = Board()
    for number in range(3 * MOST_GROUPS):
        board.handle(number, "task", state(10, key=f"epoch {number}", closed=True), float(number))
    lines, hidden = board.lines()
    assert len(lines) == MOST_LINES
    assert lines[-1].label == f"epoch {3 * MOST_GROUPS - 1}"
    assert len(lines) + hidden <= MOST_GROUPS + 1


def test_slow_and_long_work() -> None:
    board = Board()
    board.handle(1, "task", state(2, elapsed=8000.0), 1.0)
    assert said(board) == ["fit:  20%|██▍         | 2/10 [2:13:20<8:53:20, 4000.0s/it]"]
    assert clock(59.9) == "00:59"
