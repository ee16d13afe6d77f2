from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.backends.local import LocalBackend
from nbray.notebook import cells, package_versions
from nbray.notebook.package_versions import differences, used, versions, warning
from tests.fakes import fake_session


def test_only_what_differs_is_named() -> None:
    here = {"numpy": "2.1.0", "torch": "2.9", "xgboost": "3.0", "mine": "1"}
    found = differences(here, {"numpy": "1.26.4", "torch": "2.9", "xgboost": "", "theirs": "7"})
    assert found == {
        "numpy": "numpy is 2.1.0 here and 1.26.4 on the workers: what is pickled on one side may not load on the other",
        "xgboost": "xgboost (3.0 here) is not installed on the workers: install it there, or leave it out",
    }
    assert differences({"a": ""}, {"a": "1"}) == {"a": "a (1 on the workers) is not installed here: what comes back may not load"}
    assert differences(here, {}) == {}


def test_packages_behind_modules_values_and_functions() -> None:
    values: dict[str, Any] = {"x": np.zeros(3), "f": pytest.raises, "n": 3, "t": np.float32, "own": lambda: 1, "d": json.dumps}
    assert used(["xml.dom", "msgspec.json"], values) == {"numpy", "_pytest", "msgspec", __name__.partition(".")[0]}


def test_versions_by_the_name_of_the_module() -> None:
    found = versions(["numpy", "sklearn", "python", "no_such_module"])
    assert found["numpy"] == np.__version__
    assert found["python"] == platform.python_version()
    assert "no_such_module" not in found


class Remote:
    """A backend whose workers have packages of their own."""

    has_own_packages = True
    epoch = "remote"

    def package_versions(self, names: Sequence[str]) -> dict[str, str]:
        return {name: "0.1" if name == "numpy" else versions([name])[name] for name in names}


def test_each_difference_is_said_once_for_each_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_versions, "_told", {})
    remote: Any = Remote()
    [said] = differences({"numpy": np.__version__}, {"numpy": "0.1"}).values()
    text = f"nbray: {said}\n"
    assert warning(remote, ["msgspec"], {}) == ""
    assert warning(remote, ["msgspec"], {"x": np.zeros(1)}) == text
    assert warning(remote, ["numpy"], {}) == ""
    remote.epoch = "another"
    assert warning(remote, ["numpy"], {}) == text


def test_where_workers_are_processes_of_this_machine_nothing_is_looked_up() -> None:
    assert LocalBackend.has_own_packages is False
    local: Any = SimpleNamespace(has_own_packages=False)
    assert warning(local, ["numpy"], {"x": np.zeros(1)}) == ""


def test_it_is_said_before_a_cell_is_shipped(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(package_versions, "_told", {})
    shell.user_ns["x"] = np.zeros(1)
    cell = cells.read_cell(shell, "", "y = x", cells.CellOptions())
    with fake_session() as backend:
        cells.shipment_of(cell)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(backend, "has_own_packages", True)
        monkeypatch.setattr(backend, "package_versions", Remote().package_versions)
        cells.shipment_of(cell)
    assert "0.1 on the workers" in capsys.readouterr().err
