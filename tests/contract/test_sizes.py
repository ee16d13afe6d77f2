"""Clusters that are started in another way than the others: with GPUs, with bounds, with an environment for all."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import session
from nbray.backends.backend import Backend
from nbray.errors import UsageError
from tests.contract.conftest import until
from tests.fakes import fresh_session

pytestmark = pytest.mark.local


@contextmanager
def cluster(**settings: Any) -> Iterator[Backend]:
    with fresh_session():
        nbray.init(**settings)
        yield session.current_backend()


def active(backend: Backend) -> int:
    return sum(worker.state != "stopping" for worker in backend.snapshot().workers)


@nbray.remote
def devices() -> tuple[str | None, list[int], int]:
    return os.environ.get("CUDA_VISIBLE_DEVICES"), nbray.get_gpu_ids(), os.getpid()


@nbray.remote
def hold(started: Path, end: Path) -> tuple[str | None, int]:
    started.touch()
    while not end.exists():
        time.sleep(0.005)
    return os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpid()


def test_gpus_are_given_by_index(tmp_path: Path) -> None:
    with cluster(num_workers=2, num_gpus=2):
        assert nbray.cluster_resources()["GPU"] == 2
        assert nbray.get(devices.remote())[:2] == ("", [])
        end = tmp_path / "end"
        first = hold.options(num_gpus=1).remote(tmp_path / "first", end)
        second = hold.options(num_gpus=1).remote(tmp_path / "second", end)
        assert until(lambda: (tmp_path / "first").exists() and (tmp_path / "second").exists(), 20)
        end.touch()
        assert sorted(shown for shown, _ in nbray.get([first, second])) == ["0", "1"]
        shown, ids, _ = nbray.get(devices.options(num_gpus=2).remote(), timeout=20)
        assert (shown, ids) == ("0,1", [0, 1])


def test_an_actor_has_its_gpu_for_life() -> None:
    @nbray.remote(num_gpus=1)
    class Holder:
        def shown(self) -> str | None:
            return os.environ.get("CUDA_VISIBLE_DEVICES")

    with cluster(num_workers=1, num_gpus=2):
        actors = [Holder.remote() for _ in range(2)]  # type: ignore[attr-defined]
        assert sorted(nbray.get([actor.shown.remote() for actor in actors], timeout=30)) == ["0", "1"]
        assert nbray.available_resources()["GPU"] == 0
        nbray.kill(actors.pop())
        assert until(lambda: nbray.available_resources()["GPU"] == 1)


def test_fractions_share_a_gpu(tmp_path: Path) -> None:
    with cluster(num_workers=2, num_gpus=1):
        end = tmp_path / "end"
        half = hold.options(num_gpus=0.5)
        refs = [half.remote(tmp_path / name, end) for name in ("first", "second")]
        assert until(lambda: (tmp_path / "first").exists() and (tmp_path / "second").exists(), 20)
        assert nbray.available_resources()["GPU"] == 0
        end.touch()
        (one, one_pid), (other, other_pid) = nbray.get(refs)
        assert one == other == "0"
        assert one_pid != other_pid


def test_the_names_of_hidden_gpus_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbray.gpus.count_devices", lambda: 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    with cluster(num_workers=1):
        assert nbray.cluster_resources()["GPU"] == 2
        assert nbray.get(devices.options(num_gpus=1).remote(), timeout=20)[0] == "3"


def test_workers_come_with_the_queue(tmp_path: Path) -> None:
    with cluster(min_workers=1, max_workers=3) as backend:
        assert nbray.cluster_resources()["CPU"] == 3
        assert until(lambda: active(backend) == 1)
        end = tmp_path / "end"
        refs = [hold.remote(tmp_path / str(number), end) for number in range(3)]
        assert until(lambda: all((tmp_path / str(number)).exists() for number in range(3)), 20)
        assert active(backend) == 3
        end.touch()
        nbray.get(refs)
        nbray.scale(1)
        assert until(lambda: active(backend) == 1)
        nbray.scale(max_workers=2)
        assert nbray.cluster_resources()["CPU"] == 2
        assert active(backend) == 1


def test_an_environment_for_all() -> None:
    look = nbray.remote(lambda: (os.environ.get("A"), os.environ.get("B")))
    with cluster(num_workers=1, runtime_env={"env_vars": {"A": "1", "B": "1"}}):
        assert nbray.get(look.remote(), timeout=20) == ("1", "1")
        assert nbray.get(look.options(runtime_env={"env_vars": {"B": "2"}}).remote(), timeout=20) == ("1", "2")


def test_bounds_are_checked_before_anything_starts() -> None:
    with fresh_session():
        for wrong, said in (
            ({"num_workers": 2, "max_workers": 3}, "give one or the other"),
            ({"min_workers": 3, "max_workers": 2}, "min_workers=3 is more than max_workers=2"),
            ({"min_workers": 0}, "min_workers=0: expected a whole number of at least 1"),
            ({"runtime_env": {"pip": ["x"]}}, "nbray installs nothing"),
            ({"max_worker": 2}, "did you mean max_workers="),
        ):
            with pytest.raises(UsageError, match=said):
                nbray.init(**wrong)
        assert not nbray.is_initialized()
