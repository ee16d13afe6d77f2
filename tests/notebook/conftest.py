"""Fixtures of the notebook tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook.kernel import Kernel, running_kernel


@pytest.fixture
def bare_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A fresh kernel without nbray."""
    with running_kernel(tmp_path) as kernel:
        yield kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for a file of tests, with nbray loaded; ends with the file."""
    with running_kernel(tmp_path_factory.mktemp("kernel"), "%load_ext nbray") as kernel:
        yield kernel


@pytest.fixture
def fresh_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel of its own for one test, with nbray loaded."""
    with running_kernel(tmp_path, "%load_ext nbray") as kernel:
        yield kernel
