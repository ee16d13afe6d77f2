"""What tasks print and display arrives in the right cell, in whole lines, within limits."""

from __future__ import annotations

import json
import random
import re

from nbray.backends.backend import OutputEvent
from nbray.ids import CellRunId, TaskId
from nbray.notebook.cell_output import CELL_LIMIT, HELD, INTERVAL, QUIET, TASK_LIMIT, Shown
from nbray.notebook.output import MAX_CELLS, OutputBuffer

CELL = CellRunId("cell-1")
ANSI = re.compile(r"\x1b\[\d+m")


def event(
    data: bytes | str, task: int = 1, stream: str = "stdout", name: str = "fit", cell_run: CellRunId = CELL
) -> OutputEvent:
    raw = data if isinstance(data, bytes) else data.encode()
    return OutputEvent(cell_run, TaskId(task), name, f"worker {task} (pid {4000 + task})", stream, raw)


def display(content: object, task: int = 1, stream: str = "display_data") -> OutputEvent:
    return event(json.dumps(content), task, stream)


def text_of(messages: list[Shown], stream: str = "stdout") -> str:
    texts = [m.content["text"] for m in messages if m.kind == "stream" and m.content["name"] == stream]
    return ANSI.sub("", "".join(texts))


class Notebook:
    """A buffer with a clock: what a reader sees after each event."""

    def __init__(self, own: frozenset[int] = frozenset()) -> None:
        self.buffer = OutputBuffer(lambda cell_run, task_id: task_id in own)
        self.now = 0.0
        self.messages: list[Shown] = []

    def prints(self, data: bytes | str, task: int = 1, stream: str = "stdout", name: str = "fit") -> None:
        self.buffer.handle(event(data, task, stream, name), self.now)

    def passes(self, seconds: float) -> list[Shown]:
        """Time passes; returns what was published meanwhile."""
        end = self.now + seconds
        before = len(self.messages)
        while (deadline := self.buffer.next_deadline()) <= end:
            self.now = max(self.now, deadline)
            self.messages += self.buffer.due(self.now)
        self.now = end
        return self.messages[before:]

    def ends(self) -> None:
        self.messages += self.buffer.flush(CELL, self.now)

    @property
    def text(self) -> str:
        return text_of(self.messages)


def test_a_tight_loop_of_prints_is_a_few_messages() -> None:
    notebook = Notebook()
    for number in range(2000):
        notebook.prints(f"line {number}\n")
        notebook.passes(0.0005)
    notebook.ends()
    assert notebook.text == "".join(f"line {number}\n" for number in range(2000))
    assert len(notebook.messages) <= 1.0 / INTERVAL + 2


def test_one_task_prints_as_the_cell_itself_would() -> None:
    notebook = Notebook()
    notebook.prints("half ")
    notebook.passes(0.2)
    assert notebook.text == "half "
    notebook.prints("a line\n")
    notebook.passes(0.2)
    assert notebook.text == "half a line\n"


def test_lines_name_their_task_once_two_tasks_print() -> None:
    notebook = Notebook()
    notebook.prints("one\n", task=1)
    notebook.prints("two\nthree\n", task=2)
    notebook.passes(0.2)
    assert notebook.text == "(fit, worker 1) one\n(fit, worker 2) two\n(fit, worker 2) three\n"


def test_the_own_output_of_a_remote_cell_has_no_prefix() -> None:
    notebook = Notebook(own=frozenset({1}))
    notebook.prints("cell\n", task=1)
    notebook.prints("task\n", task=2)
    notebook.passes(0.2)
    assert notebook.text == "cell\n(fit, worker 2) task\n"


def test_two_tasks_that_write_in_pieces_keep_their_lines_whole() -> None:
    notebook = Notebook()
    seeded = random.Random(7)
    texts = {task: "".join(f"task {task} line {number}\n" for number in range(50)) for task in (1, 2, 3)}
    left = dict(texts)
    while any(left.values()):
        task = seeded.choice([task for task in left if left[task]])
        size = seeded.randint(1, 12)
        notebook.prints(left[task][:size], task)
        left[task] = left[task][size:]
        notebook.passes(seeded.choice([0.0, 0.02, 0.15]))
    notebook.ends()
    lines = notebook.text.splitlines()
    assert all(re.fullmatch(r"\(fit, worker (\d)\) task \1 line \d+", line) for line in lines)
    for task in texts:
        assert [line for line in lines if f"worker {task}" in line] == [
            f"(fit, worker {task}) {line}" for line in texts[task].splitlines()
        ]


