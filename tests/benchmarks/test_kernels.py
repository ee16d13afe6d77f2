"""The kernel of the benchmarks times what it says, and takes no failure for a figure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jupyter_core.utils import ensure_event_loop

from tests.benchmarks.kernels import Notebook, notebook

pytestmark = pytest.mark.local
ensure_event_loop()  # jupyter_client keeps one for good: made here, no test is blamed for it


@pytest.fixture(scope="module")
def opened() -> Iterator[Notebook]:
    with notebook() as opened:
        yield opened


def test_a_cell_is_timed_to_its_end(opened: Notebook) -> None:
    ran = opened.run("import time\ntime.sleep(0.2)\nprint('slept')\n6 * 7")
    assert ran.seconds >= 0.2
    assert ran.text == "slept\n42"


def test_a_cell_that_fails_is_no_figure(opened: Notebook) -> None:
    with pytest.raises(RuntimeError, match=r"'1 / 0' ended by ZeroDivisionError"):
        opened.run("1 / 0")


def test_tab(opened: Notebook) -> None:
    opened.run("%config Completer.use_jedi = False\nremarkable = 1")  # whose cache of Python's own library is empty in tests
    seconds, matches = opened.complete("remark")
    assert seconds > 0
    assert "remarkable" in matches


def test_stop_is_timed_from_the_signal_on(opened: Notebook) -> None:
    assert opened.stop("print('begun')\nimport time\ntime.sleep(600)", "begun", 0.1) < 10


def test_a_cell_that_ends_by_itself_was_not_stopped(opened: Notebook) -> None:
    with pytest.raises(RuntimeError, match="ended before it printed 'begun'"):
        opened.stop("1", "begun", 0)
    with pytest.raises(RuntimeError, match="was stopped and ended by itself"):
        opened.stop(
            "import time\nprint('begun')\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    pass", "begun", 0
        )


def test_a_killed_kernel_has_forgotten_everything(opened: Notebook) -> None:
    opened.run("word = 1")
    opened.kill_and_restart()
    with pytest.raises(RuntimeError, match="NameError"):
        opened.run("word")
