"""Where tasks run: placement groups, priorities, workers with an environment of their own, GPUs, memory, the cluster's size."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray.backends.backend import Backend
from nbray.errors import ActorDied, InfeasibleRequest, PlacementGroupRemoved, TaskCancelledError, UsageError, WorkerDied
from nbray.placement_groups import PlacementGroup, PlacementGroupSchedulingStrategy
from tests.contract.conftest import Gate, until

pytestmark = pytest.mark.usefixtures("real_backend")


@nbray.remote
def look(*names: str) -> list[str | None]:
    return [os.environ.get(name) for name in names]


@nbray.remote
def pid() -> int:
    return os.getpid()


@nbray.remote
def pause(seconds: float) -> None:
    time.sleep(seconds)


@pytest.fixture
def pair() -> Iterator[PlacementGroup]:
    group = nbray.util.placement_group([{"CPU": 1}, {"CPU": 1}])
    assert group.wait(10)
    yield group
    nbray.util.remove_placement_group(group)
    assert until(lambda: nbray.available_resources()["CPU"] == 2)


# ---------------------------------------------------------------- placement groups


def test_a_group_is_ready_and_holds_what_it_asked_for(pair: PlacementGroup) -> None:
    assert nbray.get(pair.ready()) == pair
    assert nbray.available_resources()["CPU"] == 0
    assert nbray.util.placement_group_table(pair)["state"] == "CREATED"


def test_tasks_and_actors_run_in_it_and_others_do_not(pair: PlacementGroup) -> None:
    inside = pid.options(scheduling_strategy=PlacementGroupSchedulingStrategy(pair, 1))
    outside = pid.remote()
    assert nbray.get(inside.remote(), timeout=20) > 0
    assert nbray.wait([outside], timeout=0.2) == ([], [outside])

    @nbray.remote(num_cpus=1, scheduling_strategy=PlacementGroupSchedulingStrategy(pair, 0))
    class Inside:
        def where(self) -> int:
            return os.getpid()

    actor = Inside.remote()  # type: ignore[attr-defined]
    assert nbray.get(actor.where.remote(), timeout=20) > 0
    assert nbray.util.placement_group_table(pair)["available"][0]["CPU"] == 0
    nbray.cancel(outside)
    nbray.kill(actor)


def test_a_handle_that_travels_is_the_same_group(pair: PlacementGroup) -> None:
    @nbray.remote(num_cpus=0)
    def inside(group: PlacementGroup) -> Any:
        there = pid.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group))
        return nbray.get(there.remote())

    assert nbray.get(inside.remote(pair), timeout=20) > 0


def test_removal_ends_what_is_queued_and_what_runs() -> None:
    group = nbray.util.placement_group([{"CPU": 1}])
    inside = pause.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group))
    running, queued = inside.remote(60), inside.remote(60)
    assert until(lambda: any(row.state == "busy" for row in nbray.session.current_backend().snapshot().workers))
    nbray.util.remove_placement_group(group)
    for ref in (running, queued):
        with pytest.raises(PlacementGroupRemoved):
            nbray.get(ref, timeout=20)
    assert until(lambda: nbray.available_resources()["CPU"] == 2)


def test_removal_ends_the_actors_inside() -> None:
    group = nbray.util.placement_group([{"CPU": 1}])

    @nbray.remote(scheduling_strategy=PlacementGroupSchedulingStrategy(group), max_restarts=-1)
    class Inside:
        def where(self) -> int:
            return os.getpid()

    actor = Inside.remote()  # type: ignore[attr-defined]
    assert nbray.get(actor.where.remote(), timeout=20) > 0
    nbray.util.remove_placement_group(group)
    with pytest.raises(ActorDied):
        nbray.get([actor.where.remote() for _ in range(3)][-1], timeout=20)


def test_an_actor_keeps_its_group_though_nobody_holds_it() -> None:
    def make() -> Any:
        group = nbray.util.placement_group([{"CPU": 1}])

        @nbray.remote(num_cpus=1, scheduling_strategy=PlacementGroupSchedulingStrategy(group))
        class Inside:
            def where(self) -> int:
                return os.getpid()

        return Inside.remote()  # type: ignore[attr-defined]

    actor = make()
    first = nbray.get(actor.where.remote(), timeout=20)
    time.sleep(0.6)  # longer than the look at gangs without handles
    assert nbray.get(actor.where.remote(), timeout=20) == first
    del actor
    assert until(lambda: nbray.available_resources()["CPU"] == 2)


def test_a_group_that_nobody_holds_ends_by_itself() -> None:
    group = nbray.util.placement_group([{"CPU": 2}])
    assert group.wait(10)
    del group
    assert until(lambda: nbray.available_resources()["CPU"] == 2)


def test_a_group_waits_for_all_its_bundles(gate: Gate) -> None:
    gate.close()
    group = nbray.util.placement_group([{"CPU": 1}])
    assert not group.wait(0.1)
    gate.open()
    assert group.wait(10)
    nbray.util.remove_placement_group(group)


def test_groups_that_can_never_be_are_refused_at_once() -> None:
    with pytest.raises(InfeasibleRequest, match="CPU: 3 asked, 2 in the cluster"):
        nbray.util.placement_group([{"CPU": 2}, {"CPU": 1}])
    with pytest.raises(InfeasibleRequest, match="STRICT_SPREAD"):
        nbray.util.placement_group([{"CPU": 1}, {"CPU": 1}], strategy="STRICT_SPREAD")


def test_a_task_that_its_bundle_cannot_hold_is_told(pair: PlacementGroup) -> None:
    with pytest.raises(InfeasibleRequest, match="CPU: 2 asked, 1 in the bundle"):
        nbray.get(pid.options(num_cpus=2, scheduling_strategy=PlacementGroupSchedulingStrategy(pair, 0)).remote(), timeout=20)


# ---------------------------------------------------------------- environments


def test_variables_are_set_before_the_process_starts() -> None:
    variables = {"LEVEL": "3", "OMP_NUM_THREADS": "2", "LONGER": "${LEVEL_OF_NOBODY}x"}
    asking = look.options(runtime_env={"env_vars": variables})
    assert nbray.get(asking.remote("LEVEL", "OMP_NUM_THREADS", "LONGER"), timeout=30) == ["3", "2", "x"]
    assert nbray.get(look.remote("LEVEL")) == [None]


def test_workers_are_kept_for_each_environment() -> None:
    one = pid.options(runtime_env={"env_vars": {"WHICH": "one"}})
    other = pid.options(runtime_env={"env_vars": {"WHICH": "other"}})
    first, second, third = (nbray.get(each.remote(), timeout=30) for each in (one, other, one))
    assert first == third != second


def test_what_a_task_submits_has_its_variables_too() -> None:
    @nbray.remote(runtime_env={"env_vars": {"OUTER": "1", "BOTH": "1"}})
    def outer() -> Any:
        inner = look.options(runtime_env={"env_vars": {"BOTH": "2"}})
        return nbray.get([look.remote("OUTER", "BOTH"), inner.remote("OUTER", "BOTH")])

    assert nbray.get(outer.remote(), timeout=40) == [["1", "1"], ["1", "2"]]


def test_a_working_directory_and_modules(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("here")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "made_for_this_test.py").write_text("ANSWER = 42")

    @nbray.remote(runtime_env={"working_dir": tmp_path, "py_modules": [tmp_path / "lib" / "made_for_this_test.py"]})
    def read() -> tuple[str, int]:
        import made_for_this_test  # type: ignore[import-not-found]

        return Path("data.txt").read_text(), made_for_this_test.ANSWER

    assert nbray.get(read.remote(), timeout=30) == ("here", 42)
    assert nbray.get(nbray.remote(os.getcwd).remote()) == str(Path.cwd())


def test_an_actor_has_its_environment() -> None:
    @nbray.remote(runtime_env={"env_vars": {"MINE": "yes"}})
    class Asked:
        def ask(self) -> str | None:
            return os.environ.get("MINE")

    actor = Asked.remote()  # type: ignore[attr-defined]
    assert nbray.get(actor.ask.remote(), timeout=30) == "yes"
    nbray.kill(actor)


def test_variables_with_which_python_cannot_start_cost_the_task_only() -> None:
    with pytest.raises(WorkerDied, match="workers with its runtime_env ended before they could start"):
        nbray.get(look.options(runtime_env={"env_vars": {"PYTHONHOME": "/no/such/home"}}).remote(), timeout=50)
    assert nbray.get(look.remote("HOME")) == [os.environ.get("HOME")]


# ---------------------------------------------------------------- order, calls, resources


def test_a_higher_priority_goes_first(gate: Gate, tmp_path: Path) -> None:
    @nbray.remote(num_cpus=2)
    def note(name: str) -> None:
        with (tmp_path / "order").open("a") as file:
            file.write(name)

    gate.close()
    nbray_refs = [note.options(priority=number).remote(str(number)) for number in (0, 1, 2, 2, 1)]
    gate.open()
    nbray.get(nbray_refs, timeout=20)
    assert (tmp_path / "order").read_text() == "22110"


def test_a_worker_is_replaced_after_max_calls() -> None:
    once = nbray.remote(max_calls=1)(os.getpid)
    pids = [nbray.get(once.remote(), timeout=20) for _ in range(4)]
    assert len(set(pids)) == 4


def test_memory_is_counted() -> None:
    total = nbray.cluster_resources()["memory"]
    most = pause.options(memory=int(total * 0.7))
    first, second = most.remote(30), most.remote(30)
    assert until(lambda: nbray.available_resources()["memory"] < total * 0.4)
    time.sleep(0.1)
    assert nbray.available_resources()["CPU"] == 1
    nbray.cancel([first, second])
    with pytest.raises(TaskCancelledError):
        nbray.get(first, timeout=20)
    with pytest.raises(InfeasibleRequest, match="memory"):
        pause.options(memory=int(total * 2)).remote(0)


def test_an_unknown_resource_is_infeasible() -> None:
    with pytest.raises(InfeasibleRequest, match="There is no 'tpu' in the cluster: it has CPU"):
        pause.options(resources={"tpu": 1}).remote(0)


# ---------------------------------------------------------------- size


def test_the_cluster_grows_and_shrinks(real_backend: Backend) -> None:
    nbray.scale(3)
    assert nbray.cluster_resources()["CPU"] == 3
    assert until(lambda: sum(worker.state == "idle" for worker in real_backend.snapshot().workers) >= 3)
    assert nbray.get(pid.options(num_cpus=3).remote(), timeout=20) > 0
    busy = pause.options(num_cpus=3).remote(60)
    with pytest.raises(UsageError, match="scale"):
        nbray.scale(0)
    nbray.cancel(busy)
    nbray.scale(2)
    assert nbray.cluster_resources()["CPU"] == 2
    with pytest.raises(InfeasibleRequest, match="CPU: 3 asked, 2 in the cluster"):
        nbray.get(pid.options(num_cpus=3).remote(), timeout=20)
