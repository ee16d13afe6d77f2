"""What code knows about where it runs, in a driver and in a task."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import nbray
from nbray.engine import hosted_actor
from nbray.engine.hosted_actor import HostedActor
from nbray.ids import ActorId
from nbray.scheduler.messages import ActorSpec
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session(num_workers=3, num_gpus=2) as backend:
        yield backend


def test_in_a_driver(backend: FakeBackend) -> None:
    context = nbray.get_runtime_context()
    assert context.get_worker_id() == f"driver (pid {os.getpid()})"
    assert context.get_task_id() is context.get_task_name() is context.get_actor_id() is context.get_actor_name() is None
    assert context.get_assigned_resources() == {}
    assert context.get_job_id() == context.get_node_id() == backend.epoch == nbray.nodes()[0]["NodeID"]
    assert (context.attempt, context.cell_run, context.namespace) == (0, "background", "")
    assert not context.was_current_actor_reconstructed
    assert "worker_id='driver" in repr(context)
    assert nbray.get_gpu_ids() == []


def test_in_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> dict[str, Any]:
        context = nbray.get_runtime_context()
        return {
            "gpus": nbray.get_gpu_ids(), "accelerators": context.get_accelerator_ids(), "attempt": context.attempt,
            "resources": context.get_assigned_resources(), **context.get(),
        }  # fmt: skip

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    ref = nbray.apply_async(look, num_cpus=2, num_gpus=2, name="looks")
    seen = nbray.get(ref)
    assert (seen["task_name"], seen["task_id"], seen["attempt"]) == ("looks", ref.hex(), 1)
    assert seen["resources"] == {"CPU": 2.0, "GPU": 2.0}
    assert seen["worker_id"].startswith("worker 0")
    assert (seen["gpus"], seen["accelerators"]) == ([0, 1], {"GPU": ["0", "1"]})
    assert "actor_id" not in seen


def test_in_an_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    actor = HostedActor(ActorId(7), ActorSpec("Counter", "mine", "here"))
    monkeypatch.setattr(hosted_actor.this_process, "actor", actor)

    def look() -> tuple[Any, ...]:
        context = nbray.get_runtime_context()
        return context.get_actor_id(), context.get_actor_name(), context.namespace, context.was_current_actor_reconstructed

    assert nbray.get(nbray.apply_async(look)) == (f"{7:016x}", "mine", "here", False)
    assert nbray.get_runtime_context().get_actor_id() is None, "the driver is no part of the actor"
    actor.construction(object)()
    assert not actor.restarted


def test_the_actor_s_own_handle() -> None:
    with pytest.raises(nbray.UsageError, match="no method of an actor runs here"):
        nbray.get_runtime_context().current_actor  # noqa: B018
