import importlib

import pytest

import nbray
from nbray import placement_groups
from nbray.errors import UsageError


def test_the_module_has_rays_names() -> None:
    module = importlib.import_module("nbray.util.placement_group")
    assert all(getattr(module, name) is getattr(placement_groups, name) for name in module.__all__)


def test_it_can_be_called_whatever_was_imported_before() -> None:
    module = importlib.import_module("nbray.util.placement_group")
    for callable_one in (module, nbray.util.placement_group):
        with pytest.raises(UsageError, match="at least one dict"):
            callable_one([])  # type: ignore[operator]
