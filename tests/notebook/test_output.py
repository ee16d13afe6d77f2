"""What tasks print and display arrives in the right cell; what is no display message does not."""

from __future__ import annotations

from nbray.ids import CellRunId
from nbray.notebook.output import MAX_CELLS, OutputBuffer
from tests.notebook.reader import Notebook, display, event, text_of


def test_updates_of_one_display_are_joined_and_named_apart_between_tasks() -> None:
    notebook = Notebook()
    for task in (1, 2):
        for value in range(50):
            content = {"data": {"text/plain": str(value)}, "transient": {"display_id": "p"}}
            kind = "display_data" if value == 0 else "update_display_data"
            notebook.buffer.handle(display(content, task, kind), notebook.now)
    notebook.passes(0.2)
    shown = [(m.kind, m.content["data"]["text/plain"], m.content["transient"]["display_id"]) for m in notebook.messages]
    assert shown == [
        ("display_data", "0", "nbray-1-p"), ("update_display_data", "49", "nbray-1-p"),
        ("display_data", "0", "nbray-2-p"), ("update_display_data", "49", "nbray-2-p"),
    ]  # fmt: skip


def test_a_later_task_updates_what_an_earlier_one_displayed() -> None:
    notebook = Notebook()
    content = {"data": {}, "transient": {"display_id": "p"}}
    notebook.buffer.handle(display(content, 1), 0.0)
    notebook.buffer.handle(display(content, 2, "update_display_data"), 0.0)
    notebook.passes(0.2)
    assert notebook.messages[-1].content["transient"] == {"display_id": "nbray-1-p"}


def test_what_is_no_display_message_is_told_and_not_passed_on() -> None:
    notebook = Notebook()
    for stream, data in [
        ("display_data", b"\xff"), ("display_data", b"[1]"), ("display_data", b'{"data": 3}'), ("shutdown_reply", b"{}"),
        ("error", b"{}"),
    ]:  # fmt: skip
        notebook.buffer.handle(event(data, stream=stream), 0.0)
    notebook.passes(0.2)
    assert {message.kind for message in notebook.messages} == {"stream"}
    assert text_of(notebook.messages, "stderr").count("not well formed") == 5


def test_errors_and_clear_output_pass() -> None:
    notebook = Notebook()
    error = {"ename": "ValueError", "evalue": "no", "traceback": ["a", "b"]}
    notebook.buffer.handle(display(error, stream="error"), 0.0)
    notebook.buffer.handle(display({"wait": True}, stream="clear_output"), 0.0)
    notebook.passes(0.2)
    assert [(m.kind, m.content) for m in notebook.messages] == [("error", error), ("clear_output", {"wait": True})]


def test_late_output_finds_its_own_cell() -> None:
    buffer = OutputBuffer()
    buffer.handle(event("first\n"), 0.0)
    buffer.due(1.0)
    buffer.handle(event("second\n", cell_run=CellRunId("cell-2")), 2.0)
    buffer.handle(event("late\n"), 2.0)
    assert {(m.cell_run, m.content["text"]) for m in buffer.due(3.0)} == {("cell-1", "late\n"), ("cell-2", "second\n")}


def test_old_cells_are_forgotten() -> None:
    buffer = OutputBuffer()
    for number in range(3 * MAX_CELLS):
        buffer.handle(event("x\n", cell_run=CellRunId(str(number))), float(number))
        buffer.due(number + 0.5)
    assert len(buffer._cells) <= MAX_CELLS + 1
    assert buffer.next_deadline() == float("inf")


def shown_of(notebook: Notebook) -> list[tuple[str, str]]:
    return [(m.kind, m.content.get("data", {}).get("text/plain", "")) for m in notebook.messages]


def test_an_update_is_a_display_where_nothing_is_there_to_be_updated() -> None:
    notebook = Notebook()
    content = {"data": {"text/plain": "1"}, "transient": {"display_id": "p"}}
    notebook.buffer.handle(display(content), notebook.now)
    notebook.passes(0.2)
    notebook.buffer.begin_again(CellRunId("cell-1"), alone=True)
    for value in ("2", "3"):
        content["data"] = {"text/plain": value}
        notebook.buffer.handle(display(content, stream="update_display_data"), notebook.now)
        notebook.passes(0.2)
    assert shown_of(notebook) == [("display_data", "1"), ("display_data", "2"), ("update_display_data", "3")]
    assert notebook.messages[-1].content["transient"] == notebook.messages[-2].content["transient"]


def test_only_what_is_alone_in_its_new_place_clears_it_and_bears_no_names() -> None:
    for alone in (True, False):
        notebook = Notebook()
        notebook.buffer.begin_again(CellRunId("cell-1"), alone=alone)
        notebook.buffer.handle(event("before\n"), notebook.now)
        notebook.buffer.handle(display({"wait": False}, stream="clear_output"), notebook.now)
        notebook.passes(0.2)
        assert ("clear_output" in {message.kind for message in notebook.messages}) == alone
        assert ("(" in text_of(notebook.messages)) != alone
