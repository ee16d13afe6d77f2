"""What ranks print and display, kept apart."""

from __future__ import annotations

from typing import Any

import pytest

from nbray.backends.backend import OutputEvent
from nbray.ids import CellRunId, TaskId
from nbray.notebook import rank_output
from nbray.notebook.rank_output import RankOutput, RankPage
from nbray.notebook.ranks import Rank


def event(task: int, stream: str, data: bytes = b"") -> OutputEvent:
    return OutputEvent(CellRunId("c"), TaskId(task), f"rank {task}", f"worker {task} (pid 1)", stream, data)


def begun(output: RankOutput, *tasks: int) -> None:
    for task in tasks:
        output.note(event(task, "rank"), {"number": task, "world": len(tasks), "label": f"rank {task}"})


def ended(output: RankOutput, task: int, **how: Any) -> None:
    output.note(event(task, "rank"), {"number": task, "world": 2, "label": f"rank {task}", "seconds": 1.5, **how})


def display(task: int, text: str, display_id: str | None = None) -> tuple[OutputEvent, dict[str, Any]]:
    return event(task, "display_data", text.encode()), {"data": {"text/plain": text}, "transient": {"display_id": display_id}}


def texts(page: RankPage) -> list[str]:
    return [part.text if part.data is None else part.data["text/plain"] for part in page.parts]


def test_each_has_its_own_in_order() -> None:
    output = RankOutput()
    begun(output, 1, 0)
    output.handle_text(event(0, "stdout", b"a\n"))
    output.handle_text(event(1, "stdout", b"x\n"))
    output.handle_display(*display(0, "figure"))
    output.handle_text(event(0, "stdout", b"b\nopen"))
    output.handle_text(event(0, "stderr", b"oops\n"))
    ended(output, 0)
    ended(output, 1, error=["boom", "bang"])
    first, second = output.pages({}, {})
    assert (first.rank, first.worker, first.state, first.seconds) == (Rank(0, 2, "rank 0"), "worker 0", "done", 1.5)
    assert texts(first) == ["a\n", "figure", "b\n", "oops\n", "open"]
    assert [part.is_error for part in first.parts] == [False, False, False, True, False]
    assert second.state == "failed"
    assert texts(second) == ["x\n", "boom\nbang\n"]


def test_a_line_that_is_rewritten_is_kept_as_it_looks() -> None:
    output = RankOutput()
    begun(output, 0)
    for percent in (b"10%", b"\r20%", b"\r30%\n"):
        output.handle_text(event(0, "stderr", percent))
    assert texts(output.pages({}, {})[0]) == ["30%\n"]


@pytest.mark.parametrize(("wait", "between"), [(True, ["old\n"]), (False, [])])
def test_clear_output_clears_its_own_page(wait: bool, between: list[str]) -> None:
    output = RankOutput()
    begun(output, 0, 1)
    output.handle_text(event(0, "stdout", b"old\n"))
    output.handle_text(event(1, "stdout", b"stays\n"))
    output.handle_display(event(0, "clear_output"), {"wait": wait})
    assert texts(output.pages({}, {})[0]) == between
    output.handle_text(event(0, "stdout", b"new\n"))
    assert [texts(page) for page in output.pages({}, {})] == [["new\n"], ["stays\n"]]


def test_an_update_changes_what_was_displayed() -> None:
    output = RankOutput()
    begun(output, 0)
    output.handle_display(*display(0, "one", "d"))
    output.handle_display(*display(0, "other", "e"))
    _, content = display(0, "two", "d")
    output.handle_display(event(0, "update_display_data"), content)
    assert texts(output.pages({}, {})[0]) == ["two", "other"]


def test_limits_say_how_much_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_output, "TEXT_LIMIT", 10)
    monkeypatch.setattr(rank_output, "ALL_TEXT_LIMIT", 15)
    monkeypatch.setattr(rank_output, "DISPLAY_LIMIT", 3)
    output = RankOutput()
    begun(output, 0, 1)
    output.handle_text(event(0, "stdout", b"x" * 12))
    output.handle_text(event(1, "stdout", b"y" * 12))
    output.handle_display(*display(1, "abcd"))
    first, second = output.pages({}, {})
    assert (texts(first), first.hidden) == (["x" * 10], 2)
    assert (texts(second), second.hidden) == (["y" * 5], 7 + 4)


def test_ranks_that_said_nothing_are_known_from_the_notebook() -> None:
    output = RankOutput()
    begun(output, 0)
    output.handle_text(event(0, "stdout", b"last words"))
    known = {TaskId(0): Rank(0, 2, "rank 0"), TaskId(1): Rank(1, 2, "rank 1")}
    first, second = output.pages(known, {TaskId(0): "WorkerDied: exit code 3"})
    assert (first.state, texts(first)) == ("failed", ["last words", "WorkerDied: exit code 3\n"])
    assert (second.state, second.worker, second.parts) == ("", "", ())


def test_what_a_rank_said_itself_is_not_told_again() -> None:
    output = RankOutput()
    begun(output, 0, 1)
    ended(output, 0, error=["boom"])
    ended(output, 1, error=["KeyboardInterrupt"], stopped=True)
    first, second = output.pages({}, {TaskId(0): "boom"})
    assert texts(first) == ["boom\n"]
    assert (second.state, second.parts) == ("stopped", ())


def test_one_that_was_ended_for_its_time_is_told_why() -> None:
    output = RankOutput()
    begun(output, 0)
    ended(output, 0, error=["KeyboardInterrupt"], stopped=True)
    [page] = output.pages({}, {TaskId(0): "TaskTimeout: rank 0 ran longer"})
    assert (page.state, texts(page)) == ("failed", ["TaskTimeout: rank 0 ran longer\n"])


def test_other_tasks_of_the_cell_are_not_for_here() -> None:
    output = RankOutput()
    begun(output, 0)
    output.handle_text(event(7, "stdout", b"child\n"))
    output.handle_display(*display(7, "child"))
    [page] = output.pages({}, {})
    assert page.parts == ()
