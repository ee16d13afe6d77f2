"""joblib's backend: what needs no processes, then scikit-learn and joblib itself on real ones."""

from __future__ import annotations

import math
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from joblib import Parallel, delayed

import nbray
import nbray.joblib
from nbray import session
from nbray.backends.backend import Backend
from nbray.errors import NotShippable, NotSupportedHere, UsageError
from nbray.joblib import NbrayBackend
from tests.contract.conftest import until
from tests.fakes import FakeBackend, fake_session, fresh_session


@pytest.fixture
def fake() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


@pytest.fixture(scope="module")
def cluster() -> Iterator[Backend]:
    with fresh_session():
        nbray.init(num_workers=2)
        nbray.get(nbray.put(bytes(1_000_000)))
        yield session.current_backend()


# -------------------------------------------------------------------- without processes


@pytest.mark.parametrize(("asked", "jobs"), [(1, 1), (5, 5), (-1, 2), (-2, 1), (-9, 1), (None, 2)])
def test_number_of_jobs(fake: FakeBackend, asked: int | None, jobs: int) -> None:
    assert NbrayBackend().effective_n_jobs(asked) == jobs


def test_a_backend_inside_a_batch(fake: FakeBackend) -> None:
    nested, jobs = NbrayBackend(nesting_level=0, num_cpus=2).get_nested_backend()
    assert (type(nested), nested.nesting_level, jobs) == (NbrayBackend, 1, None)
    assert nested.effective_n_jobs(None) == 1, "only who asks for jobs gets them"
    assert type(nested.get_nested_backend()[0]).__name__ == "SequentialBackend"


def test_misuse(fake: FakeBackend) -> None:
    with pytest.raises(UsageError, match="n_jobs=0"):
        NbrayBackend().effective_n_jobs(0)
    with pytest.raises(UsageError, match="did you mean num_cpus="), joblib.parallel_config("nbray", num_cpu=2):
        pass
    with pytest.raises(NotSupportedHere, match="mmap_mode='r\\+'"), joblib.parallel_config("nbray", mmap_mode="r+"):
        Parallel(n_jobs=2)(delayed(abs)(n) for n in range(2))


@pytest.mark.parametrize(("settings", "limit"), [({}, 1 << 20), ({"max_nbytes": 5}, 5), ({"max_nbytes": None}, math.inf)])
def test_joblibs_own_limit_decides_what_is_read_only(fake: FakeBackend, settings: dict[str, Any], limit: float) -> None:
    backend = NbrayBackend(nesting_level=0)
    with Parallel(n_jobs=2, backend=backend, **settings):
        assert backend._read_only == limit


@pytest.mark.parametrize("order", ["import nbray, joblib", "import joblib, nbray", "import joblib.parallel, nbray"])
def test_joblib_knows_the_backend_in_whatever_order_the_two_are_imported(order: str) -> None:
    code = f"{order}; print('nbray' in joblib.parallel.BACKENDS); import sys; print('nbray.joblib' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\nFalse\n"


def test_without_joblib_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['joblib'] = None; import nbray.joblib"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr.rstrip().endswith('pip install "nbray[joblib]"')


# -------------------------------------------------------------------- on real processes


@pytest.mark.local
def test_results_in_order(cluster: Backend) -> None:
    with joblib.parallel_config("nbray"):
        assert Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(2000)) == list(range(2000))
        pids = set(Parallel()(delayed(pid_soon)() for _ in range(8)))
    assert os.getpid() not in pids
    assert Parallel(n_jobs=2, backend="nbray")(delayed(pow)(n, 2) for n in range(3)) == [0, 1, 4]


def pid_soon() -> int:
    time.sleep(0.02)
    return os.getpid()


@pytest.mark.local
def test_generators_and_reuse(cluster: Backend) -> None:
    with joblib.parallel_backend("nbray", n_jobs=2):
        assert list(Parallel(return_as="generator")(delayed(abs)(-n) for n in range(50))) == list(range(50))
        unordered = Parallel(return_as="generator_unordered")(delayed(abs)(-n) for n in range(50))
        assert sorted(unordered) == list(range(50))
        with Parallel() as parallel:
            for _ in range(3):
                assert parallel(delayed(abs)(-n) for n in range(5)) == list(range(5))


