"""What the zygote imports, so that a hundred workers need not: soon what all need, and the rest while nobody waits."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import nbray
from tests.contract.conftest import until
from tests.fakes import fresh_session

pytestmark = pytest.mark.local


class Look:
    def __init__(self) -> None:
        self.before = set(sys.modules)

    def modules(self) -> set[str]:
        return self.before


def test_workers_find_imported_what_they_need() -> None:
    def fresh_worker() -> Any:
        return nbray.get(nbray.remote(Look).remote().modules.remote())

    with fresh_session():
        nbray.init(num_workers=1)
        assert {"nbray.by_value", "numpy.random"} <= fresh_worker()
        assert until(lambda: "asyncio" in fresh_worker())
