"""One session a process: starting, comparing, leaving, forks, and which cell run a submission belongs to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nbray
from nbray import session
from nbray.backends import registry
from nbray.ids import BACKGROUND, CellRunId
from tests.fakes import FakeBackend, fresh_session


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeBackend]]:
    """Starting a local cluster gives a FakeBackend; the list has all that were started."""
    backends: list[FakeBackend] = []

    def start(address: str, settings: session.Settings) -> FakeBackend:
        backends.append(FakeBackend(**settings))
        return backends[-1]

    monkeypatch.setattr(registry, "start", start)
    with fresh_session():
        yield backends


def in_forked_child(work: Callable[[], str]) -> str:
    """What `work` returns, or the error that it raises, in a child of this process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = work()
        except BaseException:  # noqa: BLE001 - whatever it is goes to the parent, and the child ends here
            answer = traceback.format_exc()
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return answer


def test_the_first_use_starts_a_cluster(started: list[FakeBackend]) -> None:
    assert not nbray.is_initialized()
    assert nbray.get(nbray.put(1)) == 1
    assert nbray.is_initialized()
    assert len(started) == 1


def test_init_is_idempotent(started: list[FakeBackend]) -> None:
    first = nbray.init(num_workers=3)
    assert nbray.init(num_workers=3) == first
    assert nbray.init() == first
    assert len(started) == 1


def test_a_second_init_says_exactly_what_differs(started: list[FakeBackend]) -> None:
    nbray.init(num_workers=3, linger=5)
    with pytest.raises(nbray.UsageError) as error:
        nbray.init(num_workers=4, linger=5, memory="2GB")
    assert str(error.value) == (
        "a cluster runs already, and differs: num_workers=4 (it runs with 3), memory=2000000000 (it runs with the default). "
        "Go on with it as it is, or end it with its tasks and objects by nbray.shutdown() and call init again."
    )


def test_init_compares_with_a_cluster_that_started_by_itself(started: list[FakeBackend]) -> None:
    nbray.put(1)
    nbray.init(num_workers=2)
    with pytest.raises(nbray.UsageError, match=r"num_workers=3 \(it runs with 2\)"):
        nbray.init(num_workers=3)


def test_init_shows_the_cluster(started: list[FakeBackend]) -> None:
    info = nbray.init(num_workers=3, num_gpus=1)
    assert repr(info) == f"nbray: cluster fake {started[0].epoch}, workers 3, resources 3 CPU, 1 GPU, store 1.07 GB"
    assert "<td" in info._repr_html_()


def test_shutdown_is_idempotent_and_the_next_use_starts_afresh(started: list[FakeBackend]) -> None:
    nbray.shutdown()
    nbray.init()
    nbray.shutdown()
    nbray.shutdown()
    assert started[0].closed
    assert not nbray.is_initialized()
    assert nbray.get(nbray.put(2)) == 2
    assert len(started) == 2


def test_after_the_cluster_died_the_next_use_starts_a_new_one(started: list[FakeBackend]) -> None:
    ref = nbray.put(1)
    started[0].die()
    assert not nbray.is_initialized()
    with pytest.raises(nbray.ClusterDied):
        nbray.get(ref)
    assert nbray.get(nbray.put(2)) == 2
    assert started[0].closed
    with pytest.raises(nbray.WrongCluster, match="run the cell that made it again"):
        nbray.get(ref)


def test_defaults_of_the_notebook_count_where_init_does_not_say(started: list[FakeBackend]) -> None:
    session.set_defaults(linger=600, num_workers=1)
    nbray.init(num_workers=4)
    assert started[0].settings["linger"] == 600
    assert started[0].settings["num_workers"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_workers": 0}, r"num_workers=0: expected a whole number of at least 1"),
        ({"num_workers": 2.5}, r"num_workers=2.5: expected a whole number"),
        ({"num_cpus": -1}, r"num_cpus=-1: expected a number >= 0"),
        ({"memory": "lots"}, r"memory='lots': expected a size, for example memory=\"2GB\""),
        ({"memory": -5}, r"memory=-5: expected a size"),
        ({"linger": "long"}, r"linger='long': expected a number"),
        ({"default_max_retries": -2}, r"default_max_retries=-2"),
        ({"resources": {"CPU": 2}}, r"'CPU' goes in num_cpus=, not in resources="),
        ({"namespace": 5}, r"namespace=5: expected text"),
        ({"preload": "numpy"}, r"preload='numpy': expected a list of names"),
        ({"num_worker": 2}, r"init\(\) has no argument num_worker=: did you mean num_workers=\?"),
        ({"_memory": 1}, r'no argument _memory=: write memory="2GB"'),
        ({"frobnicate": 1}, r"no argument frobnicate=: it knows num_workers, .*memory"),
        ({"address": "ray"}, r"clusters of Ray come with a later release. nbray.init\(\) starts"),
        ({"address": "dask://host:8786"}, r"clusters of Dask come with a later release"),
        ({"address": "10.0.0.1:6379"}, r"address='10.0.0.1:6379' means nothing to nbray"),
    ],
)
def test_bad_arguments_of_init(arguments: dict[str, object], message: str, started: list[FakeBackend]) -> None:
    with pytest.raises(nbray.UsageError, match=message):
        nbray.init(**arguments)  # type: ignore[arg-type]
    assert started == []


