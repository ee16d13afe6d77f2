"""What a driver gets: a cluster with what it asks for, or the one that waits for its notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nbray
from nbray.backends.local import LocalBackend
from tests.backends.local_lab import cluster
from tests.fakes import fresh_session

pytestmark = pytest.mark.local

ROOT = Path(__file__).parent.parent.parent


def test_settings_tell_what_it_runs_with() -> None:
    with cluster(num_workers=1, num_cpus=3, memory=50_000_000, resources={"disk": 2.0}, preload=()) as backend:
        has = {**backend.settings}
        assert (has["num_workers"], has["num_cpus"], has["num_gpus"], has["memory"]) == (1, 3, 0, 50_000_000)
        assert (has["resources"], has["linger"], has["default_max_retries"], has["preload"]) == ({"disk": 2.0}, 0.0, 0, ())
        assert nbray.cluster_resources()["CPU"] == 3


@nbray.remote
def pid() -> int:
    return os.getpid()


EARLIER_KERNEL = """
import sys
from nbray.backends.local import LocalBackend
backend = LocalBackend.start(num_workers=1, linger=60.0, job="notebook", memory=50_000_000)
print(backend.epoch)
backend.close(stop=False)
"""


def earlier_kernel() -> str:
    """The epoch of the cluster that a kernel has left behind."""
    done = subprocess.run([sys.executable, "-c", EARLIER_KERNEL], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.strip()


def test_a_job_finds_its_lingering_cluster() -> None:
    epoch = earlier_kernel()
    with cluster(linger=60.0, job="notebook", memory=50_000_000) as backend:
        assert backend.epoch == epoch
        assert isinstance(nbray.get(pid.remote()), int)


def test_anything_will_do_where_nothing_is_asked_for() -> None:
    epoch = earlier_kernel()
    with cluster(num_workers=None, job="notebook") as backend:
        assert (backend.epoch, backend.settings["num_workers"], backend.settings["memory"]) == (epoch, 1, 50_000_000)


def test_a_cluster_that_is_not_what_is_asked_for_is_replaced() -> None:
    epoch = earlier_kernel()
    with cluster(linger=60.0, job="notebook", memory=60_000_000) as backend:
        assert (backend.epoch != epoch, backend.settings["memory"]) == (True, 60_000_000)


def test_without_linger_leaving_ends_it() -> None:
    with fresh_session():
        backend = LocalBackend.start(num_workers=1, job="notebook")
        backend.close(stop=False)
        backend.close(stop=False)
        assert backend.lost


def test_another_job_gets_a_cluster_of_its_own() -> None:
    with cluster(linger=60.0, job="one") as one, cluster(job="other") as other:
        assert one.epoch != other.epoch