def test_an_open_line_is_ended_when_another_task_prints() -> None:
    notebook = Notebook()
    notebook.prints("loading ...", task=1)
    notebook.passes(0.2)
    notebook.prints("hello\n", task=2)
    notebook.prints(" done\n", task=1)
    notebook.passes(0.2)
    assert notebook.text == "loading ...\n(fit, worker 2) hello\n(fit, worker 1)  done\n"


def test_a_held_line_is_shown_when_its_task_prints_alone_again() -> None:
    notebook = Notebook()
    notebook.prints("other\n", task=2)
    notebook.passes(1.0)
    notebook.prints("waiting", task=1)
    assert text_of(notebook.passes(QUIET - 1.1)) == ""
    assert text_of(notebook.passes(0.2)) == "(fit, worker 1) waiting"


def test_a_held_line_is_shown_after_a_while_although_others_print() -> None:
    notebook = Notebook()
    notebook.prints("waiting", task=1)
    for _ in range(int(HELD) + 2):
        notebook.prints("other\n", task=2)
        notebook.passes(1.0)
    notebook.prints(" more\n", task=1)
    notebook.passes(0.2)
    assert "(fit, worker 1) waiting\n" in notebook.text
    assert notebook.text.endswith("(fit, worker 1)  more\n")


def test_stdout_and_stderr_keep_their_order() -> None:
    notebook = Notebook()
    for stream in ("stdout", "stderr", "stdout"):
        notebook.prints(f"{stream}\n", stream=stream)
    notebook.passes(0.2)
    assert [message.content["name"] for message in notebook.messages] == ["stdout", "stderr", "stdout"]


def test_a_progress_bar_sends_a_line_at_a_time_and_never_meets_the_limit() -> None:
    notebook = Notebook()
    for step in range(20_000):
        notebook.prints(f"\r{step / 200:5.1f} % |{'#' * 40}|")
        if step % 4 == 0:
            notebook.passes(0.1)
    notebook.ends()
    assert max(len(message.content["text"]) for message in notebook.messages) < 64
    assert notebook.text.endswith(f"\r100.0 % |{'#' * 40}|")
    assert "hidden" not in str(notebook.messages)


def test_a_flood_is_cut_at_the_limit_and_counted_in_one_line() -> None:
    notebook = Notebook()
    megabyte = b"x" * 1023 + b"\n"
    for _ in range(64):
        for _ in range(256):
            notebook.prints(megabyte)
        notebook.passes(0.2)
    notebook.ends()
    assert TASK_LIMIT <= len(notebook.text) <= TASK_LIMIT + 1024
    notices = [message for message in notebook.messages if message.kind != "stream"]
    assert [notice.kind for notice in notices] == ["display_data"] + ["update_display_data"] * (len(notices) - 1)
    assert len({notice.content["transient"]["display_id"] for notice in notices}) == 1
    assert len(notices) <= 64 * 0.2 + 2
    assert "16 MiB more of the output of fit is hidden" in notices[-1].content["data"]["text/plain"]


def test_a_line_without_end_is_cut_too() -> None:
    notebook = Notebook()
    for _ in range(100):
        notebook.prints(b"y" * 65_536)
    notebook.ends()
    assert len(notebook.text) <= TASK_LIMIT + 16


def test_many_tasks_together_meet_the_limit_of_the_cell() -> None:
    notebook = Notebook()
    for task in range(100):
        notebook.prints(b"z" * 99_999 + b"\n", task)
    notebook.ends()
    prefixes = 100 * 40
    assert len(notebook.text) <= CELL_LIMIT + prefixes
    assert "of fit is hidden" in notebook.messages[-1].content["data"]["text/plain"]


def test_displays_come_in_order_with_the_text() -> None:
    notebook = Notebook()
    notebook.prints("before")
    figure = {"data": {"image/png": "abc"}, "metadata": {}, "transient": {}}
    notebook.buffer.handle(display(figure), notebook.now)
    notebook.prints("after\n")
    notebook.passes(0.2)
    assert [message.kind for message in notebook.messages] == ["stream", "display_data", "stream"]
    assert notebook.messages[1].content["data"] == {"image/png": "abc"}


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


def test_a_hostile_task_name_stays_in_its_prefix() -> None:
    notebook = Notebook()
    notebook.prints("a\n", task=1, name="x\n\x1b[31m\r" * 100)
    notebook.prints("b\n", task=2)
    notebook.passes(0.2)
    assert len(notebook.text.splitlines()) == 2
    assert "\x1b[31m" not in notebook.messages[0].content["text"]


def test_old_cells_are_forgotten() -> None:
    buffer = OutputBuffer()
    for number in range(3 * MAX_CELLS):
        buffer.handle(event("x\n", cell_run=CellRunId(str(number))), float(number))
        buffer.due(number + 0.5)
    assert len(buffer._cells) <= MAX_CELLS + 1
    assert buffer.next_deadline() == float("inf")
