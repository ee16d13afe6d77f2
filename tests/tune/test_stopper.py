"""Ray's name for the module of stoppers."""

from __future__ import annotations

from nbray.tune import stopper, stoppers


def test_it_has_the_stoppers() -> None:
    assert {name: getattr(stopper, name) for name in stopper.__all__} == {
        name: getattr(stoppers, name) for name in vars(stoppers) if name.endswith("Stopper") and name != "BoundsStopper"
    }