@pytest.mark.local
def test_an_exception_ends_the_call_and_cancels_the_rest(cluster: Backend) -> None:
    def work(n: int) -> float:
        if n:
            time.sleep(60)
        return 1 / n

    began = time.monotonic()
    with joblib.parallel_config("nbray"), pytest.raises(ZeroDivisionError) as error:
        Parallel(n_jobs=2)(delayed(work)(n) for n in range(4))
    assert "return 1 / n" in str(error.value.__cause__)
    assert time.monotonic() - began < 20
    assert until(lambda: cluster.snapshot().queued == 0 and all(w.state == "idle" for w in cluster.snapshot().workers), 10)


@pytest.mark.local
def test_what_takes_too_long_is_cancelled(cluster: Backend) -> None:
    with joblib.parallel_config("nbray"), pytest.raises(multiprocessing.TimeoutError):
        Parallel(n_jobs=2, timeout=0.2)(delayed(time.sleep)(60) for _ in range(3))
    assert until(lambda: all(worker.state == "idle" for worker in cluster.snapshot().workers), 10)


@pytest.mark.local
def test_what_cannot_be_sent_fails_and_does_not_hang(cluster: Backend) -> None:
    import threading

    things: list[Any] = [*range(20), threading.Lock()]
    with joblib.parallel_config("nbray"), pytest.raises(NotShippable, match="lock"):
        Parallel(n_jobs=2, batch_size=1)(delayed(id)(thing) for thing in things)


@pytest.mark.local
def test_large_arrays_are_stored_once_a_call(cluster: Backend) -> None:
    def both(x: Any, n: int) -> tuple[float, int]:
        return float(x.sum()) + n, session.current_backend().snapshot().store.used

    large = np.ones(500_000)
    with joblib.parallel_config("nbray"):
        results = Parallel(n_jobs=2, batch_size=1)(delayed(both)(large, n) for n in range(20))
    assert [total for total, _ in results] == [500_000 + n for n in range(20)]
    assert max(used for _, used in results) < 2 * large.nbytes
    assert until(lambda: cluster.snapshot().store.used < large.nbytes)


@pytest.mark.local
def test_nested_calls_end(cluster: Backend) -> None:
    def inner(n: int) -> int:
        return sum(Parallel(n_jobs=2)(delayed(abs)(-k) for k in range(n)))

    def outer(n: int) -> int:
        return sum(Parallel(n_jobs=2)(delayed(inner)(n) for _ in range(3)))

    with joblib.parallel_config("nbray"):
        assert Parallel(n_jobs=2)(delayed(outer)(n) for n in (3, 4, 5)) == [9, 18, 30]


@pytest.mark.local
def test_a_call_inside_a_batch_has_the_cpu_of_that_batch_too(cluster: Backend, tmp_path: Path) -> None:
    def meet(me: str, other: str) -> str:
        (tmp_path / me).touch()
        assert until((tmp_path / other).exists, 20), "nobody runs beside it"
        return me

    def outer() -> list[str]:
        pairs = [("a", "b"), ("b", "a")]
        return Parallel(n_jobs=2, batch_size=1)(delayed(meet)(*pair) for pair in pairs)  # type: ignore[no-any-return]

    with joblib.parallel_config("nbray"):
        assert Parallel(n_jobs=2)(delayed(outer)() for _ in range(1)) == [["a", "b"]]


@pytest.mark.local
@pytest.mark.slow
def test_scikit_learn(cluster: Backend) -> None:
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    data, labels = (part[:300] for part in load_digits(return_X_y=True))
    with joblib.parallel_config("nbray"):
        search = GridSearchCV(SVC(), {"gamma": [1e-4, 1e-3]}, cv=3, n_jobs=2).fit(data, labels)
        forest = RandomForestClassifier(20, n_jobs=2, random_state=0).fit(data, labels)
    alone = GridSearchCV(SVC(), {"gamma": [1e-4, 1e-3]}, cv=3).fit(data, labels)
    assert search.best_score_ == alone.best_score_
    assert forest.score(data, labels) > 0.99
