"""The output of one cell run: whole lines, prefixes, order, limits."""

from __future__ import annotations

import random
import re

from nbray.notebook.cell_output import CELL_LIMIT, HELD, INTERVAL, QUIET, TASK_LIMIT
from tests.notebook.reader import Notebook, display, text_of


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


def test_a_hostile_task_name_stays_in_its_prefix() -> None:
    notebook = Notebook()
    notebook.prints("a\n", task=1, name="x\n\x1b[31m\r" * 100)
    notebook.prints("b\n", task=2)
    notebook.passes(0.2)
    assert len(notebook.text.splitlines()) == 2
    assert "\x1b[31m" not in notebook.messages[0].content["text"]
