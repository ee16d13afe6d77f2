"""What a worker's tasks print is collected, joined and limited, and finds its task from any thread."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from nbray.engine import output, task_context
from nbray.engine.output import TaskOutput, TaskStream, inherit_task_in_threads
from nbray.engine.task_context import TaskContext
from nbray.engine.unsent import Unsent
from nbray.ids import CellRunId, TaskId

TASK = TaskContext(TaskId(1), "fit", CellRunId("c"), 1, "worker 1", lambda task_id, stream, data: None)
LIMIT = 1000
UNSENT = Unsent().of(0)


class Printing:
    """A TaskOutput whose later flush the test makes itself."""

    def __init__(self) -> None:
        self.posted: list[tuple[TaskId, str, bytes]] = []
        self.later: list[Callable[[], None]] = []
        self.output = TaskOutput(self._post, lambda at, call: self.later.append(call), 3600.0, LIMIT, UNSENT, 1)
        self.output.write(TASK, "stdout", b"first\n")  # leaves at once; what follows waits

    def _post(self, task_id: TaskId, stream: str, data: bytes, now: bool) -> None:
        self.posted.append((task_id, stream, data))

    def text(self) -> bytes:
        self.output.flush()
        return b"".join(data for _, _, data in self.posted)


@pytest.fixture
def printing(capfd: pytest.CaptureFixture[str]) -> Printing:
    """What goes to the log lands in `capfd`."""
    UNSENT.take()
    return Printing()


def test_the_first_line_leaves_at_once_and_the_next_ones_together(printing: Printing) -> None:
    for number in range(100):
        printing.output.write(TASK, "stdout", b"%d\n" % number)
    assert len(printing.posted) == 1
    assert len(printing.later) == 1
    assert printing.text() == b"first\n" + b"".join(b"%d\n" % number for number in range(100))
    assert len(printing.posted) == 2


def test_text_beyond_the_limit_goes_to_the_log(printing: Printing, capfd: pytest.CaptureFixture[str]) -> None:
    printing.output.write(TASK, "stdout", b"x" * 2 * LIMIT)
    assert len(printing.text()) == LIMIT
    assert len(capfd.readouterr().out) == 2 * LIMIT + len(b"first\n") - LIMIT


def test_a_progress_bar_takes_no_room_and_sends_only_its_last_state(printing: Printing) -> None:
    for step in range(10_000):
        printing.output.write(TASK, "stderr", b"\r%5d/10000 |#####|" % step)
    printing.output.write(TASK, "stdout", b"done\n")
    assert printing.text() == b"first\n\r 9999/10000 |#####|done\n"


def test_a_long_rewritten_line_takes_room(printing: Printing) -> None:
    for _ in range(10):
        printing.output.write(TASK, "stdout", b"\r" + b"y" * 600)
    assert len(printing.text()) == LIMIT


def test_the_limit_cuts_no_character(printing: Printing, capfd: pytest.CaptureFixture[str]) -> None:
    text = "€" * LIMIT
    printing.output.write(TASK, "stdout", text.encode())
    shown = printing.text().decode()
    assert shown.startswith("first\n€€€")
    assert shown + capfd.readouterr().out == "first\n" + text


def test_tasks_and_streams_are_kept_apart_and_in_order(printing: Printing) -> None:
    other = TASK._replace(task_id=TaskId(2))
    printing.output.write(TASK, "stdout", b"a")
    printing.output.write(TASK, "stdout", b"b")
    printing.output.write(TASK, "stderr", b"c")
    printing.output.write(other, "stderr", b"d")
    printing.output.flush()
    assert printing.posted[1:] == [(1, "stdout", b"ab"), (1, "stderr", b"c"), (2, "stderr", b"d")]


def test_each_task_has_a_limit_of_its_own(printing: Printing, capfd: pytest.CaptureFixture[str]) -> None:
    other = TASK._replace(task_id=TaskId(2))
    printing.output.write(TASK, "stdout", b"x" * LIMIT)
    printing.output.write(other, "stdout", b"y" * LIMIT)
    assert printing.text().count(b"y") == LIMIT
    assert capfd.readouterr().out == "x" * len(b"first\n")


def test_without_a_task_text_goes_to_the_log(printing: Printing, capfd: pytest.CaptureFixture[str]) -> None:
    printing.output.write(None, "stdout", b"nobody's")
    assert printing.text() == b"first\n"
    assert capfd.readouterr().out == "nobody's"


def test_what_is_remembered_of_ended_tasks_is_bounded(printing: Printing) -> None:
    for number in range(5000):
        context = TASK._replace(task_id=TaskId(number + 10))
        printing.output.write(context, "stdout", b"x")
        printing.output.end_task(context.task_id)
    assert len(printing.output._sizes) <= 1001
    assert printing.text().count(b"x") == 5000


def test_a_finalizer_may_print_while_its_thread_prints(printing: Printing) -> None:
    """A garbage collection may begin anywhere, also where the lock is held."""
    with printing.output._lock, printing.output._flushing:
        printing.output.write(TASK, "stdout", b"last words\n")
        printing.output.flush()
    assert printing.text().endswith(b"last words\n")


def test_what_waits_is_in_the_memory_that_outlives_the_worker(printing: Printing) -> None:
    printing.output.write(TASK, "stdout", b"not sent ")
    printing.output.write(TASK, "stderr", b"yet")
    area = bytes(UNSENT._area)
    assert UNSENT.take() == [(1, "stdout", b"not sent "), (1, "stderr", b"yet")]
    UNSENT._area[:] = area
    printing.output.flush()
    assert UNSENT.take() == []


def test_what_does_not_fit_there_leaves_at_once(printing: Printing) -> None:
    printing.output._limit = 1 << 20
    printing.output.write(TASK, "stdout", b"x" * 100_000)
    assert len(printing.posted) == 2
    assert UNSENT.length == 0


def test_who_prints_does_not_wait_for_a_flush_that_is_stuck(printing: Printing) -> None:
    posting, let_go = threading.Event(), threading.Event()

    def post_slowly(task_id: TaskId, stream: str, data: bytes, now: bool) -> None:
        posting.set()
        let_go.wait(5)

    printing.output._post = post_slowly
    printing.output.write(TASK, "stdout", b"x")
    thread = threading.Thread(target=printing.output.flush)
    thread.start()
    posting.wait(5)
    printing.output.write(TASK, "stdout", b"y")
    let_go.set()
    thread.join()


class TestStream:
    @pytest.fixture
    def stream(self, printing: Printing) -> Iterator[TaskStream]:
        task_context.enter(TASK)
        yield TaskStream("stdout", 1, printing.output)
        task_context.enter(None)

    def test_prints_reach_the_task(self, stream: TaskStream, printing: Printing) -> None:
        print("one", 2, file=stream)
        stream.writelines(["three\n", "four\n"])
        stream.flush()
        assert printing.text() == b"first\none 2\nthree\nfour\n"

    def test_bytes_and_what_is_no_utf_8_reach_it_too(self, stream: TaskStream, printing: Printing) -> None:
        stream.buffer.write(b"\xff\xfe")
        stream.buffer.write(memoryview(b"view"))
        print("lone surrogate \udcff", file=stream)
        assert printing.text() == b"first\n\xff\xfeviewlone surrogate \\udcff\n"

    def test_what_is_no_text_is_refused_as_python_does(self, stream: TaskStream) -> None:
        with pytest.raises(TypeError, match="must be str, not bytes"):
            stream.write(b"bytes")  # type: ignore[arg-type]

    def test_it_looks_like_a_stream(self, stream: TaskStream) -> None:
        assert (stream.name, stream.encoding, stream.fileno()) == ("<stdout>", "utf-8", 1)
        assert stream.writable()
        assert not stream.isatty()
        assert not stream.readable()

    def test_child_processes_write_to_the_log(self, stream: TaskStream, capfd: pytest.CaptureFixture[str]) -> None:
        subprocess.run(["echo", "from a child"], stdout=stream, check=True)  # type: ignore[call-overload]
        assert capfd.readouterr().out == "from a child\n"

    def test_threads_of_a_task_print_for_it(
        self, stream: TaskStream, printing: Printing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(threading.Thread, "start", threading.Thread.start)
        inherit_task_in_threads()

        def grandchild() -> None:
            print("grandchild", file=stream)

        def child() -> None:
            print("child", file=stream)
            thread = threading.Thread(target=grandchild)
            thread.start()
            thread.join()

        thread = threading.Thread(target=child)
        thread.start()
        task_context.enter(TASK._replace(task_id=TaskId(2)))
        thread.join()
        print("next task", file=stream)
        printing.output.flush()
        assert printing.posted[1:] == [(1, "stdout", b"child\ngrandchild\n"), (2, "stdout", b"next task\n")]

    def test_threads_outside_tasks_belong_to_none(
        self, printing: Printing, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(threading.Thread, "start", threading.Thread.start)
        inherit_task_in_threads()
        stream = TaskStream("stderr", 2, printing.output)
        thread = threading.Thread(target=print, args=("nobody's",), kwargs={"file": stream})
        thread.start()
        thread.join()
        assert capfd.readouterr().out == "nobody's\n"


def test_the_log_grows_by_what_c_code_has_buffered(capfd: pytest.CaptureFixture[str]) -> None:
    before = output.log_length(1)
    output._libc.printf(b"from C\n")
    assert output.log_length(1) == before + len("from C\n")


@pytest.mark.local
def test_a_forked_child_prints_to_the_log(printing: Printing, capfd: pytest.CaptureFixture[str]) -> None:
    task_context.enter(TASK)
    stream = TaskStream("stdout", 1, printing.output)
    print("from the parent", file=stream)
    pid = os.fork()
    if not pid:
        print("from the child", file=stream)
        os._exit(0)
    os.waitpid(pid, 0)
    task_context.enter(None)
    assert capfd.readouterr().out == "from the child\n"
    assert printing.text() == b"first\nfrom the parent\n"
