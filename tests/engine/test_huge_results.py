"""Results of one byte to more than the store: equal to the bit, without a second copy in memory, or refused with the sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbray
from tests.fakes import fresh_session

pytestmark = pytest.mark.local

STORE = 128_000_000
MARGIN_KIB = 64 * 1024
"""What a process may need beyond the value itself."""


@pytest.fixture
def cluster() -> Iterator[None]:
    """A cluster of the test's own, in whose store nothing has been yet."""
    with fresh_session():
        nbray.init(num_workers=1, memory=STORE, spill_directory=False)
        yield


def memory_of_this_process(field: str) -> int:
    """In KiB, by the name in /proc: VmRSS now, VmHWM at most since it was forgotten."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0])


def forget_the_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return memory_of_this_process("VmHWM")


def made_of(size: int) -> Any:
    return np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)


def make(size: int) -> tuple[int, Any]:
    return forget_the_peak(), made_of(size)


def test_it_is_equal_and_nobody_keeps_a_second_copy(cluster: None) -> None:
    nbray.get(nbray.apply_async(np.random.default_rng, (0,)))  # imports of its own are not the value's
    for size in (1, 65_535, 65_537, 1_000_000, 120_000_000):
        before = forget_the_peak()
        there, value = nbray.get(nbray.apply_async(make, (size,)))
        here = memory_of_this_process("VmHWM") - before
        peak = nbray.get(nbray.apply_async(memory_of_this_process, ("VmHWM",)))
        assert peak - there <= size // 1024 + MARGIN_KIB
        assert here <= size // 1024 + MARGIN_KIB
        assert np.array_equal(value, made_of(size))
        del value


def test_one_that_is_larger_than_the_store_is_refused_with_both_sizes(cluster: None) -> None:
    with pytest.raises(nbray.StoreFull, match=r"no room for 183\.1 MiB: .* of 122\.1 MiB"):
        nbray.get(nbray.apply_async(make, (STORE * 3 // 2,)))
    with pytest.raises(nbray.StoreFull, match=r"no room for 183\.1 MiB: .* of 122\.1 MiB"):
        nbray.put(np.zeros(STORE * 3 // 2, dtype=np.uint8))
    assert nbray.get(nbray.apply_async(make, (1000,)))[1].nbytes == 1000
