"""What the zygote imports, so that a hundred workers need not: what all need before many are forked, and all in a rest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray.config import ClusterConfig
from nbray.engine.supervision import ForkWorker
from nbray.engine.zygote import NEEDED_BY_ALL, Zygote
from tests.contract.conftest import until
from tests.fakes import fresh_session

pytestmark = pytest.mark.local


class Look:
    def __init__(self) -> None:
        self.before = set(sys.modules)

    def modules(self) -> set[str]:
        return self.before


def fresh_worker() -> Any:
    return nbray.get(nbray.remote(Look).remote().modules.remote())


def test_workers_find_imported_what_they_need() -> None:
    with fresh_session():
        nbray.init(num_workers=1)
        assert until(lambda: {"nbray.by_value", "numpy.random", "asyncio"} <= fresh_worker())


def test_what_all_need_is_imported_before_many_are_forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ClusterConfig(epoch="epoch", run_directory=str(tmp_path), num_workers=1, resources={}, store_limit=1 << 20)
    zygote = Zygote(config, lambda inheritance: None, lambda inheritance, slot: None, 0)
    imported: list[str] = []
    monkeypatch.setattr(zygote, "_preload_more", imported.extend)
    monkeypatch.delitem(sys.modules, NEEDED_BY_ALL[0], raising=False)
    for workers in ({}, {0: 4711}):
        zygote._workers = workers
        assert imported == []
        with pytest.raises(AttributeError, match="_inheritance"):  # this one was never run, so it cannot fork
            zygote._fork_worker(ForkWorker(1, []))
    assert imported == [*NEEDED_BY_ALL]
