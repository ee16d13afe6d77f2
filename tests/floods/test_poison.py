"""A task that ends its worker each time is given up after its tries, with the reason; nobody else has to suffer for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.floods.poison import KINDS, poison

pytestmark = [pytest.mark.local, pytest.mark.slow]


def test_ten_kinds_of_poison_among_ten_thousand_others(tmp_path: Path) -> None:
    done = poison(10_000, tmp_path)
    assert done.wrong() == []
    assert done.innocents == 10_000
    assert len(KINDS) == 10
