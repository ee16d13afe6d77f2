"""The display thread: output and cards of each cell reach the page under that cell's parent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from nbray import session
from nbray.backends.backend import AGAIN, Backend, CancelReport, OutputEvent
from nbray.errors import ClusterDied
from nbray.ids import BACKGROUND, CellRunId, TaskId
from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.notebook.display import Display, Parent
from nbray.notebook.publisher import Publisher
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, StoreSnapshot


class PretendPage(Display):
    """Keeps what was published, by the id of the parent's message."""

    def __init__(self, live: bool = True) -> None:
        self.live = live
        self.messages: list[tuple[str, str, dict[str, Any]]] = []

    def publish(self, kind: str, content: dict[str, Any], parent: Parent) -> None:
        assert parent is not None
        self.messages.append((parent["header"]["msg_id"], kind, content))

    def kinds(self, cell: str) -> list[str]:
        return [kind for msg_id, kind, _ in self.messages if msg_id == cell]

    def text(self, cell: str) -> str:
        return "".join(content["text"] for msg_id, kind, content in self.messages if (msg_id, kind) == (cell, "stream"))

    def cards(self, cell: str) -> list[str]:
        shown = [content for msg_id, _, content in self.messages if msg_id == cell and "data" in content]
        return [str(content["data"]["text/plain"]) for content in shown]


class PretendEngine:
    """The part of a backend that the publisher uses."""

    def __init__(self) -> None:
        self.counts: dict[str, CellRunSnapshot] = {}
        self.cancelled: list[list[str]] = []
        self.asked = 0
        self.dead = False
        self.on_cancel: Callable[[], None] = lambda: None
        self.put_output: Callable[[OutputEvent], None]
        self.put_snapshot: Callable[[ClusterSnapshot], None]
        self.settle: Callable[[], None]

    def on_output(self, handler: Any) -> None:
        self.put_output = handler

    def on_snapshot(self, handler: Any) -> None:
        self.put_snapshot = handler

    def snapshot(self) -> ClusterSnapshot:
        if self.dead:
            raise ClusterDied("the scheduler process is gone")
        self.asked += 1
        return ClusterSnapshot(self.asked, "e", {}, {}, StoreSnapshot(0, 0, 0), [], list(self.counts.values()))

    def cancel_cell_runs(self, cell_runs: Any) -> CancelReport:
        self.cancelled.append(cell_runs)
        self.on_cancel()
        return CancelReport(1, 0)

    def works(self, cell: str, **values: Any) -> None:
        self.counts[cell] = CellRunSnapshot(CellRunId(cell), "", "", **values)

    def prints(self, cell: str, text: str, task: int = 1) -> None:
        self.put_output(OutputEvent(CellRunId(cell), TaskId(task), "fit", "worker 1 (pid 1)", "stdout", text.encode()))


class Notebook:
    def __init__(self, live: bool = True) -> None:
        self.page, self.engine, self.runs = PretendPage(live), PretendEngine(), CellRuns()
        self.publisher = Publisher(self.page, self.runs)
        self.publisher.attach(cast(Backend, self.engine))

    def begins(self, cell: str, number: int = 1) -> CellRun:
        return self.runs.begin(CellRun(CellRunId(cell), number, {"header": {"msg_id": cell}}, threading.get_ident()))

    def ends(self, run: CellRun, raised: bool = False, interrupted: bool = False, timeout: float = 10.0) -> None:
        self.runs.end(run.id)
        self.publisher.end_cell(run, raised=raised, interrupted=interrupted, timeout=timeout)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline, self.page.messages
            time.sleep(0.01)


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    notebook = Notebook()
    yield notebook
    notebook.publisher.close()


