import pytest

from nbray.errors import InternalError
from nbray.scheduler.states import (
    ACTOR_MOVES,
    TASK_MOVES,
    WORKER_MOVES,
    ActorState,
    TaskState,
    WorkerState,
    history,
    move_task,
    move_worker,
)
from nbray.scheduler.worker_records import Worker
from tests.scheduler.pretend import Cluster


def test_every_state_has_its_moves_and_can_be_reached() -> None:
    for moves, states in ((TASK_MOVES, TaskState), (WORKER_MOVES, WorkerState), (ACTOR_MOVES, ActorState)):
        assert set(moves) == set(states)
        reached = {new for targets in moves.values() for new in targets}
        assert reached == set(states) - {states["NEW"]}


def test_outcomes_are_final() -> None:
    assert not TASK_MOVES[TaskState.SUCCEEDED] | TASK_MOVES[TaskState.FAILED] | TASK_MOVES[TaskState.CANCELLED]


def test_an_illegal_move_names_object_state_and_history() -> None:
    worker = Worker(3, ())
    move_worker(worker, WorkerState.STARTING)
    move_worker(worker, WorkerState.IDLE)
    with pytest.raises(InternalError, match=r"worker 3 .*from IDLE to BLOCKED.*STARTING > IDLE"):
        move_worker(worker, WorkerState.BLOCKED)
    assert worker.state is WorkerState.IDLE
    assert history(worker) == ["STARTING", "IDLE"]


def test_the_error_of_an_event_names_the_event_and_those_before_it() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(driver.template())
    task = cluster.scheduler._fleet.workers[0].queue[0]
    move_task(task, TaskState.FAILED)
    with pytest.raises(InternalError) as caught:
        cluster.workers[0].finish_all()
    assert "FAILED to SUCCEEDED" in str(caught.value)
    assert "while handling Received" in caught.value.__notes__[0]
    assert "Submit at 100.000" in caught.value.__notes__[0]
