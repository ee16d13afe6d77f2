from pathlib import Path

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
