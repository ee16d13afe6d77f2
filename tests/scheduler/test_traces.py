import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbray.config import ClusterConfig
from nbray.engine.recording import RecordedScheduler
from nbray.scheduler.scheduler import Scheduler
from nbray.store.allocator import Allocator
from tests.scheduler.planted_objects import values_are_pushed_twice
from tests.scheduler.planting import spoiled
from tests.scheduler.traces import ROOT, Different, record_tests, replay, replay_all
from tests.scheduler.world import World

FILES = [
    *(f"tests/contract/test_{name}.py" for name in ("processes", "streams", "actors", "placement")),
    "tests/engine/test_pressure.py",
]
SOME = (
    "running_task_is_cancelled or worker_that_dies or task_is_run_again or task_with_a_timeout or map_inside or "
    "restarts_begin or killing_ends or exit_actor or running_call_is_cancelled or items or dynamic_refs or removal_ends or "
    "group_is_ready or three_stores_of_arguments"
)
"""Of these files: something of each kind, in some fifteen seconds."""
HAPPENED = {
    "Submit", "Finished", "Blocked", "Unblocked", "TakenBack", "Put", "Allocate", "Held", "Released", "Subscribe", "Output",
    "CreateActor", "Call", "KillActor", "ExitActor", "Yielded", "Consumed", "Cancel", "CreateGang", "RemoveGang",
    "LetGone", "SpillDone", "Fetch", "RestoreDone", "Joined", "Left", "WorkerForked", "WorkerExited", "Tick", "MemoryUsed",
}  # fmt: skip


@pytest.mark.local
@pytest.mark.timeout(240)
def test_a_fresh_scheduler_does_what_those_of_real_clusters_did(tmp_path: Path) -> None:
    record_tests([*FILES, "-k", SOME], tmp_path)  # whether they pass is seen where they are run for their own sake
    clusters, kinds = replay_all(tmp_path)
    assert clusters >= 5
    assert kinds.keys() >= HAPPENED, HAPPENED - kinds.keys()


def recorded(directory: Path, seed: int) -> Path:
    """The recording of a simulated cluster."""
    made: list[RecordedScheduler] = []

    def make(config: ClusterConfig, allocator: Allocator) -> Scheduler:
        made.append(RecordedScheduler(config, 4 * config.store_limit, str(directory)))
        return made[-1]

    world = World(seed, make)
    while world.events < 1000:  # in calm, a world does things to its scheduler that are no events
        world.step()
    os.close(made[0]._descriptor)
    return next(directory.iterdir())


def test_what_is_replayed_is_the_same_also_with_other_hashes_of_strings(tmp_path: Path) -> None:
    path = recorded(tmp_path, 5)
    kinds = replay(path)
    assert kinds["Submit"] > 10
    code = f"import pathlib; from tests.scheduler.traces import replay; print(replay(pathlib.Path({str(path)!r})).total())"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        assert int(done.stdout) == kinds.total()


def test_a_scheduler_that_does_something_else_is_seen(tmp_path: Path) -> None:
    path = recorded(tmp_path, 5)
    with pytest.raises(Different, match=r"(?s)event \d+ at .*recorded: .*replayed: "):
        replay(path, spoiled(values_are_pushed_twice))
