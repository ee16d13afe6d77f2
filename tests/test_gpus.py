import ctypes
from pathlib import Path
from typing import Any

import pytest

from nbray import gpus


@pytest.mark.parametrize(
    ("restriction", "names"),
    [(None, ("0", "1")), ("", ()), ("1,0", ("1", "0")), ("0,-1,1", ("0",)), ("GPU-1f, 1", ("GPU-1f", "1")), ("2", ())],
)
def test_what_cuda_would_show(restriction: str | None, names: tuple[str, ...]) -> None:
    assert gpus.visible(restriction, 2) == names


def test_without_the_library_the_kernel_module_counts(tmp_path: Path) -> None:
    assert gpus.count_devices("libno-such-thing.so", tmp_path / "none") == 0
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert gpus.count_devices("libno-such-thing.so", tmp_path) == 2


def test_hidden_gpus_are_not_even_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpus.VARIABLE, "")
    monkeypatch.setattr(gpus, "count_devices", lambda: 1 / 0)
    assert gpus.detect() == ()
    monkeypatch.setattr(gpus, "count_devices", lambda: 3)
    monkeypatch.setenv(gpus.VARIABLE, "2")
    assert gpus.detect() == ("2",)


def test_the_management_library_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []

    class Library:
        """What the driver brings, with two devices."""

        failing = 0

        def __init__(self, name: str) -> None:
            calls.append(name)

        def nvmlInit_v2(self) -> int:  # noqa: N802
            return self.failing

        def nvmlDeviceGetCount_v2(self, reference: Any) -> int:  # noqa: N802
            reference._obj.value = 2
            return 0

        def nvmlShutdown(self) -> None:  # noqa: N802
            calls.append("shutdown")

    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert gpus.count_devices() == 2
    assert calls == ["libnvidia-ml.so.1", "shutdown"]
    Library.failing = 999  # the library is there, the driver is not
    assert gpus.count_devices(folder=tmp_path) == 0
