"""Ray's questions about state, by Ray's signatures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import nbray
from nbray.util import state
from tests.fakes import fresh_session


@pytest.fixture(autouse=True)
def serial() -> Iterator[None]:
    with fresh_session():
        nbray.init("serial")
        yield


def test_lists_single_rows_and_sums() -> None:
    refs = [nbray.apply_async(abs, (n,), name="listed") for n in range(3)]
    failed = nbray.apply_async(divmod, (1, 0))
    assert [row.state for row in state.list_tasks(filters=[("name", "=", "listed")])] == ["FINISHED"] * 3
    row = state.get_task(failed.hex())
    assert row is not None
    assert row["error_type"] == "ZeroDivisionError"
    assert state.get_task("no such") is None
    assert state.summarize_tasks() == {"divmod": {"FAILED": 1}, "listed": {"FINISHED": 3}}
    assert len(state.get_objects(refs[0].hex())) == 1
    assert state.summarize_objects() == {"": {"ready": 3, "failed": 1}}
    assert state.get_worker("worker 0") == state.list_workers()[0]
    assert state.get_node(nbray.nodes()[0]["NodeID"]) == state.list_nodes()[0]


def test_another_cluster_is_out_of_reach() -> None:
    with pytest.raises(nbray.UsageError, match="address='ray://there:1'"):
        state.list_tasks("ray://there:1")
    assert state.list_nodes("auto")[0].state == "ALIVE"


def test_actors() -> None:
    class Box:
        pass

    box: Any = nbray.remote(Box).options(name="box").remote()
    (row,) = state.list_actors()
    assert (row.class_name, row.state, row.name) == ("Box", "ALIVE", "box")
    assert state.get_actor(row.actor_id) == row
    nbray.kill(box)
    assert state.summarize_actors() == {"Box": {"DEAD": 1}}
    assert set(state.__all__) <= set(dir(state))
