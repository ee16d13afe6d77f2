"""A process that may open no more files, for tests; and how that is told from other errors."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from nbray.engine import descriptors
from tests.squeezed import squeezed


def test_a_file_that_may_not_be_opened_any_more() -> None:
    with squeezed(), pytest.raises(OSError, match="Too many open files") as caught:
        Path(__file__).open().close()
    assert descriptors.are_short(caught.value)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENOSPC, errno.EIO])
def test_other_errors_are_none_of_it(number: int) -> None:
    assert not descriptors.are_short(OSError(number, "text"))
