"""A run of a `%%parallel` cell on a backend of this process: order, failures beside results, interrupts, the summary."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray import call_options
from nbray.errors import InfeasibleRequest, NotShippable
from nbray.notebook import parallel_cells
from nbray.notebook.cells import CellOptions
from nbray.notebook.item_cell import LAST
from nbray.notebook.loops import read_line
from nbray.notebook.parallel_runs import SHOWN_FAILURES, ParallelRun
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


def ready(shell: InteractiveShell, line: str, body: str, *, options: CellOptions = CellOptions(), **call: Any) -> ParallelRun:  # noqa: B008
    """A run that has not begun."""
    return parallel_cells.read(shell, line, read_line(line), body, options, call_options.build(call))


def go(parallel: ParallelRun, shell: InteractiveShell) -> ParallelRun:
    parallel.start(shell)
    parallel.finish()
    return parallel


def test_results_in_order(shell: InteractiveShell, backend: FakeBackend) -> None:
    shell.user_ns["rate"] = 10
    parallel = go(ready(shell, "for x in range(4)", "rate * x", num_cpus=2), shell)
    assert parallel.results == {LAST: [0, 10, 20, 30]}
    assert (parallel.left, parallel.first_error, parallel.summary(["_"])) == (0, None, "")
    assert [name for name, _, _ in backend.submitted] == ["x=0", "x=1", "x=2", "x=3"]
    assert {options.resources["CPU"] for _, options, _ in backend.submitted} == {20_000}
    assert len(backend.blobs) == 1


def test_names_become_lists(shell: InteractiveShell) -> None:
    options = CellOptions(outputs=["a", "s"])
    parallel = go(ready(shell, "for i, s in enumerate('xy')", "a = s * i", options=options), shell)
    assert parallel.results == {"a": ["", "y"], "s": ["x", "y"]}


def test_small_arrays_are_writable(shell: InteractiveShell) -> None:
    shell.user_ns["np"] = np
    parallel = go(ready(shell, "for n in [2, 3]", "np.zeros(n)"), shell)
    assert [array.flags.writeable for array in parallel.results[LAST]] == [True, True]


def test_failures_stand_beside_results_and_are_mended_in_place(shell: InteractiveShell) -> None:
    shell.user_ns["bad"] = {1, 3}
    parallel = go(ready(shell, "for x in range(4)", "if x in bad: raise KeyError(x)\nx"), shell)
    results = parallel.results[LAST]
    assert [results[0], results[2]] == [0, 2]
    assert [type(result).__mro__[1] for result in (results[1], results[3])] == [KeyError, KeyError]
    assert parallel.first_error is results[1]
    assert parallel.left == 2
    shell.user_ns["bad"] = {3}
    assert go(parallel, shell).left == 1
    assert results[:3] == [0, 1, 2]
    shell.user_ns["bad"] = {0, 1, 2}
    go(parallel, shell)
    assert results == [0, 1, 2, 3]
    assert parallel.first_error is None


def test_only_what_is_left_runs_again(shell: InteractiveShell, backend: FakeBackend) -> None:
    shell.user_ns["bad"] = {2}
    parallel = go(ready(shell, "for x in range(4)", "1 / (x not in bad)"), shell)
    del backend.submitted[:]
    shell.user_ns["bad"] = set()
    go(parallel, shell)
    assert [name for name, _, _ in backend.submitted] == ["x=2"]


def test_the_summary_tells_which_and_why_and_what_to_do(shell: InteractiveShell) -> None:
    parallel = go(ready(shell, "for x in 'ab'", "if x == 'b': raise ValueError('no\\n' + x)\nx"), shell)
    assert parallel.summary(["_"]).splitlines() == [
        "nbray: 1 failed, of 2 items.",
        "  [1] x='b': ValueError: no b",
        "_: the results, with an exception where an item failed.",
        f"%nbray retry {parallel.number} runs these items again, and only these.",
    ]


def test_a_long_summary_is_cut(shell: InteractiveShell) -> None:
    text = go(ready(shell, "for x in range(8)", "1 / 0"), shell).summary([])
    assert text.count("ZeroDivisionError") == SHOWN_FAILURES
    assert f"  and {8 - SHOWN_FAILURES} more\n" in text
    assert text.startswith("nbray: 8 failed, of 8 items.\n")


def test_an_interrupt_keeps_what_is_done(
    shell: InteractiveShell, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    parallel = ready(shell, "for x in range(3)", "x")
    parallel.start(shell)
    get, waited = backend.get, []

    def interrupted(ids: Any, timeout: float | None = None) -> list[Any]:
        waited.append(ids)
        if len(waited) == 2:
            backend.frozen = True
            raise KeyboardInterrupt
        return get(ids, timeout)

    monkeypatch.setattr(backend, "get", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parallel.finish()
    assert parallel.results == {LAST: [0, None, None]}
    assert parallel.summary(["_"]).splitlines()[:2] == [
        "nbray: 2 not run to the end, of 3 items.",
        "_: the results, with None where one has not run.",
    ]
    backend.frozen = False
    assert go(parallel, shell).results == {LAST: [0, 1, 2]}


def test_what_ended_before_the_interrupt_is_taken(
    shell: InteractiveShell, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    parallel = ready(shell, "for x in range(3)", "x")
    parallel.start(shell)
    get = backend.get

    def interrupted(ids: Any, timeout: float | None = None) -> list[Any]:
        monkeypatch.setattr(backend, "get", get)
        backend.wait([ref.id for ref in parallel._refs.values()], 2)
        backend.frozen = True
        raise KeyboardInterrupt

    monkeypatch.setattr(backend, "get", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parallel.finish()
    assert parallel.results == {LAST: [0, 1, None]}


def test_what_the_interrupt_has_cancelled_already_has_not_run(
    shell: InteractiveShell, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    parallel = ready(shell, "for x in range(3)", "x")
    parallel.start(shell)
    get = backend.get

    def interrupted(ids: Any, timeout: float | None = None) -> list[Any]:
        monkeypatch.setattr(backend, "get", get)
        backend.cancel([ref.id for ref in parallel._refs.values()][2:])
        raise KeyboardInterrupt

    monkeypatch.setattr(backend, "get", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parallel.finish()
    assert parallel.results[LAST][2] is None
    assert "with None where one has not run." in parallel.summary(["_"])
    assert go(parallel, shell).results == {LAST: [0, 1, 2]}


def test_an_item_that_cannot_be_shipped_is_named(shell: InteractiveShell, backend: FakeBackend) -> None:
    shell.user_ns["items"] = [1, {"k": threading.Lock()}]
    parallel = ready(shell, "for x in items", "x")
    with pytest.raises(NotShippable, match=r"^item \[1\]: x cannot be sent: x -> \['k'\]: a thread lock"):
        parallel.start(shell)
    assert backend.snapshot().cell_runs[0].cancelled == 1


def test_what_asks_for_too_much_is_refused(shell: InteractiveShell) -> None:
    with pytest.raises(InfeasibleRequest):
        ready(shell, "for x in [1]", "x", num_gpus=1).start(shell)