def test_a_worker_is_in_a_cluster_already() -> None:
    session.adopt(FakeBackend())
    assert nbray.is_initialized()
    with pytest.raises(nbray.UsageError, match=r"init\(\) was called inside a task"):
        nbray.init()
    with pytest.raises(nbray.UsageError, match=r"shutdown\(\) was called inside a task"):
        nbray.shutdown()


def test_a_worker_never_starts_a_cluster_of_its_own(started: list[FakeBackend]) -> None:
    backend = FakeBackend()
    session.adopt(backend)
    backend.die()
    with pytest.raises(nbray.ClusterDied, match="scheduler process ended"):
        nbray.put(1)
    assert started == []


def test_a_forked_child_is_told_so() -> None:
    ref = nbray.put(1)
    for use in (lambda: nbray.get(ref), lambda: nbray.put(2), nbray.init):
        answer = in_forked_child(lambda use=use: str(use()))  # type: ignore[misc]
        assert "this process was forked from one that uses nbray" in answer
        assert 'get_context("spawn")' in answer
    assert nbray.get(ref) == 1


def test_a_child_forked_before_the_first_use_is_free(started: list[FakeBackend]) -> None:
    assert in_forked_child(lambda: str(nbray.get(nbray.put(3)))) == "3"


def test_cell_runs() -> None:
    assert session.current_cell_run() == BACKGROUND
    session.set_cell_run(CellRunId("a"), "cell [1]")
    backend = nbray.init() and session.current_backend()
    assert isinstance(backend, FakeBackend)
    session.set_cell_run(CellRunId("b"), "cell [2]")
    assert backend.labels == {"a": "cell [1]", "b": "cell [2]"}
    nbray.get(nbray.apply_async(abs, (1,)))
    assert backend.submitted[-1][2] == "b"


def test_a_task_submits_for_its_own_cell_run() -> None:
    def inner() -> str:
        return session.current_cell_run()

    session.set_cell_run(CellRunId("a"), "cell [1]")
    ref = nbray.apply_async(inner)
    session.set_cell_run(CellRunId("b"), "cell [2]")
    assert nbray.get(ref) == "a"


def test_a_script_that_only_ends_leaves_quietly() -> None:
    script = (
        "from nbray import session\nfrom tests.fakes import FakeBackend\nimport nbray\n"
        "session.current.backend = backend = FakeBackend()\nref = nbray.put(1)\n"
        "import atexit; atexit._run_exitfuncs(); print(backend.closed, nbray.is_initialized())"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("True False\n", "")


def test_arguments_of_rays_that_mean_something_or_nothing_here(started: list[FakeBackend]) -> None:
    rays: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    nbray.init(num_workers=2, object_store_memory=10**9, **rays)
    assert started[0].settings["memory"] == 10**9
    nbray.init(num_workers=5, ignore_reinit_error=True, **rays)
    assert len(started) == 1
    with pytest.raises(nbray.UsageError, match="num_workers=5"):
        nbray.init(num_workers=5, ignore_reinit_error=False)


def test_housekeeping_belongs_to_no_cell_on_this_thread_only() -> None:
    before = session.current_cell_run()
    seen: list[str] = []
    with session.submitting_for(CellRunId("aside")):
        assert session.current_cell_run() == "aside"
        other = threading.Thread(target=lambda: seen.append(session.current_cell_run()))
        other.start()
        other.join()
    assert session.current_cell_run() == before
    assert seen == [before]


def test_an_interrupt_before_a_restart_is_told_from_a_stop() -> None:
    assert not session.is_parting()
    session.part()
    try:
        assert session.is_parting(0.0)
    finally:
        session.stay()
    assert not session.is_parting(0.0)
