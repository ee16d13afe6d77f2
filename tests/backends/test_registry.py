"""Addresses and the engines that they mean."""

from __future__ import annotations

import sys

import pytest

from nbray.backends import registry
from nbray.errors import NotSupportedHere, UsageError
from tests.fakes import FakeBackend


def test_settings_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._ENGINES, "local", ("tests.fakes", "FakeBackend"))
    backend = registry.start("local", {"num_workers": 5})
    assert isinstance(backend, FakeBackend)
    assert backend.settings == {"num_workers": 5}


@pytest.mark.parametrize("address", ["ray", "ray://host:10001", "dask", "dask://host:8786"])
def test_engines_that_come_later(address: str) -> None:
    with pytest.raises(NotSupportedHere, match=rf"address='{address}'.*come with a later release"):
        registry.engine_of(address)


@pytest.mark.parametrize("address", ["", "auto", "local://x", "http://a"])
def test_other_addresses(address: str) -> None:
    with pytest.raises(UsageError, match=r"means nothing to nbray: leave it out"):
        registry.engine_of(address)


def test_windows_is_told_about_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(NotSupportedHere, match="inside WSL"):
        registry.engine_of("local")
