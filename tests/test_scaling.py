from typing import Any

import pytest

import nbray
from nbray.errors import NotSupportedHere, UsageError
from tests.fakes import FakeBackend, fake_session


@pytest.mark.parametrize(
    ("asked", "bounds"),
    [({"workers": 3}, (3, 3)), ({"max_workers": 4}, (1, 4)), ({"min_workers": 2, "max_workers": 4}, (2, 4))],
)
def test_one_number_or_two_bounds(asked: dict[str, int], bounds: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    scaled = []
    with fake_session():
        monkeypatch.setattr(FakeBackend, "scale", lambda backend, least, most: scaled.append((least, most)))
        nbray.scale(**asked)
    assert scaled == [bounds]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "expected one number, scale"),
        ({"workers": 0}, "workers=0: expected a whole number of at least 1"),
        ({"workers": 1.5}, "workers=1.5"),
        ({"workers": 2, "max_workers": 3}, "one number"),
        ({"workers": 2, "min_workers": 1}, r"scale\(min_workers=1, max_workers=...\)"),
        ({"min_workers": 3, "max_workers": 2}, "min_workers=3 is more than max_workers=2"),
    ],
)
def test_misuse_says_what_to_type(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        nbray.scale(**asked)


def test_a_backend_that_cannot_says_so() -> None:
    with fake_session(), pytest.raises(NotSupportedHere, match="cannot change its size"):
        nbray.scale(3)
