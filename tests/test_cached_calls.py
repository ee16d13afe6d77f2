"""`@nbray.remote(cache=True)`: hits, misses, what runs without the cache, and what is said."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.cached_calls import NotKept
from nbray.result_cache import ResultCache, default_directory
from tests.fakes import fake_session

RUNS: list[str] = []


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    RUNS.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotKept)
        yield tmp_path


@pytest.fixture
def _fake() -> Iterator[None]:
    with fake_session():
        yield


def written(source: str, **namespace: Any) -> Any:
    """The function `f` of a cell, decorated; it may use `note`."""
    space = {"__name__": "__main__", "note": written_note, **namespace}
    exec(source, space)
    return nbray.remote(cache=True)(space["f"])


def _own_note() -> Any:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def note(what):\n    import sys\n    sys.modules['tests.test_cached_calls'].RUNS.append(what)", space)
    return space["note"]


written_note = _own_note()
F = "def f(x, y=1):\n    note('run')\n    return x + y + LIMIT"


@pytest.mark.usefixtures("_fake")
def test_the_same_call_runs_once_and_an_edit_of_anything_runs_again(capsys: pytest.CaptureFixture[str]) -> None:
    calls = [
        (F, 1, 1), (F, 2, 1), (F, 1, 2), (F.replace("y=1", "y=2"), 1, 1), (F.replace("+ LIMIT", "- LIMIT"), 1, 1),
    ]  # fmt: skip
    answers = [nbray.get(written(source, LIMIT=limit).remote(x)) for source, x, limit in calls]
    assert answers == [3, 4, 4, 4, 1]
    assert len(RUNS) == len(calls)
    assert capsys.readouterr().err == ""
    assert [nbray.get(written(source, LIMIT=limit).remote(x)) for source, x, limit in calls] == answers
    assert len(RUNS) == len(calls), "all of them were kept"
    assert "nbray: f: kept result of 20" in capsys.readouterr().err


@pytest.mark.usefixtures("_fake")
def test_what_is_changed_in_place_between_calls_counts() -> None:
    limits = [1]
    f = written("def f(x):\n    note('run')\n    return x + sum(LIMITS)", LIMITS=limits)
    assert nbray.get(f.remote(1)) == 2
    limits.append(5)
    assert nbray.get(f.remote(1)) == 7
    limits.pop()
    assert nbray.get(f.remote(1)) == 2
    assert len(RUNS) == 2


@pytest.mark.usefixtures("_fake")
def test_a_hit_is_said_once_in_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    f = written(F, LIMIT=1)
    nbray.get(f.remote(1))
    nbray.get([f.remote(1) for _ in range(3)])
    assert capsys.readouterr().err.count("kept result") == 1


@pytest.mark.usefixtures("_fake")
def test_refs_count_by_their_contents() -> None:
    f = written("def f(x):\n    note('run')\n    return float(x.sum())")
    assert [nbray.get(f.remote(nbray.put(np.arange(4.0)))) for _ in range(2)] == [6.0, 6.0]
    assert nbray.get(f.remote(nbray.put(np.arange(5.0)))) == 10.0
    assert len(RUNS) == 2


@pytest.mark.usefixtures("_fake")
def test_what_cannot_be_tracked_runs_with_a_warning() -> None:
    class Opaque:
        def __reduce_ex__(self, protocol: Any) -> Any:
            if sys._getframe(1).f_globals["__name__"] == "nbray.fingerprints":
                raise TypeError("of no use")
            return int, ("3",)

    f = written("def f(x):\n    note('run')\n    return x")
    with pytest.warns(NotKept, match=r"f runs without the cache: it uses a .*Opaque \(TypeError: of no use\)"):
        assert nbray.get(f.remote(Opaque())) == 3
    assert len(RUNS) == 1


@pytest.mark.usefixtures("_fake")
def test_errors_are_not_kept() -> None:
    f = written("def f(x):\n    note('run')\n    return 1 // x")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            nbray.get(f.remote(0))
    assert len(RUNS) == 2


@pytest.mark.usefixtures("_fake")
def test_what_cannot_be_kept_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    f = written("def f():\n    note('run')\n    return lambda: 1")
    for _ in range(2):
        assert nbray.get(f.remote())() == 1
    assert "the result of f is not kept: it holds a class or function that was defined in a notebook" in capsys.readouterr().err
    assert len(RUNS) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": 1}, r"cache=1: expected True"),
        ({"cache": True, "num_returns": 2}, "cache=True keeps one result of each call, and f has num_returns=2"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(nbray.UsageError, match=message):
        nbray.remote(**options)(written(F).function)


def test_generators_and_classes_are_refused() -> None:
    with pytest.raises(nbray.UsageError, match='num_returns="streaming"'):
        written("def f():\n    yield 1")
    with pytest.raises(nbray.UsageError, match="cache= belongs to a function"):
        nbray.map(len, ["a"], cache=True)


SCRIPT = """
import nbray, numpy
LIMIT = numpy.arange(3)
@nbray.remote(cache=True)
def slow(x, names={"a", "b"}):
    import os
    return os.getpid(), x + LIMIT
if __name__ == "__main__":
    print(nbray.get(slow.remote(numpy.ones(3)))[0], nbray.get(slow.remote(numpy.ones(3)))[0])
"""


@pytest.mark.local
def test_another_process_finds_what_was_kept(folder: Path) -> None:
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    environment = {**os.environ, "PYTHONPATH": str(Path(nbray.__file__).parent.parent)}
    runs = [
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True) for _ in range(2)
    ]
    [first, second] = [run.stdout.split() for run in runs]
    assert first == second
    assert first[0] == first[1]
    assert "slow: kept result" in runs[1].stderr


@pytest.mark.local
def test_an_edited_module_is_run_anew_in_the_same_cell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder / "local_rates.py"
    source.write_text("RATE = 1\n")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    rates = importlib.import_module("local_rates")
    nbray.init(num_workers=1)
    try:
        f = written("def f(x):\n    return x * local_rates.RATE", local_rates=rates)
        assert [nbray.get(f.remote(10)), nbray.get(f.remote(10))] == [10, 10]
        source.write_text("RATE = 222\n")
        assert nbray.get(f.remote(10)) == 2220
        source.write_text("RATE = 1\n")
        assert nbray.get(f.remote(10)) == 10
        [kept] = {head.name for head in ResultCache(default_directory()).heads()}
        assert kept == "f"
    finally:
        nbray.shutdown()
        del sys.modules["local_rates"]


@pytest.mark.local
def test_calls_inside_tasks_run_without_it() -> None:
    nbray.init(num_workers=2)
    try:
        inner = written("def f(x):\n    return x + 1")

        @nbray.remote
        def outer() -> Any:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                return nbray.get(inner.remote(1)), [str(each.message) for each in said]

        value, said = nbray.get(outer.remote())
        assert value == 2
        assert "f runs without the cache" in said[0]
    finally:
        nbray.shutdown()
