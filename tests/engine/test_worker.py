"""A worker's life: what it runs, what it gives back, whom SIGINT means, how it ends."""

from __future__ import annotations

import random
import signal

import pytest

from nbray import serialization
from nbray.engine import worker
from nbray.ids import TaskId
from nbray.scheduler.messages import Exit, Run, TakeBack, TakenBack
from tests.engine.worker_lab import Lab


class TestCancelling:
    @pytest.mark.parametrize("marked", [True, False])
    def test_sigint_ends_the_task_that_is_marked_and_no_other(self, lab: Lab, marked: bool) -> None:
        def work() -> str:
            lab.words.set_cancelled(0, TaskId(spec.task_id if marked else 999))
            signal.raise_signal(signal.SIGINT)
            return "went on"

        spec = lab.spec(len, "x")
        lab.worker._code._functions[lab.worker._templates[spec.template_id].function_key] = lambda text: work()
        previous = signal.signal(signal.SIGINT, lab.worker._on_interrupt)
        try:
            lab.worker._run(spec)
        finally:
            signal.signal(signal.SIGINT, previous)
        (value,) = lab.scheduler.hear().results[0].values
        assert value.kind == "cancelled" if marked else serialization.loads(value) == "went on"

    def test_a_task_that_was_marked_before_it_began_does_not_run(self, lab: Lab) -> None:
        spec = lab.spec(lambda: 1)
        lab.words.set_cancelled(0, spec.task_id)
        lab.worker._run(spec)
        (failure,) = lab.scheduler.hear().results[0].values
        assert failure.kind == "cancelled"
        assert failure.message.startswith("task work was cancelled while it ran on worker 0")

    def test_waiting_tasks_go_back_and_others_stay(self, lab: Lab) -> None:
        specs = [lab.spec(lambda: 1) for _ in range(3)]
        lab.worker._handle(Run(specs))
        lab.worker._handle(TakeBack([specs[0].task_id, specs[2].task_id, TaskId(999)]))
        assert lab.scheduler.hear() == TakenBack([specs[0].task_id, specs[2].task_id])
        assert lab.worker._next() == specs[1]

    def test_exit_ends_the_idle_worker(self, lab: Lab) -> None:
        previous = signal.getsignal(signal.SIGINT)
        try:
            lab.worker._handle(Exit("not needed"))
            lab.worker.run()
        finally:
            signal.signal(signal.SIGINT, previous)


def test_forked_workers_draw_numbers_of_their_own() -> None:
    random.seed(1)
    worker.reseed()
    one = random.random()
    random.seed(1)
    worker.reseed()
    assert random.random() != one


def test_what_runs_is_written_where_the_scheduler_process_looks(lab: Lab) -> None:
    lab.result(lambda: 1)
    lab.result(lambda: 2)
    assert lab.words.started(0) == 2
