"""A cluster that dies under everything that can wait for it: each wait says so, and soon; then the next cluster is there."""

from __future__ import annotations

import os
import signal
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

import nbray
from nbray.config import ClusterConfig
from nbray.engine import handshake, transport, wire
from nbray.engine.driver import Driver
from nbray.engine.zygote import SOCKET_NAME
from nbray.errors import StartFailed
from nbray.ids import TaskId
from nbray.scheduler.messages import PROTOCOL, Finished, Hello, TaskResult
from tests.engine import cluster_deaths
from tests.engine.cluster_deaths import KILLS, SECONDS, WAITS, Death, ancestors, die, table
from tests.engine.local_cluster import config, is_gone, until
from tests.fakes import fresh_session

pytestmark = pytest.mark.local


@pytest.mark.parametrize("killed", KILLS)
@pytest.mark.parametrize("in_main", [cluster_deaths.get, cluster_deaths.awaited], ids=lambda way: str(way.__name__))
def test_every_wait_raises_and_the_next_use_starts_afresh(killed: str, in_main: Callable[[], None]) -> None:
    death = die(killed, in_main)
    assert {name: type(error) for name, error in death.errors.items()} == {way.__name__: nbray.ClusterDied for way in WAITS}
    assert statistics.median(death.waits.values()) < SECONDS
    assert death.fresh_cpu < SECONDS


class TestLateMessages:
    def test_a_worker_that_slept_through_the_end_of_its_cluster_ends_when_it_wakes(self) -> None:
        with fresh_session():
            nbray.init(num_workers=1)
            zygote, scheduler = nbray.get(nbray.apply_async(ancestors))
            worker = nbray.get(nbray.apply_async(os.getpid))
            for pid in (worker, scheduler, zygote):
                os.kill(pid, signal.SIGSTOP)
            for pid in (scheduler, zygote):
                os.kill(pid, signal.SIGKILL)
            assert until(lambda: not nbray.is_initialized())
            assert nbray.get(nbray.apply_async(abs, (-1,))) == 1
            assert not is_gone(worker)
            os.kill(worker, signal.SIGCONT)
            assert until(lambda: is_gone(worker), 10)
            assert nbray.get(nbray.apply_async(abs, (-2,))) == 2

    @pytest.mark.parametrize("role", ["driver", "worker"])
    def test_who_greets_with_the_epoch_of_another_cluster_is_refused(self, role: Literal["driver", "worker"]) -> None:
        settings: ClusterConfig = config()
        driver = Driver.start(settings, "job")
        sock = transport.connect(Path(settings.run_directory) / SOCKET_NAME)
        hello = Hello(role, os.getpid(), PROTOCOL, "an older epoch", "job", slot=0 if role == "worker" else -1)
        with pytest.raises(StartFailed, match="an older epoch"):
            handshake.say_hello(sock, hello, 10)
        sock.close()
        assert driver.connection.lost == ""
        driver.close(stop=True)

    def test_what_is_said_without_a_greeting_changes_nothing(self) -> None:
        settings: ClusterConfig = config()
        driver = Driver.start(settings, "job")
        sock = transport.connect(Path(settings.run_directory) / SOCKET_NAME)
        sock.setblocking(True)
        sock.sendall(wire.frame(Finished([TaskResult(TaskId(1), [], 5)])))
        sock.settimeout(10)
        sock.close()
        assert driver.connection.lost == ""
        driver.close(stop=True)


def test_the_table_names_what_is_slow_and_what_raised_something_else() -> None:
    death = Death("scheduler", {"get": 0.1, "wait": 1.5}, {"get": nbray.ClusterDied(""), "wait": ValueError()}, 0.4, 0.3)
    lines = {line.split()[0]: line for line in table([death]).splitlines()}
    assert lines["get"].split() == ["get", "1", "0.100", "0.100"]
    assert lines["wait"].split() == ["wait", "1", "1.500", "1.500", "ValueError"]
    assert lines["queue"].split()[-2:] == ["inf", "NoneType"]
