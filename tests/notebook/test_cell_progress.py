"""The progress bars of a cell: one display, few messages, static at the end."""

from __future__ import annotations

from typing import Any

from nbray.notebook.cell_progress import INTERVAL, CellProgress
from nbray.progress_board import STREAM, BarState
from tests.notebook.reader import Notebook, display, event


def state(n: float, *, key: str = "fit", closed: bool = False, bar: int = 1, **facts: Any) -> BarState:
    return BarState(bar=bar, key=key, desc=facts.pop("desc", key), n=n, total=10, closed=closed, **facts)


def test_many_bars_of_many_tasks_are_a_few_messages() -> None:
    notebook = Notebook()
    for step in range(100):
        for task in range(50):
            notebook.buffer.handle(event(state(step % 10).encode(), task, STREAM), notebook.now)
        notebook.passes(0.02)
    for task in range(50):
        notebook.buffer.handle(event(state(10, closed=True).encode(), task, STREAM), notebook.now)
    notebook.ends()
    assert len(notebook.messages) <= 2.0 / INTERVAL + 2
    assert [message.kind for message in notebook.messages[:2]] == ["display_data", "update_display_data"]
    assert len({message.content["transient"]["display_id"] for message in notebook.messages}) == 1
    last = notebook.messages[-1].content["data"]
    assert last["text/plain"].startswith("fit: 100%|████████████| 500/500, 50 of 50 bars [")
    assert 'aria-valuenow="100"' in last["text/html"]


def test_prints_and_bars_do_not_disturb_each_other() -> None:
    notebook = Notebook()
    notebook.prints("half ")
    notebook.buffer.handle(event(state(1).encode(), 1, STREAM), 0.0)
    notebook.passes(0.2)
    notebook.prints("a line\n")
    notebook.ends()
    assert notebook.text == "half a line\n"


def test_after_clear_output_it_is_displayed_anew() -> None:
    notebook = Notebook()
    for n in (1, 2):
        notebook.buffer.handle(event(state(n).encode(), 1, STREAM), notebook.now)
        notebook.passes(1.0)
        notebook.buffer.handle(display({"wait": False}, stream="clear_output"), notebook.now)
        notebook.passes(1.0)
    assert [message.kind for message in notebook.messages] == ["display_data", "clear_output"] * 2


def test_foreign_text_is_harmless() -> None:
    progress = CellProgress("cell")
    progress.handle(1, "<b>x</b>", state(3, key="", desc="<script>\x1b[31m\n", postfix="<i>"), 0.0)
    ((_, content),) = progress.publish(1.0, everything=False)
    assert "<script>" not in content["data"]["text/html"]
    assert "&lt;script&gt;" in content["data"]["text/html"]
    assert "\x1b" not in content["data"]["text/plain"]
    assert "\n" not in content["data"]["text/plain"]


def test_what_is_no_state_of_a_bar_is_told() -> None:
    notebook = Notebook()
    notebook.buffer.handle(event(b"[1, 2]", 1, STREAM), 0.0)
    notebook.ends()
    assert "a progress that is not well formed" in notebook.messages[0].content["text"]


def test_of_many_descriptions_some_are_shown() -> None:
    progress = CellProgress("cell")
    for number in range(30):
        progress.handle(number, "task", state(1, key=f"epoch {number}"), 0.0)
    ((_, content),) = progress.publish(1.0, everything=False)
    assert content["data"]["text/plain"].splitlines()[-1] == "and 10 more"