def test_output_that_came_before_the_end_is_there_at_the_end(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.prints("a", "first\nand a half")
    notebook.ends(run)
    assert notebook.page.text("a") == "first\nand a half"


def test_late_output_goes_to_its_own_cell(notebook: Notebook) -> None:
    first = notebook.begins("a")
    notebook.ends(first)
    notebook.begins("b", 2)
    notebook.engine.prints("b", "now\n")
    notebook.engine.prints("a", "late\n")
    notebook.until(lambda: notebook.page.text("a") == "late\n" and notebook.page.text("b") == "now\n")


def test_output_of_background_work_goes_to_the_latest_cell(notebook: Notebook) -> None:
    notebook.begins("a")
    notebook.engine.prints(BACKGROUND, "callback\n")
    notebook.until(lambda: notebook.page.text("a") == "callback\n")


def test_output_of_a_forgotten_cell_goes_nowhere(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.prints("of another kernel", "x\n")
    notebook.ends(run)
    assert notebook.page.messages == []


def test_a_cell_ends_with_exact_numbers(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.works("a", succeeded=36, elapsed=1.0)
    notebook.ends(run)
    assert notebook.page.cards("a") == ["nbray: done, 36 tasks, 1.0 s"]


def test_a_cell_with_a_better_card_has_none_of_its_tasks(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.publisher.leave_out(run.id)
    notebook.engine.works("a", succeeded=36, elapsed=1.0)
    notebook.ends(run)
    assert notebook.page.cards("a") == []


def test_a_card_follows_work_that_outlives_its_cell_although_snapshots_get_lost(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.works("a", running=2, elapsed=1.0)
    notebook.ends(run)
    assert notebook.page.kinds("a") == ["display_data"]
    notebook.engine.works("a", succeeded=2, elapsed=1.5)
    notebook.until(lambda: notebook.page.cards("a")[-1] == "nbray: done, 2 tasks, 1.5 s")
    assert set(notebook.page.kinds("a")[1:]) == {"update_display_data"}
    asked = notebook.engine.asked
    time.sleep(0.05)
    assert notebook.engine.asked == asked


def test_news_of_a_display_come_while_another_cell_runs_as_its_own(notebook: Notebook) -> None:
    run = notebook.begins("a")
    run.behind = True
    notebook.engine.works("a", running=1, elapsed=0.5)
    notebook.ends(run)
    assert notebook.page.kinds("a") == ["display_data"]
    notebook.begins("b", 2)
    notebook.engine.works("a", succeeded=1, elapsed=0.6)
    notebook.engine.put_snapshot(notebook.engine.snapshot())
    notebook.until(lambda: "update_display_data" in notebook.page.kinds("b"))
    shown = {content["transient"]["display_id"] for _, _, content in notebook.page.messages}
    assert shown == {"nbray-card-a"}
    assert "done, 1 task" in notebook.page.cards("b")[-1]


def test_a_held_line_is_shown_when_the_last_task_has_ended(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.works("a", running=2, elapsed=1.0)
    notebook.ends(run)
    notebook.engine.prints("a", "whole\n", task=2)
    notebook.engine.prints("a", "half a line", task=1)
    notebook.engine.works("a", succeeded=2, elapsed=1.5)
    notebook.engine.put_snapshot(notebook.engine.snapshot())
    notebook.until(lambda: notebook.page.cards("a")[-1] == "nbray: done, 2 tasks, 1.5 s")
    assert "half a line" in notebook.page.text("a")


def test_a_stop_cancels_this_cell_run_and_names_the_others(notebook: Notebook) -> None:
    other = notebook.begins("bg", 3)
    notebook.engine.works("bg", running=1, elapsed=9.0)
    notebook.ends(other)
    run = notebook.begins("a", 4)
    notebook.engine.works("a", running=2, waiting=35, succeeded=12, elapsed=1.0)
    notebook.engine.on_cancel = lambda: notebook.engine.works("a", cancelled=37, succeeded=12, elapsed=1.1)
    notebook.ends(run, raised=True, interrupted=True)
    assert notebook.engine.cancelled == [["a"]]
    assert notebook.page.cards("a")[-1] == "nbray: stopped, cancelled 37, finished 12, 1.1 s"
    assert notebook.page.text("a") == "Cell [3] goes on (1 task): %nbray cancel 3 stops it.\n"


def test_a_cell_that_fails_cancels_nothing(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.works("a", running=2, elapsed=1.0)
    notebook.ends(run, raised=True)
    assert notebook.engine.cancelled == []


def test_a_cancel_that_takes_long_does_not_hold_up_the_cell(notebook: Notebook) -> None:
    run = notebook.begins("a")
    answered = threading.Event()
    notebook.engine.works("a", running=1, elapsed=1.0)
    notebook.engine.on_cancel = lambda: cast(None, answered.wait(10))
    began = time.monotonic()
    notebook.ends(run, raised=True, interrupted=True, timeout=0.2)
    assert time.monotonic() - began < 2
    notebook.engine.works("a", cancelled=1, elapsed=1.3)
    answered.set()
    notebook.until(lambda: notebook.page.cards("a") == ["nbray: stopped, cancelled 1, finished 0, 1.3 s"])


def test_a_dead_cluster_ends_its_cards(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.works("a", running=2, elapsed=1.0)
    notebook.engine.put_snapshot(notebook.engine.snapshot())
    notebook.until(lambda: notebook.page.kinds("a") == ["display_data"])
    notebook.engine.dead = True
    notebook.ends(run, raised=True, interrupted=True)
    assert notebook.page.cards("a")[-1].endswith("the scheduler process is gone")


def test_a_card_comes_back_after_its_cell_was_cleared(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.works("a", running=2, elapsed=1.0)
    notebook.engine.put_snapshot(notebook.engine.snapshot())
    event = OutputEvent(run.id, TaskId(1), "fit", "worker 1", "clear_output", b'{"wait": false}')
    notebook.until(lambda: notebook.page.kinds("a") == ["display_data"])
    notebook.engine.put_output(event)
    notebook.until(lambda: "clear_output" in notebook.page.kinds("a"))
    notebook.engine.works("a", succeeded=2, elapsed=2.0)
    notebook.ends(run)
    after = notebook.page.kinds("a")[notebook.page.kinds("a").index("clear_output") + 1 :]
    assert after[0] == "display_data"
    assert set(after[1:]) <= {"update_display_data"}


def test_output_stands_above_what_the_cell_makes_of_the_result(notebook: Notebook) -> None:
    notebook.begins("a")
    for number in range(5):
        notebook.engine.prints("a", f"{number}\n")
        notebook.engine.settle()
        assert notebook.page.text("a").endswith(f"{number}\n")


def test_many_short_waits_do_not_make_a_message_of_every_line(notebook: Notebook) -> None:
    run = notebook.begins("a")
    began = time.monotonic()
    for number in range(2000):
        notebook.engine.prints("a", f"{number}\n")
        notebook.engine.settle()
    notebook.ends(run)
    took = time.monotonic() - began
    assert notebook.page.text("a") == "".join(f"{number}\n" for number in range(2000))
    assert len(notebook.page.messages) < 25 + 25 * took


def test_a_bug_in_one_call_does_not_end_the_thread(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    run = notebook.begins("a")
    notebook.engine.put_output(OutputEvent(run.id, TaskId(1), "fit", "w", "stdout", cast(bytes, None)))
    notebook.engine.prints("a", "after\n")
    notebook.ends(run)
    assert [type(report.exc_value) for report in reported] == [TypeError]
    assert notebook.page.text("a") == "after\n"


def test_a_terminal_gets_the_final_card_only() -> None:
    notebook = Notebook(live=False)
    run = notebook.begins("a")
    notebook.engine.works("a", running=2, elapsed=1.0)
    notebook.engine.put_snapshot(notebook.engine.snapshot())
    notebook.engine.works("a", succeeded=2, elapsed=2.0)
    notebook.ends(run)
    notebook.publisher.close()
    assert [(kind, content["data"]["text/plain"]) for _, kind, content in notebook.page.messages] == [
        ("display_data", "nbray: done, 2 tasks, 2.0 s")
    ]


def test_closing_publishes_what_is_left() -> None:
    notebook = Notebook()
    notebook.begins("a")
    notebook.engine.prints("a", "last words")
    notebook.publisher.close()
    notebook.publisher.close()
    assert notebook.page.text("a") == "last words"


def test_a_cell_is_shown_again_in_another_place(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.prints("a", "first\n")
    notebook.ends(run)
    moved = CellRun(CellRunId("a"), 1, {"header": {"msg_id": "b"}}, 0, ended=True)
    notebook.publisher.show_again(moved, "[nbray] cell [1]: runs", alone=True)
    notebook.engine.put_output(OutputEvent(run.id, TaskId(0), "", "", AGAIN, b"2048"))
    notebook.engine.prints("a", "first\nsecond\n")
    notebook.publisher.card_again(moved, CellRunSnapshot(run.id, "", "", running=1, elapsed=0.1), 10)
    assert notebook.page.text("a") == "first\n"
    head, gap, *lines = notebook.page.text("b").splitlines()
    assert (head, gap) == ("[nbray] cell [1]: runs", "[nbray] the first 2.0 KiB of its output are not kept")
    assert lines == ["first", "second"]
    assert notebook.page.cards("b") == ["nbray: running, 1 task, 0.1 s"]
    notebook.engine.prints("a", "third\n")
    notebook.until(lambda: notebook.page.text("b").endswith("third\n"))


def test_a_restart_cancels_nothing(notebook: Notebook) -> None:
    run = notebook.begins("a")
    notebook.engine.works("a", running=2, elapsed=1.0)
    notebook.publisher.stop(run)
    session.part()
    try:
        notebook.ends(run, raised=True, interrupted=True)
    finally:
        session.stay()
    assert notebook.engine.cancelled == []
