"""Drivers of one cluster: joining, leaving, watching, and what each sees of the other's going."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbray.engine.driver import Driver
from nbray.scheduler.messages import Ask
from nbray.snapshot import ClusterSnapshot
from tests.engine.local_cluster import config, is_gone, processes, until

pytestmark = pytest.mark.local


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver.start(config(linger=60.0), "job")
    yield driver
    driver.close(stop=True)


def test_closing_ends_the_cluster_it_started(driver: Driver) -> None:
    zygote, children = processes(driver)
    started = time.monotonic()
    driver.close(stop=True)
    driver.close(stop=True)
    assert time.monotonic() - started < 1
    assert all(is_gone(process.pid) for process in (zygote, *children))
    assert not Path(driver.directory).exists()


def test_a_second_driver_of_the_job_joins_and_shares_its_objects(driver: Driver) -> None:
    other = Driver.join("job", 60.0)
    assert other is not None
    assert other.welcome.epoch == driver.welcome.epoch
    assert other.welcome.process_id != driver.welcome.process_id
    object_id = driver.exchange.put("shared")
    driver.connection.request(lambda number: Ask(number, "snapshot"))  # the scheduler has read what was said before
    other.connection.references.hold(object_id)
    assert other.connection.wait([object_id], 1, 5)
    value = other.connection.value(object_id)
    assert value is not None
    assert other.exchange.unpack(object_id, value) == "shared"
    other.close(stop=False)
    for _ in range(2):  # the scheduler reads what the other has said, and then that it is gone
        driver.connection.request(lambda number: Ask(number, "snapshot"))


def test_nobody_else_joins(driver: Driver) -> None:
    assert Driver.join("another job", 60.0) is None


def test_the_cluster_goes_on_while_another_driver_uses_it() -> None:
    one = Driver.start(config(linger=60.0), "job")
    zygote, _ = processes(one)
    two = Driver.join("job", 60.0)
    assert two is not None
    started = time.monotonic()
    one.close(stop=True)
    assert time.monotonic() - started < 1
    assert zygote.is_running()
    assert two.exchange.put("still there")
    two.close(stop=True)
    assert until(lambda: is_gone(zygote.pid), 1)
    assert not Path(two.directory).exists()
    os.waitpid(zygote.pid, 0)


def test_snapshots_reach_who_watches_until_it_stops(driver: Driver) -> None:
    seen: queue.SimpleQueue[ClusterSnapshot] = queue.SimpleQueue()
    driver.watch(seen.put)
    assert seen.get(timeout=5).epoch == driver.welcome.epoch
    driver.watch(None)
    driver.watch(seen.put)
    assert seen.get(timeout=5).resources == {"CPU": 10_000}


def test_a_forked_child_cannot_end_its_parents_cluster(driver: Driver) -> None:
    pid = os.fork()
    if not pid:
        driver.close(stop=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not driver.connection.lost
    assert driver.exchange.put("still there")


def test_why_the_cluster_died_is_told(driver: Driver) -> None:
    _, (scheduler, *_) = processes(driver)
    outcome: list[Any] = []
    driver.connection.call_when_ready(driver.connection.next_object(), lambda: outcome.append(time.monotonic()))
    killed = time.monotonic()
    scheduler.kill()
    assert until(lambda: outcome, 1)
    assert outcome[0] - killed < 1
    assert driver.connection.lost == "its scheduler process ended"
